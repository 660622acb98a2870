"""The velocity network of MDGen: a transformer over residues and frames, told of the key frames by point attention.

Axes: ``B`` batch, ``T`` frames, ``L`` residues, ``C`` width, ``D`` channels of a token. Parameter names are those of
published checkpoints.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model.dirichlet import N_TYPES
from openmm_mdgen.model.network.attention import Attention
from openmm_mdgen.model.network.config import NetworkConfig
from openmm_mdgen.model.network.embeddings import (
    Modulation,
    TemperatureEmbedder,
    TimeEmbedder,
    gated_sum,
    modulated_norm,
    sinusoid_table,
)
from openmm_mdgen.model.network.hyena import BidirectionalHyena, Hyena
from openmm_mdgen.model.network.ipa import InvariantPointAttention
from openmm_mdgen.model.network.linear import Linear
from openmm_mdgen.model.tasks import Condition

_TOKENS_AT_ONCE = 4096  # of which the widest layer's output stays in the cache
_KEY_TOKENS_AT_ONCE = 2048  # of key frames, whose residues meet each other in pairs


def _in_pieces(layer: Callable[[Tensor], Tensor], h: Float[Tensor, "B T L C"]) -> Float[Tensor, "B T L C"]:
    """What a layer that does not mix frames makes of them; piece by piece when sampling, for speed and memory."""
    at_once = max(1, _TOKENS_AT_ONCE // (h.shape[0] * h.shape[2]))
    if torch.is_grad_enabled() or h.shape[1] <= at_once:
        return layer(h)
    out = torch.empty_like(h)
    for piece, result in zip(h.split(at_once, dim=1), out.split(at_once, dim=1), strict=True):
        result.copy_(layer(piece))
    return out


def _runs(times: Sequence[float], length: int) -> list[Sequence[float]]:
    return [times[first : first + length] for first in range(0, len(times), length)]


def _attention(config: NetworkConfig) -> Attention:
    return Attention(config.width, config.n_heads, rotary=config.rotary, sink_has_position=config.sink_has_position)


class _AttentionSlot(nn.Module):
    """Holds an attention under the name that checkpoints give it."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.attn = _attention(config)

    def forward(self, x: Tensor, key_mask: Tensor | None = None) -> Tensor:
        return self.attn(x, key_mask)


class KeyFrameLayer(nn.Module):
    """Point attention, residue attention and MLP over the L residues of one key frame."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.width
        self.adaLN_modulation = Modulation(width, 6)
        self.ipa_norm = nn.LayerNorm(width)
        self.ipa = InvariantPointAttention(config)
        self.mha_l = _AttentionSlot(config)
        self.fc1, self.fc2 = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(
        self, s: Float[Tensor, "B L C"], embedding: Float[Tensor, "#B C"], rigids: Rigid, mask: Float[Tensor, "B L"]
    ) -> Float[Tensor, "B L C"]:
        shift_l, scale_l, gate_l, shift_m, scale_m, gate_m = self.adaLN_modulation(embedding)
        s = s + self.ipa(self.ipa_norm(s), rigids, mask)
        s = gated_sum(s, self.mha_l(modulated_norm(s, shift_l, scale_l), mask), gate_l)
        return gated_sum(s, self.fc2(self.fc1.gelu(modulated_norm(s, shift_m, scale_m))), gate_m)


class TrunkLayer(nn.Module):
    """Attention over residues, mixing over frames, MLP."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        width = config.width
        self.adaLN_modulation = Modulation(width, 9)
        if config.interleave_ipa:
            self.ipa_norm = nn.LayerNorm(width)
            self.ipa = InvariantPointAttention(config)
        self.convolves = config.time_mixer != "attention"
        convolution = Hyena if config.time_mixer == "hyena" else BidirectionalHyena
        self.mha_t = convolution(width, config.n_frames) if self.convolves else _AttentionSlot(config)
        self.mha_l = _AttentionSlot(config)
        self.fc1, self.fc2 = Linear(width, 4 * width), Linear(4 * width, width)

    def forward(
        self,
        h: Float[Tensor, "B T L C"],
        embedding: Float[Tensor, "#B C"],
        start: Rigid,
        mask: Float[Tensor, "B L"] | None,
    ) -> Float[Tensor, "B T L C"]:
        shift_l, scale_l, gate_l, shift_t, scale_t, gate_t, shift_m, scale_m, gate_m = self.adaLN_modulation(embedding)
        if hasattr(self, "ipa"):
            h = h + self._interleaved(h, start, mask)

        def over_residues(h: Tensor) -> Tensor:
            residue_mask = None if mask is None else mask[:, None].expand(h.shape[:3])
            return gated_sum(h, self.mha_l(modulated_norm(h, shift_l, scale_l), residue_mask), gate_l)

        def alone(h: Tensor) -> Tensor:
            return gated_sum(h, self.fc2(self.fc1.gelu(modulated_norm(h, shift_m, scale_m))), gate_m)

        h = _in_pieces(over_residues, h)
        h = gated_sum(h, self._mix_frames(modulated_norm(h, shift_t, scale_t), mask), gate_t)
        return _in_pieces(alone, h)

    def _mix_frames(self, h: Tensor, mask: Tensor | None) -> Tensor:
        by_residue = h.transpose(1, 2)  # (B, L, T, C)
        if self.convolves:
            return self.mha_t(by_residue.flatten(0, 1)).unflatten(0, by_residue.shape[:2]).transpose(1, 2)
        frame_mask = None if mask is None else mask[..., None].expand(by_residue.shape[:3])
        return self.mha_t(by_residue, frame_mask).transpose(1, 2)

    def _interleaved(self, h: Tensor, start: Rigid, mask: Tensor | None) -> Tensor:
        n_batch, n_frames, n_residues = h.shape[:3]
        rotation = start.rotation[:, None].expand(n_batch, n_frames, n_residues, 3, 3).flatten(0, 1)
        translation = start.translation[:, None].expand(n_batch, n_frames, n_residues, 3).flatten(0, 1)
        every = h.new_ones(n_batch, n_residues) if mask is None else mask
        every = every[:, None].expand(h.shape[:3]).flatten(0, 1)
        out = self.ipa(self.ipa_norm(h).flatten(0, 1), Rigid(rotation, translation), every)
        return out.unflatten(0, (n_batch, n_frames))


