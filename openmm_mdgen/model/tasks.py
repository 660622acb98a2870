"""What each task knows of a trajectory, and what it leaves to be generated.

Axes as in `tokens`. A task gives the tokens that are known (`condition_mask`), what of the frames may be seen at all
(`visible`), and the rigids of the key frames (`key_rigids`), from which offsets are measured.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from openmm_mdgen.geometry.residues import N_TORSIONS, UNKNOWN
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model.tokens import Frames

_FIRST_CHI = 3  # of the torsions; omega, phi and psi stand before it


@dataclass(frozen=True)
class Condition:
    """Everything the velocity network is told besides the noised tokens."""

    tokens: Float[Tensor, "B T L D"]  # known tokens, zero elsewhere
    mask: Int[Tensor, "B T L"]  # 1 where the token is known
    aatype: Int[Tensor, "B L"]  # 20 where hidden
    residue_mask: Float[Tensor, "B L"]  # 1.0 for a residue
    start: Rigid  # (B, L) rigids of the first frame, ångström
    end: Rigid  # (B, L) rigids of the last frame; read by two-key-frame networks only
    end_from_start: Float[Tensor, "B L 7"]  # start^-1 @ end
    start_from_end: Float[Tensor, "B L 7"]  # end^-1 @ start
    termini: Int[Tensor, "B L"] = None  # type: ignore[assignment]  # as in `Frames`; all free unless said
    temperature: Float[Tensor, " B"] = None  # type: ignore[assignment]  # K, as in `Frames`; not a number unless said

    def __post_init__(self) -> None:
        if self.termini is None:
            object.__setattr__(self, "termini", torch.zeros_like(self.aatype))
        if self.temperature is None:
            object.__setattr__(self, "temperature", torch.full_like(self.residue_mask[:, 0], math.nan))

    def repeated(self, n: int) -> Condition:
        """The batch n times over; of the tokens, those of the first frame alone."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        values |= {"tokens": self.tokens[:, :1], "mask": self.mask[:, :1]}
        return Condition(**{name: _repeated(value, n) for name, value in values.items()})


def _repeated(value: Tensor | Rigid, n: int) -> Any:
    if isinstance(value, Rigid):
        return Rigid(_repeated(value.rotation, n), _repeated(value.translation, n))
    return value.repeat(n, *[1] * (value.ndim - 1))


@dataclass(frozen=True)
class Task(ABC):
    """Base of the tasks; a task is a small frozen object.

    Class attributes
    ----------------
    name : str
        What options and files call the task.
    figure : str
        Name, in `training.validation.FIGURES`, of the figure by which weights of the task are validated.
    default_weights : tuple of str
        Names of the bundled weights that are loaded when none are named: the first that take the molecule.
    n_key_frames : int
        1 if offsets are measured from the first frame, 2 if from the last frame too.
    generates_motion, generates_types : bool
        Whether the network generates the tokens of frames, and the types of residues.
    """

    name: ClassVar[str]
    figure: ClassVar[str]
    default_weights: ClassVar[tuple[str, ...]] = ()
    n_key_frames: ClassVar[int] = 1
    generates_motion: ClassVar[bool] = True
    generates_types: ClassVar[bool] = False

    @abstractmethod
    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        """Which tokens are known."""

    def visible(self, frames: Frames) -> Frames:
        """Frames with types, and torsions that tell types, as the network may know them."""
        return frames

    def key_rigids(self, frames: Frames) -> tuple[Rigid, Rigid]:
        """(B, L) each: of the first and of the last frame, as the network sees them."""
        return frames.rigids[:, 0], frames.rigids[:, -1]

    def condition(self, frames: Frames, tokens: Float[Tensor, "B T L D"]) -> Condition:
        """What the network is told, from a trajectory whose known parts are filled in, and its tokens."""
        n_batch, n_frames, n_residues = tokens.shape[:3]
        mask = self.condition_mask(n_frames, n_residues).to(tokens.device).expand(n_batch, n_frames, n_residues)
        start, end = self.key_rigids(frames)
        return Condition(
            tokens=tokens * mask[..., None].to(tokens),
            mask=mask.long(),
            aatype=self.visible(frames).aatype,
            residue_mask=frames.residue_mask,
            start=start,
            end=end,
            end_from_start=(start.inverse() @ end).to_tensor7(),
            start_from_end=(end.inverse() @ start).to_tensor7(),
            termini=frames.termini,
            temperature=frames.temperature,
        )


