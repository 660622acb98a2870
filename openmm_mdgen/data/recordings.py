"""Recordings: trajectories of real MD, kept on disk and read where they are needed.

A *recording* is one trajectory. A *cut* is a stretch of frames and residues of a recording. Axes: ``F`` frames of a
trajectory, ``T`` frames of a window, ``L`` residues, ``14`` heavy-atom slots. Positions are in ångström, intervals in
picosecond.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch

from openmm_mdgen.errors import DataError
from openmm_mdgen.geometry import atom14, residues
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.model.tokens import C_CAPPED, N_CAPPED, Frames

_EPSILON = 1e-8  # Å², as in `atom14` and `rigid`
# The atoms that pre-omega, phi and psi turn, among the 14 slots; those of the residue before are negative.
_BACKBONE_SLOTS = torch.tensor([[1 - 14, 2 - 14, 0, 1], [2 - 14, 0, 1, 2], [0, 1, 2, 3]])
_CHI_SLOTS = torch.as_tensor(residues.CHI_SLOTS)
CAP_SLOTS = slice(1, 3)  # CA and C of the row before the first residue

_Vectors = tuple[torch.Tensor, ...]  # x, y, z


@dataclass(frozen=True)
class StoredPositions:
    """Positions (F, L, 14, 3) of any floating type in a ``.npy`` file, mapped into memory while they are in use."""

    path: Path
    shape: tuple[int, ...]
    stamp: int  # of the file when it was opened

    @classmethod
    def open(cls, path: Path) -> StoredPositions:
        """Look at a file without reading its positions.

        Parameters
        ----------
        path : Path

        Returns
        -------
        StoredPositions

        Raises
        ------
        DataError
            If it is not an array of that kind.
        """
        try:
            stamp = path.stat().st_mtime_ns
            array = _mapped(path, stamp)
        except (OSError, ValueError, EOFError) as error:
            raise DataError(f"{path} cannot be read as an array: {error}. Copy or make it again.") from error
        if array.dtype.kind != "f" or array.ndim != 4 or array.shape[2:] != (14, 3) or 0 in array.shape:
            raise DataError(
                f"{path} holds {array.dtype} of shape {array.shape}: it has to be floating-point numbers of shape "
                "(frames, residues, 14, 3), heavy atoms in ångström"
            )
        return cls(path, array.shape, stamp)

    def __getitem__(self, index: slice | tuple[slice, slice]) -> np.ndarray:
        try:
            return _mapped(self.path, self.stamp)[index]
        except (OSError, ValueError) as error:
            raise DataError(f"{self.path} was changed or removed while it was in use: {error}") from error


@lru_cache(maxsize=256)  # each map holds a file open, and systems allow 1,024 of them
def _mapped(path: Path, stamp: int) -> np.ndarray:
    return np.asarray(np.load(path, mmap_mode="r"))


@dataclass(frozen=True, eq=False)
class Recording:
    """A trajectory, of which only what a cut asks for is read into memory.

    Parameters
    ----------
    name : str
        Name for messages.
    sequence : str
        L one-letter codes.
    positions : array of (F, L, 14, 3), ångström
        Heavy atoms, in memory or on disk, of any floating type, centred or not; zeros in unused slots. With an
        N-terminal cap a row stands before those of the residues; its slots CA and C hold what stands for these atoms of
        a residue before the first (see `ProteinChain.before`).
    interval : float
        Time between frames in ps.
    n_cap, c_cap : str, optional
        Names of the caps that the first and the last residue carry.
    temperature : float, optional
        Temperature of the MD in K, where it is known.
    """

    name: str
    sequence: str
    positions: StoredPositions | np.ndarray
    interval: float
    n_cap: str | None = None
    c_cap: str | None = None
    temperature: float | None = None

    @property
    def n_frames(self) -> int:
        return self.positions.shape[0]

    @property
    def duration(self) -> float:
        """Length in ps; a frame stands for the interval that follows it."""
        return self.n_frames * self.interval

    @cached_property
    def aatype(self) -> np.ndarray:
        """Residue types, (L,) int64."""
        return residues.aatype_from_sequence(self.sequence)

    @property
    def frames(self) -> Frames:
        """All frames as one member of a batch. They take about 100 bytes of memory a residue and frame."""
        chain, step = slice(0, len(self.sequence)), 2000
        cuts = [Cut(self, slice(k, min(k + step, self.n_frames)), chain) for k in range(0, self.n_frames, step)]
        parts = [frames_of([cut]) for cut in cuts]
        rigids = Rigid.cat([part.rigids for part in parts], dim=1)
        return replace(parts[0], rigids=rigids, torsions=torch.cat([part.torsions for part in parts], dim=1))


@dataclass(frozen=True)
class Cut:
    """Frames and residues of a recording, backwards in time if `reverse` is true."""

    recording: Recording
    frames: slice
    residues: slice
    reverse: bool = False

    @property
    def first_residue(self) -> int:
        """First residue that is read: the one before the cut, to which the first pre-omega and phi are measured.

        -1 where that is a cap.
        """
        return max(self.residues.start - 1, 0 if self.recording.n_cap is None else -1)

    @property
    def aatype(self) -> np.ndarray:
        """Types of what is read; a cap has the unknown type."""
        types = self.recording.aatype[max(self.first_residue, 0) : self.residues.stop]
        return types if self.first_residue >= 0 else np.concatenate([[residues.UNKNOWN], types])

    @property
    def begins_capped(self) -> bool:
        """Whether the first residue carries a cap."""
        return self.recording.n_cap is not None and self.residues.start == 0

    @property
    def ends_capped(self) -> bool:
        """Whether the last residue carries a cap."""
        return self.recording.c_cap is not None and self.residues.stop == len(self.recording.sequence)

    def read(self) -> np.ndarray:
        """Read the positions.

        Returns
        -------
        (T, l, 14, 3) float32, ångström
            Residues from `first_residue` on.

        Raises
        ------
        DataError
            If a position is not finite.
        """
        row = 0 if self.recording.n_cap is None else 1  # of the first residue
        found = self.recording.positions[self.frames, self.first_residue + row : self.residues.stop + row]
        found = found.astype(np.float32)
        if not np.isfinite(found).all():
            bad = int((~np.isfinite(found)).any(axis=(1, 2, 3)).argmax())
            frame = self.frames.start + bad * (self.frames.step or 1)
            where = getattr(self.recording.positions, "path", self.recording.name)
            raise DataError(f"{where}: frame {frame} (from 0) has coordinates that are not finite; make it again")
        return found[::-1].copy() if self.reverse else found


def frames_of(cuts: Sequence[Cut]) -> Frames:
    """Read cuts as one batch, padded to the longest chain.

    Padding has the unknown residue type, identity rigids and zero torsions. Coordinates are centred frame by frame,
    since float32 resolves 1e-6 Å only near the origin.

    Parameters
    ----------
    cuts : sequence of Cut
        All with the same number of frames.

    Returns
    -------
    Frames

    Raises
    ------
    DataError
        If a position is not finite.
    """
    lengths = torch.tensor([cut.residues.stop - cut.residues.start for cut in cuts])
    capped = torch.tensor([cut.begins_capped for cut in cuts])
    follows = torch.tensor([cut.residues.start > 0 for cut in cuts]) | capped  # something stands before its first
    read = [cut.read() for cut in cuts]
    # One residue more in front, zeros where the chain begins; the frame axis last, along which torch vectorises.
    longest = 1 + int(lengths.max())
    aatype = torch.full((len(cuts), longest), residues.UNKNOWN)
    atoms = torch.zeros(len(cuts), longest * 14, 3, len(read[0]))
    for row, (cut, found) in enumerate(zip(cuts, read, strict=True)):
        place = slice(cut.first_residue - cut.residues.start + 1, cut.residues.stop - cut.residues.start + 1)
        aatype[row, place] = torch.from_numpy(cut.aatype)
        atoms[row].unflatten(0, (-1, 14))[place] = torch.from_numpy(found).movedim(0, -1)
    filled = atom14.table(residues.ATOM14_MASK, atoms)[aatype]
    filled[capped, 0, CAP_SLOTS] = 1
    filled = filled.flatten(1)[..., None, None]
    # Summed in float64, so that a frame comes out the same in every window that has it.
    centre = atoms.sum(1, keepdim=True, dtype=torch.float64) / filled.sum(1, keepdim=True)
    atoms = atoms - centre.float() * filled

    residue_mask = (torch.arange(longest - 1) < lengths[:, None]).float()
    mask = atom14.torsion_mask(aatype)[:, 1:] * residue_mask[..., None]
    mask[:, 0, :2] *= follows[:, None]
    termini = torch.zeros_like(aatype[:, 1:])
    termini[:, 0] += N_CAPPED * capped
    termini[torch.arange(len(cuts)), lengths - 1] += C_CAPPED * torch.tensor([cut.ends_capped for cut in cuts])
    positions = atoms.unflatten(1, (-1, 14)).movedim(-1, 1)[:, :, 1:]
    stated = [cut.recording.temperature for cut in cuts]
    return Frames(
        aatype=aatype[:, 1:],
        rigids=without_padding(atom14.backbone_rigids(positions), residue_mask),
        torsions=_torsions(aatype, atoms),
        torsion_mask=mask,
        residue_mask=residue_mask,
        termini=termini,
        temperature=residue_mask.new_tensor([math.nan if kelvin is None else kelvin for kelvin in stated]),
    )


def _torsions(aatype: torch.Tensor, atoms: torch.Tensor) -> torch.Tensor:
    """Torsions (B, T, L, 7, 2) of all residues but the first, from types (B, 1 + L), atoms (B, (1 + L) x 14, 3, T).

    The result is that of `atom14.torsions`, many times as fast for many frames: only torsions that exist are measured,
    and x, y and z are taken apart, since their axis is too short to be vectorised.
    """
    defined = atom14.torsion_mask(aatype)[:, 1:] * (aatype[:, 1:, None] != residues.UNKNOWN)
    defined[:, 0, :2] = 1  # to the residue before, or to the origin where there is none
    row, residue, kind = defined.nonzero(as_tuple=True)
    slots = torch.cat([_BACKBONE_SLOTS.expand(len(residues.CHI_SLOTS), 3, 4), _CHI_SLOTS], dim=1)
    index = (residue[:, None] + 1) * 14 + slots[aatype[row, residue + 1], kind]  # (n, 4)
    a0, a1, a2, a3 = (atoms[row, index[:, k]].unbind(1) for k in range(4))  # each x, y, z of (n, T)
    axis = _unit(_minus(a2, a1))
    above = _minus(a0, a2)
    along = _dot(axis, above)
    up = _unit(tuple(c - along * e for c, e in zip(above, axis, strict=True)))
    side = (axis[1] * up[2] - axis[2] * up[1], axis[2] * up[0] - axis[0] * up[2], axis[0] * up[1] - axis[1] * up[0])
    arm = _minus(a3, a2)
    sin, cos = _dot(side, arm), _dot(up, arm)
    scale = torch.rsqrt(sin * sin + cos * cos + _EPSILON) * torch.where(kind == 2, -1.0, 1.0)[:, None]  # psi: by O
    found = atoms.new_zeros(*defined.shape, atoms.shape[-1], 2)
    found[row, residue, kind] = torch.stack([sin * scale, cos * scale], dim=-1)
    return found.movedim(3, 1)


def _minus(a: _Vectors, b: _Vectors) -> _Vectors:
    return tuple(p - q for p, q in zip(a, b, strict=True))


def _dot(a: _Vectors, b: _Vectors) -> torch.Tensor:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _unit(a: _Vectors) -> _Vectors:
    scale = torch.rsqrt(_dot(a, a) + _EPSILON)
    return tuple(c * scale for c in a)


def without_padding(rigids: Rigid, residue_mask: torch.Tensor) -> Rigid:
    """Replace rigids (B, T, L) by the identity where the mask (B, L) is zero."""
    if bool(residue_mask.all()):
        return rigids
    return Rigid.where(residue_mask[:, None] > 0, rigids, Rigid.identity(rigids.shape, rigids.translation))