class FinalLayer(nn.Module):
    """Features to tokens."""

    def __init__(self, width: int, n_out: int) -> None:
        super().__init__()
        self.linear = Linear(width, n_out)
        self.adaLN_modulation = Modulation(width, 2)

    def forward(self, h: Float[Tensor, "B T L C"], embedding: Float[Tensor, "#B C"]) -> Float[Tensor, "B T L D"]:
        shift, scale = self.adaLN_modulation(embedding)
        return self.linear(modulated_norm(h, shift, scale))


@dataclass(frozen=True)
class Told:
    """What one evaluation of the network is told besides the noised tokens, embedded."""

    known: Float[Tensor, "B T L C"]  # known tokens, which these are, positions
    embedding: Float[Tensor, "#B C"]  # flow coordinate and temperature
    context: Float[Tensor, "B L C"]  # residues and key frames


class VelocityNetwork(nn.Module):
    """Velocity of noised tokens; with `designs`, logits of the residue types in the last 20 channels.

    Parameters
    ----------
    config : NetworkConfig
    """

    pos_embed: Tensor
    time_embed: Tensor

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.config = config
        width, n_in = config.width, config.token_width + N_TYPES * config.designs
        if config.position_embedding:
            self.register_buffer("pos_embed", sinusoid_table(config.max_residues, width))
        if config.frame_embedding:
            self.register_buffer("time_embed", sinusoid_table(config.n_frames, width))
        self.latent_to_emb = Linear(n_in, width)
        self.cond_to_emb = Linear(config.token_width, width)
        self.mask_to_emb = nn.Embedding(2, width)
        if config.n_key_frames == 2:
            self.latent_to_emb_f, self.latent_to_emb_r = Linear(7, width), Linear(7, width)
        if config.prepend_ipa:
            if config.residue_types:
                self.aatype_to_emb = nn.Embedding(N_TYPES + 1, width)
            if config.termini:
                self.termini_to_emb = nn.Embedding(4, width)
            self.ipa_layers = nn.ModuleList(KeyFrameLayer(config) for _ in range(config.n_layers))
        self.layers = nn.ModuleList(TrunkLayer(config) for _ in range(config.n_layers))
        self.emb_to_latent = FinalLayer(width, n_in)
        self.t_embedder = TimeEmbedder(width, config.time_multiplier)
        if config.designs:
            self.x_d_to_emb = Linear(N_TYPES, width)
            self.fc1, self.fc2, self.fc3 = (Linear(width, width) for _ in range(3))
            self.emb_to_logits = Linear(width, N_TYPES)
        if config.start_in_every_frame:
            self.start_to_emb = Linear(config.token_width, width)
        if config.temperature:
            self.temperature_embedder = TemperatureEmbedder(width)
        self._initialise()

    def forward(
        self, x: Float[Tensor, "B T L D"], t: Float[Tensor, "#B"], condition: Condition, *, is_padded: bool = True
    ) -> Float[Tensor, "B T L D"]:
        """Noised tokens and flow coordinates to velocities.

        Parameters
        ----------
        x, t, condition
        is_padded : bool
            False promises that no residue of the batch is padding: the attentions then go without masks. The caller
            finds that out, once for many calls, since looking at the mask waits for the device.
        """
        return self.evaluate(x, self.told(x, t, condition), condition, is_padded=is_padded)

    def told(self, x: Float[Tensor, "B T L D"], t: Float[Tensor, "#B"], condition: Condition) -> Told:
        """What one evaluation is told besides the noised tokens, of which only types of residues, if any, are read."""
        embedding = self.t_embedder(t)
        if self.config.temperature:
            embedding = embedding + self.temperature_embedder(condition.temperature.to(embedding))
        types = x[..., -N_TYPES:].mean(1) if self.config.designs else None
        return Told(self._known(condition), embedding, self._residue_context(types, embedding, condition))

    @torch.no_grad()
    def told_ahead(self, condition: Condition, times: Sequence[float]) -> dict[float, Told]:
        """The same for all of some flow coordinates, computed together.

        Parameters
        ----------
        condition : Condition
        times : sequence of float

        Returns
        -------
        dict of float to Told
            Empty for networks that design, whose context follows from the noised types.
        """
        if self.config.designs or not times:
            return {}
        n_batch, n_residues = condition.aatype.shape
        known = self._known(condition)
        told: dict[float, Told] = {}
        embedding = self.t_embedder(known.new_tensor(times))[:, None]  # (times, 1, C)
        if self.config.temperature:
            is_one = known.device.type == "cpu" and bool((condition.temperature == condition.temperature[:1]).all())
            kelvin = condition.temperature[:1] if is_one else condition.temperature
            embedding = embedding + self.temperature_embedder(kelvin.to(embedding))
        at_once = max(1, _KEY_TOKENS_AT_ONCE // (n_batch * n_residues))
        for some, part in zip(_runs(times, at_once), embedding.split(at_once), strict=True):
            each = part.expand(-1, n_batch, -1).flatten(0, 1)
            contexts = self._residue_context(None, each, condition.repeated(len(some))).unflatten(
                0, (len(some), n_batch)
            )
            told |= {t: Told(known, e, c) for t, e, c in zip(some, part, contexts, strict=True)}
        return told

    def evaluate(
        self, x: Float[Tensor, "B T L D"], told: Told, condition: Condition, *, is_padded: bool = True
    ) -> Float[Tensor, "B T L D"]:
        """`forward`, with what `told` or `told_ahead` has computed."""
        mask = condition.residue_mask if is_padded else None
        h = self.latent_to_emb(x) + told.known + told.context[:, None]  # (B, T, L, C)
        for layer in self.layers:
            h = layer(h, told.embedding, condition.start, mask)
        out = self.emb_to_latent(h, told.embedding)  # (B, T, L, D)
        if self.config.designs:
            pooled = self.fc2(self.fc1.gelu(h)).mean(1)  # (B, L, C)
            logits = self.emb_to_logits(self.fc3.gelu(pooled))
            out = torch.cat([out[..., :-N_TYPES], out[..., -N_TYPES:] + logits[:, None]], dim=-1)
        return out

    @contextmanager
    def sampling(self) -> Iterator[None]:
        """Parameters stay as they are meanwhile, so that what attentions make of them alone is made once."""
        attentions = [module for module in self.modules() if isinstance(module, Attention)]
        for attention in attentions:
            attention.kept = {}
        try:
            yield
        finally:
            for attention in attentions:
                attention.kept = None

    def _known(self, condition: Condition) -> Float[Tensor, "B T L C"]:
        """What does not depend on the flow coordinate."""
        known = self.cond_to_emb(condition.tokens) + self.mask_to_emb(condition.mask)
        if self.config.start_in_every_frame:
            known = known + self.start_to_emb(condition.tokens[:, :1])
        if self.config.position_embedding:
            known = known + self.pos_embed.to(known)
        if self.config.frame_embedding:
            known = known + self.time_embed.to(known)[:, :, None]
        return known

    def _residue_context(self, types: Tensor | None, embedding: Tensor, condition: Condition) -> Tensor:
        """(B, L, C) from residue types and the geometry of the key frames."""
        mask = condition.residue_mask
        s = embedding.new_zeros(*mask.shape, self.config.width)
        if not self.config.prepend_ipa:
            return s
        if self.config.residue_types:
            s = s + self.aatype_to_emb(condition.aatype)
        if self.config.termini:
            s = s + self.termini_to_emb(condition.termini)
        if types is not None:
            s = s + self.x_d_to_emb(types)
        if self.config.n_key_frames == 1:
            for layer in self.ipa_layers:
                s = layer(s, embedding, condition.start, mask)
            return s
        # Each stream starts from the other key frame as this one sees it.
        at_end = s + self.latent_to_emb_f(condition.end_from_start)
        at_start = s + self.latent_to_emb_r(condition.start_from_end)
        for layer in self.ipa_layers:
            at_start = layer(at_start, embedding, condition.start, mask)
            at_end = layer(at_end, embedding, condition.end, mask)
        return at_start + at_end

    @torch.no_grad()
    def _initialise(self) -> None:
        """Residual branches of the trunk, the point attention, the output and what tells of caps start at zero.

        So does what tells of the temperature.
        """
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for module in self.t_embedder.mlp:
            if isinstance(module, nn.Linear):
                nn.init.normal_(module.weight, std=0.02)
        zeroed = [m.linear_out for m in self.modules() if isinstance(m, InvariantPointAttention)]
        zeroed += [m.adaLN_modulation.linear for m in self.modules() if isinstance(m, TrunkLayer | FinalLayer)]
        if self.config.temperature:
            zeroed.append(self.temperature_embedder.linear)
        for linear in (*zeroed, self.emb_to_latent.linear):
            nn.init.zeros_(linear.weight)
            nn.init.zeros_(linear.bias)
        if self.config.termini:
            nn.init.zeros_(self.termini_to_emb.weight)
