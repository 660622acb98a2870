"""Atoms that are nearer to each other than they come in MD.

Axes: ``F`` frames, ``n`` atoms of a chain, ``P`` pairs of atoms, each in one frame. Ångström.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.geometry.bonds import COMFORTABLE
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.chain import ProteinChain

ALLOWED = 0.1  # ångström of overlap that is left alone
FRAMES_AT_ONCE, PAIRS_AT_ONCE = 500, 5_000_000  # that are held in memory
_UNSURE = 0.1  # Å²: more than single precision errs by in squares of distances
_NEIGHBOURS = 64  # of an atom, that are followed where not all pairs are: 5 Å hold some 50


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of atoms that are followed, in frames of their own."""

    frame: Tensor  # (P,) int
    first: Tensor  # (P,) int
    second: Tensor  # (P,) int
    limit: Tensor  # (P,): how near they may come

    def where(self, holds: Tensor) -> Pairs:
        """Those for which (P,) holds."""
        kept = holds.nonzero()[:, 0]  # once: each indexing by a mask waits for the device
        return Pairs(self.frame[kept], self.first[kept], self.second[kept], self.limit[kept])

    def among(self, frames: Tensor, n_frames: int) -> Pairs:
        """Those of some frames of `n_frames`, numbered anew."""
        number = torch.full((n_frames,), -1, device=frames.device)
        number[frames] = torch.arange(len(frames), device=frames.device)
        pairs = self.where(number[self.frame] >= 0)
        return Pairs(number[pairs.frame], pairs.first, pairs.second, pairs.limit)

    def overlapping(self, atoms: Tensor) -> Pairs:
        """Those that overlap in atoms (F, n, 3); most pairs that are followed do not."""
        with torch.no_grad():
            apart = (atoms[self.frame, self.first] - atoms[self.frame, self.second]).square().sum(-1)
            return self.where(apart < self.limit.square())


@lru_cache(maxsize=8)  # molecules: once each, not once a segment
def contacts(chain: ProteinChain) -> Tensor:
    """(n, n) float64: how near each pair of atoms may come, 0 within three bonds."""
    hydrogens = chain.is_hydrogen[:, None].astype(int) + chain.is_hydrogen[None]
    return torch.from_numpy(np.where(chain.graph.near(), 0.0, to_angstrom(np.array(COMFORTABLE))[hydrogens]))


def at_once(n_atoms: int, within: float) -> int:
    """How many frames of a chain are looked at together, whose pairs within some ångström of contact are followed."""
    pairs = n_atoms * (n_atoms if math.isinf(within) else min(n_atoms, _NEIGHBOURS))
    return max(1, min(FRAMES_AT_ONCE, PAIRS_AT_ONCE // pairs))


def close_pairs(atoms: Tensor, contact: Tensor, within: float) -> tuple[Tensor, Pairs]:
    """(F,) the deepest overlap of atoms (F, n, 3), and the pairs of frames that overlap by more than is allowed.

    Pairs are those nearer than contact (n, n) and `within` ångström; frames keep their numbers. A frame without such
    pairs has minus `within` as its deepest overlap.
    """
    reach = torch.where(contact > 0, contact + within, 0.0).square() + _UNSURE
    reach.masked_fill_(~(contact > 0).triu(diagonal=1), -math.inf)
    reach, found = reach.to(torch.float32), []
    for part in torch.arange(len(atoms), device=atoms.device).split(at_once(len(contact), math.inf)):
        # Squares of distances by a product of matrices in single precision: most pairs are far apart, and this tells
        # so soonest.
        centred = (atoms[part] - atoms[part].mean(1, keepdim=True)).to(torch.float32)
        square = centred.square().sum(-1)
        apart = torch.baddbmm(square[:, :, None] + square[:, None], centred, centred.mT, alpha=-2)
        frame, first, second = (apart < reach).nonzero().unbind(1)
        found.append((part[frame], first, second))
    frame, first, second = (torch.cat(column) for column in zip(*found, strict=True))
    limit = contact[first, second]
    overlap = limit - (atoms[frame, first] - atoms[frame, second]).norm(dim=-1)
    depth = atoms.new_full((len(atoms),), -within).scatter_reduce(0, frame, overlap, "amax")
    return depth, Pairs(frame, first, second, limit).where((overlap > -within) & (depth[frame] > ALLOWED))
