"""The generative model of token trajectories: network, interpolant, tokenizer and task together.

Axes as in `tokens`. `TrajectoryFlow.loss` trains it, `TrajectoryFlow.sample` draws from it.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from openmm_mdgen.geometry.residues import UNKNOWN
from openmm_mdgen.geometry.rigid import full_precision
from openmm_mdgen.model.dirichlet import N_TYPES, DirichletFlow
from openmm_mdgen.model.interpolant import INTERPOLANTS
from openmm_mdgen.model.network import NetworkConfig, VelocityNetwork
from openmm_mdgen.model.ode import OdeSolver
from openmm_mdgen.model.tasks import Condition, Task
from openmm_mdgen.model.tokens import Frames, Tokenizer


@dataclass(frozen=True)
class FlowConfig:
    """All that defines a model besides its weights.

    Parameters
    ----------
    network : NetworkConfig
    tokenizer : Tokenizer
    task : Task
    interpolant : {"GVP", "Linear", "VP"}
    hold_known : bool
        Known tokens and channels without meaning keep their value through the flow, in training and sampling. False,
        as in published checkpoints, noises and generates them like all others.
    simplex : DirichletFlow
        The flow of the residue types, for networks that design.
    """

    network: NetworkConfig
    tokenizer: Tokenizer
    task: Task
    interpolant: str = "GVP"
    hold_known: bool = True
    simplex: DirichletFlow = DirichletFlow()


@dataclass(frozen=True)
class Sample:
    """Generated tokens and what they cost."""

    tokens: Float[Tensor, "B T L D"]
    evaluations: int


class TrajectoryFlow(nn.Module):
    """Velocity network with the rules of its training and sampling."""

    def __init__(self, config: FlowConfig) -> None:
        super().__init__()
        self.config = config
        self.interpolant = INTERPOLANTS[config.interpolant]()
        self.network = VelocityNetwork(config.network)

    def condition(self, frames: Frames) -> tuple[Float[Tensor, "B T L D"], Condition]:
        """Clean tokens of a trajectory, and what the network is told of them."""
        task, frames = self.config.task, self._known(frames)
        with full_precision(frames.aatype.device):
            tokens = self.config.tokenizer.encode(task.visible(frames), task.key_rigids(frames))
            return tokens, task.condition(frames, tokens)

    def loss(
        self,
        frames: Frames,
        noise: Float[Tensor, "B T L D"],
        t: Float[Tensor, " B"],
        type_noise: Float[Tensor, "B L 20"] | None = None,
        *,
        channel_weights: Float[Tensor, " D"] | None = None,
    ) -> Float[Tensor, " B"]:
        """Squared error of the velocity for each trajectory, a mean over the channels that are generated.

        Parameters
        ----------
        frames : Frames
            Whole trajectories.
        noise : (B, T, L, D)
            Standard normal numbers.
        t : (B,)
            Flow coordinates.
        type_noise : (B, L, 20), optional
            Simplex states at `t`, for networks that design; half of the loss is then the cross-entropy of the types.
        channel_weights : (D,), optional
            Weight of each channel in the mean. Default: all equal.

        Returns
        -------
        (B,)

        Notes
        -----
        A task that generates no motion has the cross-entropy as its loss; noise and times are not used then.
        """
        if not self.config.task.generates_motion:
            return self._type_loss(self.type_logits(frames), frames)
        tokens, condition = self.condition(frames)
        is_padded = _is_padded(frames)
        counted = self._free(frames, condition)
        x_t = self._hold(self.interpolant.interpolate(noise, tokens, t), tokens, counted)
        counted = counted if channel_weights is None else counted * channel_weights
        if type_noise is None:
            velocity = self.network(x_t, t, condition, is_padded=is_padded)
        else:
            x_t = torch.cat([x_t, type_noise[:, None].expand(*x_t.shape[:3], N_TYPES)], dim=-1)
            out = self.network(x_t, t, condition, is_padded=is_padded)
            velocity, logits = out.split([tokens.shape[-1], N_TYPES], dim=-1)
        squared = counted * (velocity - self.interpolant.target(noise, tokens, t)) ** 2
        loss = squared.sum((1, 2, 3)) / counted.sum((1, 2, 3))
        if type_noise is None:
            return loss
        if self.config.simplex.per_residue:
            return 0.5 * loss + 0.5 * self._type_loss(logits.mean(1), frames)
        targets = frames.aatype[:, None].expand(logits.shape[:3])
        return 0.5 * loss + 0.5 * F.cross_entropy(logits.flatten(0, 2), targets.flatten())

    def type_logits(self, frames: Frames) -> Float[Tensor, "B L 20"]:
        """Logits of the residue types from what is known of a trajectory alone, without noise."""
        tokens, condition = self.condition(frames)
        x = torch.cat([condition.tokens, tokens.new_zeros(*tokens.shape[:3], N_TYPES)], dim=-1)
        logits = self.network(x, x.new_ones(x.shape[0]), condition, is_padded=_is_padded(frames))[..., -N_TYPES:]
        return logits.mean(1)

    def _type_loss(self, logits: Float[Tensor, "B L 20"], frames: Frames) -> Float[Tensor, " B"]:
        """Cross-entropy, a mean over the residues whose type is hidden."""
        hidden = (self.config.task.visible(frames).aatype == UNKNOWN) & (frames.residue_mask > 0)
        entropy = F.cross_entropy(logits.flatten(0, 1), frames.aatype.flatten(), reduction="none")
        return (entropy.view(hidden.shape) * hidden).sum(-1) / hidden.sum(-1).clamp_min(1)

    def sample(self, frames: Frames, noise: Float[Tensor, "B T L _"], solver: OdeSolver) -> Sample:
        """Follow the flow from noise to data.

        Of a capped chain, weights that know free ends only (`NetworkConfig.termini` is False) leave omega and phi of
        the first residue as the known frames have them.

        Parameters
        ----------
        frames : Frames
            A trajectory whose known parts are filled in; the rest is not read.
        noise : (B, T, L, D), or (B, T, L, D + 20) for networks that design
            Standard normal numbers, then uniform simplex states.
        solver : OdeSolver

        Returns
        -------
        Sample
        """
        tokens, condition = self.condition(frames)
        width = tokens.shape[-1]
        free = self._free(frames, condition)
        is_padded = _is_padded(frames)  # once: looking at the mask waits for the device

        def velocity_field(t: float, x: Tensor) -> Tensor:
            told = ahead.get(t) or self.network.told(x, x.new_full((1,), t), condition)
            velocity = self.network.evaluate(x, told, condition, is_padded=is_padded)
            if not self.config.network.designs:
                return velocity * free if self.config.hold_known else velocity
            continuous, logits = velocity.split([width, N_TYPES], dim=-1)
            continuous = continuous * free if self.config.hold_known else continuous
            return torch.cat([continuous, self._type_velocity(x[..., width:], logits, t)], dim=-1)

        with torch.no_grad(), self.network.sampling():
            ahead = self.network.told_ahead(condition, solver.times(self.interpolant.sampling_interval))
            start = torch.cat([self._hold(noise[..., :width], tokens, free), noise[..., width:]], dim=-1)
            solution = solver.solve(velocity_field, start, self.interpolant.sampling_interval)
        state = solution.state
        if not self.config.network.termini and bool(frames.n_capped.any()):
            state = self._with_cap_turns_kept(state, frames)
        return Sample(state, solution.evaluations)

    def _known(self, frames: Frames) -> Frames:
        """Frames without the caps, where the network is not told of them."""
        return frames if self.config.network.termini else frames.without_caps()

    def _with_cap_turns_kept(self, tokens: Tensor, frames: Frames) -> Tensor:
        """Tokens whose omega and phi of each capped first residue go evenly from one known frame to the next."""
        mask = self.config.task.condition_mask(frames.n_frames, frames.aatype.shape[1])
        known = mask[:, 0].nonzero()[:, 0]
        if len(known) == 0:
            return tokens
        number = torch.arange(frames.n_frames)
        last = (torch.searchsorted(known, number, right=True) - 1).clamp_min(0)
        following = (last + 1).clamp_max(len(known) - 1)
        gap = (known[following] - known[last]).clamp_min(1)
        share = ((number - known[last]) / gap).clamp(0, 1).to(frames.torsions)[:, None]
        sin, cos = frames.torsions[:, :, 0, :2].unbind(-1)
        angle = torch.atan2(sin, cos)  # (B, T, 2)
        before, after = angle[:, known[last]], angle[:, known[following]]
        angle = before + share * torch.atan2((after - before).sin(), (after - before).cos())
        turns = torch.stack([angle.sin(), angle.cos()], dim=-1)
        return self.config.tokenizer.with_cap_turns(tokens, turns, frames.n_capped)

    def _type_velocity(self, x_d: Tensor, logits: Tensor, t: float) -> Tensor:
        """(B, T, L, 20)."""
        simplex = self.config.simplex
        if not simplex.per_residue:
            return simplex.velocity(x_d, logits, t)
        return simplex.velocity(x_d[:, :1], logits.mean(1, keepdim=True), t).expand(x_d.shape)

    def _free(self, frames: Frames, condition: Condition) -> Tensor:
        """(B, T, L, D): 1.0 for the channels that are generated and counted in the loss."""
        channels = self.config.tokenizer.channel_mask(self.config.task.visible(self._known(frames)))[:, None]
        if self.config.hold_known:
            return channels * (1 - condition.mask[..., None].to(channels))
        return channels.expand(-1, frames.n_frames, -1, -1)

    def _hold(self, x: Tensor, tokens: Tensor, free: Tensor) -> Tensor:
        return x * free + tokens * (1 - free) if self.config.hold_known else x


def _is_padded(frames: Frames) -> bool:
    """Whether some chains of the batch are shorter than others."""
    return not bool((frames.residue_mask == 1).all())
