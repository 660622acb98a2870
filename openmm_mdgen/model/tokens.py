"""Frames to tokens relative to key frames, and back.

Axes: ``B`` trajectories, ``T`` frames, ``L`` residues, ``D`` channels. A token is, for each of K key frames, the
residue's offset from its own rigid in that key frame (quaternion 4, w >= 0, translation 3, ångström), then 14 numbers
(sin, cos of pre-omega, phi, psi, chi1-chi4): D = 7 K + 14. The first key frame is frame 0, a second one the last frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from openmm_mdgen.geometry import atom14
from openmm_mdgen.geometry.rigid import Rigid, between

N_TORSION_CHANNELS = 14


@dataclass(frozen=True)
class Frames:
    """Conformations of a batch of chains, padded to one length."""

    aatype: Int[Tensor, "B L"]  # 20 = unknown
    rigids: Rigid  # (B, T, L), ångström
    torsions: Float[Tensor, "B T L 7 2"]  # (sin, cos)
    torsion_mask: Float[Tensor, "B L 7"]  # 1.0 where defined
    residue_mask: Float[Tensor, "B L"]  # 1.0 for a residue, 0.0 for padding

    @staticmethod
    def from_atom14(aatype: Int[Tensor, "B L"], positions: Float[Tensor, "B T L 14 3"]) -> Frames:
        """From types and heavy atoms in ångström, without padding."""
        mask = atom14.torsion_mask(aatype).to(positions)
        return Frames(
            aatype=aatype,
            rigids=atom14.backbone_rigids(positions),
            torsions=atom14.torsions(aatype[:, None].expand(positions.shape[:3]), positions),
            torsion_mask=mask,
            residue_mask=torch.ones_like(mask[..., 0]),
        )

    @property
    def n_frames(self) -> int:
        return self.rigids.shape[1]

    def repeat_first(self, n_frames: int) -> Frames:
        """The first frame of each trajectory, held for `n_frames` frames."""
        shape = (self.aatype.shape[0], n_frames, self.aatype.shape[1])
        return replace(
            self, rigids=self.rigids[:, :1].expand(*shape), torsions=self.torsions[:, :1].expand(*shape, 7, 2)
        )

    @staticmethod
    def cat(frames: Sequence[Frames]) -> Frames:
        """Batches of chains of one length, one after another."""
        return Frames(
            torch.cat([f.aatype for f in frames]),
            Rigid.cat([f.rigids for f in frames]),
            torch.cat([f.torsions for f in frames]),
            torch.cat([f.torsion_mask for f in frames]),
            torch.cat([f.residue_mask for f in frames]),
        )

    def __getitem__(self, members: slice | Tensor) -> Frames:
        """Some trajectories of the batch."""
        return Frames(
            self.aatype[members],
            self.rigids[members],
            self.torsions[members],
            self.torsion_mask[members],
            self.residue_mask[members],
        )

    def to(self, where: torch.device | torch.dtype) -> Frames:
        """On another device, or in another floating type, which leaves the integer field alone."""
        return Frames(
            self.aatype if isinstance(where, torch.dtype) else self.aatype.to(where),
            self.rigids.to(where),
            self.torsions.to(where),
            self.torsion_mask.to(where),
            self.residue_mask.to(where),
        )


@dataclass(frozen=True)
class Tokenizer:
    """How frames become tokens; part of a checkpoint's configuration.

    Parameters
    ----------
    n_key_frames : int
        1 (first frame) or 2 (first and last frame).
    torsions : bool
        False leaves the torsion channels at zero, as the published inpainting model does.
    zero_undefined : bool
        Torsions that do not exist are zero. Published checkpoints keep what `atom14.torsions` returns for them.
    shift, scale : tuple of float, optional
        Per channel: token = (value - shift) / scale. Published checkpoints use raw values.
    """

    n_key_frames: int = 1
    torsions: bool = True
    zero_undefined: bool = True
    shift: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None

    @property
    def width(self) -> int:
        return 7 * self.n_key_frames + N_TORSION_CHANNELS

    def encode(self, frames: Frames, key_rigids: Sequence[Rigid] | None = None) -> Float[Tensor, "B T L D"]:
        """Tokens of frames; `key_rigids` (B, L) are those of the first and last frame unless a task says otherwise."""
        keys = key_rigids or (frames.rigids[:, 0], frames.rigids[:, -1])
        parts = [(key[:, None].inverse() @ frames.rigids).to_tensor7() for key in keys[: self.n_key_frames]]
        torsions = frames.torsions.flatten(-2)
        parts.append(torsions if self.torsions else torch.zeros_like(torsions))
        tokens = torch.cat(parts, dim=-1)
        if self.shift is not None and self.scale is not None:
            tokens = (tokens - tokens.new_tensor(self.shift)) / tokens.new_tensor(self.scale)
        return tokens * self.channel_mask(frames)[:, None] if self.zero_undefined else tokens

    def decode(
        self, tokens: Float[Tensor, "B T L D"], start: Rigid, end: Rigid | None = None
    ) -> tuple[Rigid, Float[Tensor, "B T L 7 2"]]:
        """Rigids (B, T, L) and normalised torsions from tokens and the rigids of the key frames, (B, L) each.

        Torsions that do not exist come out as anything, (0, 0) included. Offsets to a second key frame are used if
        `end` is given, with tokens of all T frames: the nearer a key frame, the more its offsets count, so that the
        path meets both.
        """
        tokens = tokens[..., : self.width]
        if self.shift is not None and self.scale is not None:
            tokens = tokens * tokens.new_tensor(self.scale) + tokens.new_tensor(self.shift)
        torsions = tokens[..., -N_TORSION_CHANNELS:].unflatten(-1, (7, 2))
        torsions = torsions / torsions.norm(dim=-1, keepdim=True).clamp_min(torch.finfo(tokens.dtype).tiny)
        rigids = start[:, None] @ Rigid.from_tensor7(tokens[..., :7])
        if end is not None and self.n_key_frames == 2:
            share = torch.linspace(0, 1, tokens.shape[1]).to(tokens)[:, None]
            rigids = between(rigids, end[:, None] @ Rigid.from_tensor7(tokens[..., 7:14]), share)
        return rigids, torsions

    def channel_mask(self, frames: Frames) -> Float[Tensor, "B L D"]:
        """1.0 for channels with a meaning, the same for all frames."""
        offsets = frames.residue_mask[..., None].expand(*frames.residue_mask.shape, 7 * self.n_key_frames)
        return torch.cat([offsets, frames.torsion_mask.repeat_interleave(2, dim=-1)], dim=-1)
