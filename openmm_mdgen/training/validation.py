"""Validation by what the weights generate for sequences that they are not trained on.

A *figure* is one number for that, the lower the better; a task names its own (`Task.figure`), and `FIGURES` holds them
by these names. Torsions are those of `atom14` that exist, pre-omega left out. Axes as in `tokens`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.analysis.distances import angle_histogram, js_distance
from openmm_mdgen.data import Recording, Windows
from openmm_mdgen.errors import MDGenError
from openmm_mdgen.geometry.residues import UNKNOWN
from openmm_mdgen.model.dirichlet import N_TYPES
from openmm_mdgen.model.flow import TrajectoryFlow
from openmm_mdgen.model.ode import AdamsBashforth, Euler, OdeSolver
from openmm_mdgen.model.tasks import Task
from openmm_mdgen.model.tokens import Frames
from openmm_mdgen.training.batches import Batches, channel_weights

_N_LOSS_WINDOWS = 64  # on which the flow's loss is measured for a sequence
_N_WINDOWS = 16  # that are generated at once for a sequence
_N_REPLICAS, _N_SEGMENTS = 8, 5  # trajectories of a forward model, and segments in each


def torsion_distance(
    ours: Float[Tensor, "n L 7 2"], theirs: Float[Tensor, "m L 7 2"], mask: Float[Tensor, "L 7"]
) -> float:
    """Distance between two samples of conformations: the mean over the torsions that exist of `js_distance`."""
    first, second = (torch.atan2(x[..., 0], x[..., 1]).double().cpu().numpy() for x in (ours, theirs))
    pairs = [(residue, torsion) for residue, torsion in mask.nonzero().tolist() if torsion > 0]
    return float(
        np.mean([js_distance(angle_histogram(first[:, i, k]), angle_histogram(second[:, i, k])) for i, k in pairs])
    )


class Figure(ABC):
    """One number for what a flow generates for one recorded molecule; the lower, the better."""

    name: ClassVar[str]  # as users are told it

    @abstractmethod
    def __call__(self, flow: TrajectoryFlow, windows: Windows, seed: int) -> float:
        """The figure of a flow; `windows` are those of one recording."""

    @abstractmethod
    def floor(self, windows: Windows, seed: int) -> float | None:
        """The figure of real MD compared with real MD; None where that means nothing."""


class RolloutTorsions(Figure):
    """Torsion distance of trajectories chained from one start to the whole recording."""

    name = "torsion distance"

    def __call__(self, flow: TrajectoryFlow, windows: Windows, seed: int) -> float:
        start = windows.batch(1, np.random.default_rng(seed))
        generator = torch.Generator().manual_seed(seed)
        frames = Frames.cat([start] * _N_REPLICAS)
        pieces = []
        for _ in range(_N_SEGMENTS):
            frames = generate(flow, frames.repeat_first(windows.n_frames), generator)
            pieces.append(frames.torsions[:, 1:].flatten(0, 1))
            frames = replace(frames, rigids=frames.rigids[:, -1:], torsions=frames.torsions[:, -1:])
        recorded = windows.recordings[0].frames.torsions[0]
        return torsion_distance(torch.cat(pieces), recorded, start.torsion_mask[0])

    def floor(self, windows: Windows, seed: int) -> float:
        """The distance between the first and the second half of the recording."""
        recorded = windows.recordings[0].frames
        half = recorded.n_frames // 2
        return torsion_distance(recorded.torsions[0, :half], recorded.torsions[0, half:], recorded.torsion_mask[0])


class WindowTorsions(Figure):
    """Distance between real windows and windows that are generated from the known parts of those."""

    def __call__(self, flow: TrajectoryFlow, windows: Windows, seed: int) -> float:
        real = windows.batch(_N_WINDOWS, np.random.default_rng(seed))
        return self._distance(generate(flow, real, torch.Generator().manual_seed(seed)), real)

    def floor(self, windows: Windows, seed: int) -> float:
        """The distance between two draws of real windows."""
        first, second = (windows.batch(_N_WINDOWS, np.random.default_rng(s)) for s in (seed, seed + 1))
        return self._distance(first, second)

    def _distance(self, ours: Frames, real: Frames) -> float:
        first, second = (self._compared(frames.torsions) for frames in (ours, real))
        return torsion_distance(first, second, real.torsion_mask[0])

    @abstractmethod
    def _compared(self, torsions: Float[Tensor, "B T L 7 2"]) -> Float[Tensor, "n L 7 2"]:
        """The torsions, or their changes, that the figure compares."""


class InnerTorsions(WindowTorsions):
    """Distance of the torsions in the frames between the first and the last."""

    name = "torsion distance of the frames between"

    def _compared(self, torsions: Float[Tensor, "B T L 7 2"]) -> Float[Tensor, "n L 7 2"]:
        return torsions[:, 1:-1].flatten(0, 1)


class TorsionSteps(WindowTorsions):
    """Distance of the changes of torsions from frame to frame: the fast motion, which known frames do not tell."""

    name = "distance of torsion steps"

    def _compared(self, torsions: Float[Tensor, "B T L 7 2"]) -> Float[Tensor, "n L 7 2"]:
        before, after = torsions[:, :-1], torsions[:, 1:]
        sin = after[..., 0] * before[..., 1] - after[..., 1] * before[..., 0]
        return torch.stack([sin, (after * before).sum(-1)], dim=-1).flatten(0, 1)


class DesignErrors(Figure):
    """Share of the hidden residue types that are not generated right."""

    name = "wrong residue types"

    def __call__(self, flow: TrajectoryFlow, windows: Windows, seed: int) -> float:
        real = windows.batch(_N_WINDOWS, np.random.default_rng(seed))
        generator = torch.Generator().manual_seed(seed)
        if flow.config.task.generates_motion:
            types = _sample(flow, real, generator, Euler(20))[..., -N_TYPES:].mean(1).argmax(-1)
        else:
            types = flow.type_logits(real.to(_device(flow))).argmax(-1)
        hidden = flow.config.task.visible(real).aatype == UNKNOWN
        return float((types.cpu() != real.aatype)[hidden].double().mean())

    def floor(self, windows: Windows, seed: int) -> None:
        return None


@dataclass(frozen=True)
class FlowLoss(Figure):
    """The loss of the flow on windows, noise and times that are the same every time: quick, and hardly noisy.

    Parameters
    ----------
    offset_weight : float
        Weight of the channels that hold offsets, as `TrainingConfig` has it.
    """

    offset_weight: float = 0.3
    name: ClassVar[str] = "flow loss"

    def __call__(self, flow: TrajectoryFlow, windows: Windows, seed: int) -> float:
        batch = Batches(windows, flow.config, _N_LOSS_WINDOWS, seed)[0].to(_device(flow))
        weights = channel_weights(flow.config, self.offset_weight).to(_device(flow))
        loss = flow.loss(batch.frames, batch.noise, batch.t, batch.type_noise, channel_weights=weights)
        return float(loss.double().mean())

    def floor(self, windows: Windows, seed: int) -> None:
        return None


FIGURES: dict[str, Figure] = {
    "rollout_torsions": RolloutTorsions(),
    "inner_torsions": InnerTorsions(),
    "torsion_steps": TorsionSteps(),
    "design_errors": DesignErrors(),
    "flow_loss": FlowLoss(),
}


def figure_for(task: Task, name: str | None = None) -> Figure:
    """The figure of a name, or by default the one by which weights of the task are validated.

    Raises
    ------
    MDGenError
        If the task names none, or one that there is not.
    """
    named = getattr(task, "figure", None) if name is None else name
    if named not in FIGURES:
        raise MDGenError(
            f"task {task.name!r} is validated by {named!r}, which is none of {', '.join(FIGURES)}: let its class name "
            "one of these as its figure, or add one to training.validation.FIGURES"
        )
    return FIGURES[named]


@dataclass(frozen=True)
class HeldOut:
    """Recordings to validate on.

    Parameters
    ----------
    recordings : sequence of Recording
    n_frames : int
        Number of frames in a window.
    frame_interval : float
        Picoseconds between its frames.
    seed : int
        Seed of the windows that are drawn and of the noise.
    figure : str, optional
        Name of a figure in `FIGURES`; by default the one that the task names.
    """

    recordings: Sequence[Recording]
    n_frames: int
    frame_interval: float
    seed: int = 0
    figure: str | None = None
    windows: list[Windows] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        windows = [
            Windows([r], n_frames=self.n_frames, frame_interval=self.frame_interval, time_reversal=False)
            for r in self.recordings
        ]
        object.__setattr__(self, "windows", windows)

    def figures(self, flow: TrajectoryFlow, *, rank: int = 0, n_ranks: int = 1) -> list[float]:
        """Figures of those recordings that process `rank` of `n_ranks` takes, one for each."""
        figure = figure_for(flow.config.task, self.figure)
        with torch.no_grad():
            return [figure(flow, windows, self.seed) for windows in self.windows[rank::n_ranks]]

    def floor(self, flow: TrajectoryFlow) -> float | None:
        """Mean over the recordings of the figure of real MD compared with real MD; None where that means nothing."""
        figure = figure_for(flow.config.task, self.figure)
        found = [figure.floor(windows, self.seed) for windows in self.windows]
        known = [value for value in found if value is not None]
        return sum(known) / len(known) if known else None

    def require_apart_from(self, trained_on: Sequence[Recording]) -> None:
        """Raise `MDGenError` if a sequence is in both."""
        both = sorted({r.sequence for r in self.recordings} & {r.sequence for r in trained_on})
        if both:
            raise MDGenError(
                f"{', '.join(both[:5])} would be trained on and validated on: leave them out of one of the two "
                "(--exclude takes a CSV file of sequences)"
            )


def generate(flow: TrajectoryFlow, frames: Frames, generator: torch.Generator) -> Frames:
    """Frames whose known parts are those given, and whose other parts are generated; on the CPU."""
    tokens = _sample(flow, frames, generator, AdamsBashforth(12)).cpu()
    rigids, torsions = flow.config.tokenizer.decode(tokens, frames.rigids[:, 0])
    return replace(frames, rigids=rigids, torsions=torsions)


def _sample(flow: TrajectoryFlow, frames: Frames, generator: torch.Generator, solver: OdeSolver) -> Tensor:
    device = _device(flow)
    noise = torch.randn(*frames.rigids.shape, flow.config.network.token_width, generator=generator)
    if flow.config.network.designs:
        states = torch.rand(*frames.aatype.shape, N_TYPES, generator=generator).log()  # -log u: Dirichlet(1), scaled
        states = (states / states.sum(-1, keepdim=True))[:, None].expand(*frames.rigids.shape, N_TYPES)
        noise = torch.cat([noise, states], dim=-1)
    return flow.sample(frames.to(device), noise.to(device), solver).tokens


def _device(flow: TrajectoryFlow) -> torch.device:
    return next(flow.parameters()).device
