"""Frames to tokens relative to key frames, and back.

Axes: ``B`` trajectories, ``T`` frames, ``L`` residues, ``D`` channels. A token is, for each of K key frames, the
residue's offset from its own rigid in that key frame (quaternion 4, w >= 0, translation 3, ångström), then 14 numbers
(sin, cos of pre-omega, phi, psi, chi1-chi4): D = 7 K + 14. The first key frame is frame 0, a second one the last frame.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from openmm_mdgen.geometry import atom14
from openmm_mdgen.geometry.rigid import Rigid, between

N_TORSION_CHANNELS = 14
N_CAPPED, C_CAPPED = 1, 2  # bits of `Frames.termini`: a cap is bonded to the residue's N, to its C
_CAP_TURNS = slice(0, 2)  # of the torsions: pre-omega and phi, which exist in the first residue of a capped chain only


@dataclass(frozen=True)
class Frames:
    """Conformations of a batch of chains, padded to one length."""

    aatype: Int[Tensor, "B L"]  # 20 = unknown
    rigids: Rigid  # (B, T, L), ångström
    torsions: Float[Tensor, "B T L 7 2"]  # (sin, cos)
    torsion_mask: Float[Tensor, "B L 7"]  # 1.0 where defined
    residue_mask: Float[Tensor, "B L"]  # 1.0 for a residue, 0.0 for padding
    # Sum of N_CAPPED and C_CAPPED, 0 in between and at free ends; all free unless said.
    termini: Int[Tensor, "B L"] = None  # type: ignore[assignment]
    temperature: Float[Tensor, " B"] = None  # type: ignore[assignment]  # K; not a number where nothing states it

    def __post_init__(self) -> None:
        if self.termini is None:
            object.__setattr__(self, "termini", torch.zeros_like(self.aatype))
        if self.temperature is None:
            object.__setattr__(self, "temperature", torch.full_like(self.residue_mask[:, 0], math.nan))

    @staticmethod
    def from_atom14(
        aatype: Int[Tensor, "B L"],
        positions: Float[Tensor, "B T L 14 3"],
        termini: Int[Tensor, "B L"] | None = None,
        before: Float[Tensor, "B T 2 3"] | None = None,
    ) -> Frames:
        """From types and heavy atoms, without padding.

        Parameters
        ----------
        aatype, positions : Tensor
            Residue types, and heavy atoms in their slots in ångström.
        termini : Tensor, optional
            As the field of that name; by default no end is capped.
        before : Tensor, optional
            The points of each cap that stand for CA and C of a residue before the first, in ångström (see
            `ProteinChain.before`); needed where an N terminus is capped, not read where it is free.
        """
        termini = torch.zeros_like(aatype) if termini is None else termini
        capped = termini[:, 0] & N_CAPPED > 0
        if before is not None:
            before = before * capped[:, None, None, None]
        mask = atom14.torsion_mask(aatype, capped).to(positions)
        return Frames(
            aatype=aatype,
            rigids=atom14.backbone_rigids(positions),
            torsions=atom14.torsions(aatype[:, None].expand(positions.shape[:3]), positions, before),
            torsion_mask=mask,
            residue_mask=torch.ones_like(mask[..., 0]),
            termini=termini,
        )

    @property
    def n_frames(self) -> int:
        return self.rigids.shape[1]

    @property
    def n_capped(self) -> Bool[Tensor, " B"]:
        """Whether a cap stands before the first residue."""
        return self.termini[:, 0] & N_CAPPED > 0

    def without_caps(self) -> Frames:
        """The frames as weights see them that know free ends only: omega and phi of a first residue do not exist."""
        mask = self.torsion_mask.clone()
        mask[:, 0, _CAP_TURNS] *= ~self.n_capped[:, None]
        return replace(self, torsion_mask=mask, termini=torch.zeros_like(self.termini))

    def at_temperature(self, kelvin: float) -> Frames:
        """The frames as frames of MD at one temperature."""
        return replace(self, temperature=torch.full_like(self.temperature, kelvin))

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
            torch.cat([f.termini for f in frames]),
            torch.cat([f.temperature for f in frames]),
        )

    def __getitem__(self, members: slice | Tensor) -> Frames:
        """Some trajectories of the batch."""
        return Frames(
            self.aatype[members],
            self.rigids[members],
            self.torsions[members],
            self.torsion_mask[members],
            self.residue_mask[members],
            self.termini[members],
            self.temperature[members],
        )

    def to(self, where: torch.device | torch.dtype) -> Frames:
        """On another device, or in another floating type, which leaves the integer fields alone."""
        return Frames(
            self.aatype if isinstance(where, torch.dtype) else self.aatype.to(where),
            self.rigids.to(where),
            self.torsions.to(where),
            self.torsion_mask.to(where),
            self.residue_mask.to(where),
            self.termini if isinstance(where, torch.dtype) else self.termini.to(where),
            self.temperature.to(where),
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

    def with_cap_turns(
        self, tokens: Float[Tensor, "B T L _"], turns: Float[Tensor, "B T 2 2"], where: Bool[Tensor, " B"]
    ) -> Float[Tensor, "B T L _"]:
        """Tokens whose first residue has this pre-omega and phi, in the members of the batch where it says so."""
        channels = slice(self.width - N_TORSION_CHANNELS, self.width - N_TORSION_CHANNELS + 4)
        values = turns.to(tokens).flatten(-2)
        if self.shift is not None and self.scale is not None:
            values = (values - tokens.new_tensor(self.shift[channels])) / tokens.new_tensor(self.scale[channels])
        tokens = tokens.clone()
        tokens[:, :, 0, channels] = torch.where(where[:, None, None], values, tokens[:, :, 0, channels])
        return tokens

    def channel_mask(self, frames: Frames) -> Float[Tensor, "B L D"]:
        """1.0 for channels with a meaning, the same for all frames."""
        offsets = frames.residue_mask[..., None].expand(*frames.residue_mask.shape, 7 * self.n_key_frames)
        return torch.cat([offsets, frames.torsion_mask.repeat_interleave(2, dim=-1)], dim=-1)