@dataclass(frozen=True)
class ForwardSimulation(Task):
    """The first frame is known."""

    name: ClassVar[str] = "forward_simulation"
    figure: ClassVar[str] = "rollout_torsions"
    default_weights: ClassVar[tuple[str, ...]] = ("forward_peptide",)

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        return (torch.arange(n_frames) == 0)[:, None].expand(n_frames, n_residues)


@dataclass(frozen=True)
class Interpolation(Task):
    """The first and the last frame are known."""

    name: ClassVar[str] = "interpolation"
    figure: ClassVar[str] = "inner_torsions"
    default_weights: ClassVar[tuple[str, ...]] = ("interpolation_tetrapeptide", "interpolation_peptide")
    n_key_frames: ClassVar[int] = 2

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        index = torch.arange(n_frames)
        return ((index == 0) | (index == n_frames - 1))[:, None].expand(n_frames, n_residues)


@dataclass(frozen=True)
class Upsampling(Task):
    """Every `factor`-th frame is known, beginning with the first.

    In windows of a whole number of intervals and one frame more, the last frame is known as well.
    """

    name: ClassVar[str] = "upsampling"
    figure: ClassVar[str] = "torsion_steps"
    default_weights: ClassVar[tuple[str, ...]] = ("upsampling_tetrapeptide", "upsampling_peptide")

    factor: int = 100

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        return (torch.arange(n_frames) % self.factor == 0)[:, None].expand(n_frames, n_residues)


@dataclass(frozen=True)
class Inpainting(Task):
    """The motion of all residues but the designed ones is known; the types of those are hidden.

    Parameters
    ----------
    designed : tuple of int
        Residue numbers from 0.
    hides_designed : bool
        Nothing of designed residues is shown: their offsets are measured from the key frames' rigids of the nearest
        known residue, and their side-chain torsions, whose number tells the type, have no meaning. False, as in
        published checkpoints, shows the rigids of designed residues in both key frames.
    """

    name: ClassVar[str] = "inpainting"
    figure: ClassVar[str] = "design_errors"
    default_weights: ClassVar[tuple[str, ...]] = ("inpainting_tetrapeptide",)
    generates_types: ClassVar[bool] = True
    n_key_frames: ClassVar[int] = 2

    designed: tuple[int, ...] = (1, 2)
    hides_designed: bool = True

    def is_designed(self, n_residues: int) -> Bool[Tensor, " {n_residues}"]:
        return torch.isin(torch.arange(n_residues), torch.tensor(self.designed))

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        return (~self.is_designed(n_residues)).expand(n_frames, n_residues)

    def visible(self, frames: Frames) -> Frames:
        designed = self.is_designed(frames.aatype.shape[-1]).to(frames.aatype.device)
        frames = replace(frames, aatype=frames.aatype.masked_fill(designed, UNKNOWN))
        if not self.hides_designed:
            return frames
        side_chain = designed[:, None] & (torch.arange(N_TORSIONS, device=designed.device) >= _FIRST_CHI)
        return replace(frames, torsion_mask=frames.torsion_mask.masked_fill(side_chain, 0.0))

    def key_rigids(self, frames: Frames) -> tuple[Rigid, Rigid]:
        start, end = super().key_rigids(frames)
        if not self.hides_designed:
            return start, end
        number = torch.arange(frames.aatype.shape[-1])
        known = number[~self.is_designed(len(number))]
        nearest = known[(number[:, None] - known).abs().argmin(-1)]
        return start[:, nearest], end[:, nearest]


@dataclass(frozen=True)
class EndpointDesign(Inpainting):
    """Types alone, from the known residues in the first and the last frame: the paper's baseline DynMPNN.

    Windows have two frames, as far apart as those of the inpainting model's ends.
    """

    name: ClassVar[str] = "endpoint_design"
    default_weights: ClassVar[tuple[str, ...]] = ()
    generates_motion: ClassVar[bool] = False


TASKS: dict[str, type[Task]] = {
    kind.name: kind for kind in (ForwardSimulation, Interpolation, Upsampling, Inpainting, EndpointDesign)
}
