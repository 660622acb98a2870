"""How distances between atoms change when torsions turn.

Axes: ``F`` frames, ``n`` atoms of a chain, ``K`` torsions that may turn, ``P`` pairs of atoms, each in one frame.
Ångström and radian.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.residues import CHI1_GROUP, OMEGA_GROUP, PHI_GROUP, PSI_GROUP
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.contacts import Pairs

_N, _CA, _C = range(3)
_PHI, _PSI, _FIRST_CHI = 1, 2, 3


@dataclass(frozen=True, eq=False)
class Levers:
    """The axes that some torsions of a chain turn about, and the atoms that each carries: all towards the last residue.

    Examples
    --------
    >>> levers = Levers.of(chain, free)
    >>> distance, slopes = levers.slopes(atoms, pairs)
    """

    torsions: Tensor  # (K,) int: numbers among the (L, 7) torsions of the chain
    ends: Tensor  # (K, 2) int: the two atoms of each axis
    carried: Tensor  # (K, n): 1.0 for the atoms that turn with it

    @classmethod
    def of(cls, chain: ProteinChain, free: Tensor) -> Levers:
        """Of the torsions phi, psi and chi for which `free` (L, 7) is one."""
        residue, group = (
            torch.as_tensor(values, device=free.device) for values in (chain.atom_residue, chain.atom_group)
        )
        row = torch.as_tensor(np.searchsorted(chain.atom_indices, chain.atom14_index))
        chosen = free.flatten().nonzero()[:, 0]
        ends, carried = [], []
        for number in chosen.tolist():
            i, torsion = divmod(number, residues.N_TORSIONS)
            slots = {_PHI: (_N, _CA), _PSI: (_CA, _C)}.get(torsion)
            ends.append(row[i, list(slots or residues.CHI_SLOTS[chain.aatype[i]][torsion - _FIRST_CHI][1:3])].tolist())
            carried.append(_carried(residue, group, i, torsion))
        at = torch.tensor(ends, dtype=torch.int64, device=free.device).reshape(-1, 2)
        return cls(chosen, at, torch.stack(carried).to(free) if carried else free.new_zeros(0, len(residue)))

    def to(self, device: torch.device) -> Levers:
        """The same on a device."""
        return Levers(self.torsions.to(device), self.ends.to(device), self.carried.to(device))

    def slopes(self, atoms: Tensor, pairs: Pairs) -> tuple[Tensor, Tensor]:
        """(P,) distances of pairs in atoms (F, n, 3), and (P, K) how each grows with each torsion of its frame."""
        origin = atoms[:, self.ends[:, 0]]
        axis = torch.nn.functional.normalize(atoms[:, self.ends[:, 1]] - origin, dim=-1)  # (F, K, 3)
        moment = torch.linalg.cross(axis, origin)
        one, other = atoms[pairs.frame, pairs.first], atoms[pairs.frame, pairs.second]
        distance = (one - other).norm(dim=-1)
        along = (one - other) / distance[:, None].clamp_min(1e-6)
        shift = (moment[pairs.frame] * along[:, None]).sum(-1)  # (P, K)
        slopes = torch.zeros_like(shift)
        for members, sign in ((pairs.first, 1), (pairs.second, -1)):
            turned = torch.linalg.cross(atoms[pairs.frame, members], along)
            slopes += sign * self.carried[:, members].T * ((axis[pairs.frame] * turned[:, None]).sum(-1) - shift)
        return distance, slopes

    def turned(self, torsions: Tensor, turn: Tensor) -> Tensor:
        """Torsions (F, L, 7, 2) turned by (F, K) radian; all others stay as they are to the last bit."""
        pairs = torsions.flatten(1, 2)
        angles = torch.atan2(pairs[:, self.torsions, 0], pairs[:, self.torsions, 1]) + turn
        after = pairs.index_copy(1, self.torsions, torch.stack([angles.sin(), angles.cos()], dim=-1))
        return after.view_as(torsions)


def _carried(residue: Tensor, group: Tensor, i: int, torsion: int) -> Tensor:
    """(n,) which atoms turn with a torsion of residue i."""
    if torsion == _PHI:
        return (residue > i) | ((residue == i) & (group != OMEGA_GROUP) & (group != PHI_GROUP))
    if torsion == _PSI:
        return (residue > i) | ((residue == i) & (group == PSI_GROUP))
    return (residue == i) & (group >= CHI1_GROUP + torsion - _FIRST_CHI)
