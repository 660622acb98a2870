"""What each task knows of a trajectory, and what it leaves to be generated.

Axes as in `tokens`. A task gives the tokens that are known (`condition_mask`) and the key frames that the network sees.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from openmm_mdgen.residues import UNKNOWN
from openmm_mdgen.rigid import Rigid
from openmm_mdgen.tokens import Frames


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


class Task(ABC):
    """Base of the tasks; a task is a small frozen object."""

    n_key_frames: ClassVar[int] = 1

    @abstractmethod
    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        """Which tokens are known."""

    def visible_aatype(self, aatype: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        """Residue types as the network sees them."""
        return aatype

    def condition(self, frames: Frames, tokens: Float[Tensor, "B T L D"]) -> Condition:
        """What the network is told, from a trajectory whose known parts are filled in, and its tokens."""
        n_batch, n_frames, n_residues = tokens.shape[:3]
        mask = self.condition_mask(n_frames, n_residues).to(tokens.device).expand(n_batch, n_frames, n_residues)
        start, end = frames.rigids[:, 0], frames.rigids[:, -1]
        return Condition(
            tokens=tokens * mask[..., None].to(tokens),
            mask=mask.long(),
            aatype=self.visible_aatype(frames.aatype),
            residue_mask=frames.residue_mask,
            start=start,
            end=end,
            end_from_start=(start.inverse() @ end).to_tensor7(),
            start_from_end=(end.inverse() @ start).to_tensor7(),
        )


@dataclass(frozen=True)
class ForwardSimulation(Task):
    """The first frame is known."""

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        return (torch.arange(n_frames) == 0)[:, None].expand(n_frames, n_residues)


@dataclass(frozen=True)
class Interpolation(Task):
    """The first and the last frame are known."""

    n_key_frames: ClassVar[int] = 2

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        index = torch.arange(n_frames)
        return ((index == 0) | (index == n_frames - 1))[:, None].expand(n_frames, n_residues)


@dataclass(frozen=True)
class Upsampling(Task):
    """Every `factor`-th frame is known, beginning with the first."""

    factor: int = 100

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        return (torch.arange(n_frames) % self.factor == 0)[:, None].expand(n_frames, n_residues)


@dataclass(frozen=True)
class Inpainting(Task):
    """The motion of all residues but the designed ones is known; the types of those are hidden."""

    designed: tuple[int, ...] = (1, 2)
    n_key_frames: ClassVar[int] = 2

    def _is_designed(self, n_residues: int) -> Tensor:
        return torch.isin(torch.arange(n_residues), torch.tensor(self.designed))

    def condition_mask(self, n_frames: int, n_residues: int) -> Bool[Tensor, "{n_frames} {n_residues}"]:
        return (~self._is_designed(n_residues)).expand(n_frames, n_residues)

    def visible_aatype(self, aatype: Int[Tensor, "B L"]) -> Int[Tensor, "B L"]:
        return aatype.masked_fill(self._is_designed(aatype.shape[-1]).to(aatype.device), UNKNOWN)


TASKS: dict[str, type[Task]] = {
    "forward_simulation": ForwardSimulation,
    "interpolation": Interpolation,
    "upsampling": Upsampling,
    "inpainting": Inpainting,
}
