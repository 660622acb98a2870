"""Atoms that overlap push the bodies of a chain apart, beside what else a fit asks of them.

A *node* is what moves as one when hinges turn: a body with all its side chain (node 3 i of body i), what follows a psi
hinge before omega turns, which is O (3 i + 1), and what follows an omega hinge before phi turns, which is H (3 i + 2).
Axes as in `hinges`, frames last; ``n`` atoms, ``M`` nodes: 3 K + 1, ``P`` pairs of atoms. Ångström.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from openmm_mdgen.geometry.residues import PHI_GROUP, PSI_GROUP
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.contacts import Pairs
from openmm_mdgen.molecule.hinges import Articulated, Poses, load_of

_STIFFNESS = 30.0  # of an overlap beside one atom's distance from where it was generated


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of atoms that may not come nearer than a limit, each atom rigid in its node."""

    nodes: Tensor  # (n,) int
    atoms: Tensor  # (n, 3, F): in the coordinates of the node
    pairs: Pairs  # of atoms in different nodes

    @classmethod
    def of(cls, nodes: Tensor, chain: Articulated, atoms: Tensor, pairs: Pairs) -> Overlaps:
        """From where atoms (F, n, 3) are in a chain whose nodes (n,) they belong to."""
        poses = chain.nodes()
        inside = Poses(poses.rotation[nodes], poses.position[nodes]).local(atoms.movedim(0, -1))
        return cls(nodes, inside, pairs.where(nodes[pairs.first] != nodes[pairs.second]))

    def among(self, frames: Tensor) -> Overlaps:
        """Those of some frames."""
        n_frames = self.atoms.shape[-1]
        return replace(self, atoms=self.atoms[..., frames], pairs=self.pairs.among(frames, n_frames))

    def cost(self, chain: Articulated) -> Tensor:
        """(F,) Å²."""
        pairs, _, _, depth = self._met(chain)
        cost = depth.new_zeros(self.atoms.shape[-1])
        return cost.index_put_((pairs.frame,), _STIFFNESS * depth.square(), accumulate=True)

    def pushes(self, chain: Articulated) -> tuple[Tensor, Tensor]:
        """(M, 6, 6, F) and (M, 6, F): a bound from above on the cost of each node's twist, as in `fitting`.

        The cost of a pair is a square of what both its nodes do. The sum of squares of what each has to do for half of
        the way is not smaller, equal where both do their half, and asks of each node by itself.
        """
        pairs, atoms, along, depth = self._met(chain)
        n_frames, n_nodes = self.atoms.shape[-1], 3 * len(chain.angles) + 1
        inertia, load = along.new_zeros(n_nodes, n_frames, 6, 6), along.new_zeros(n_nodes, n_frames, 6)
        for members, direction in ((pairs.first, along), (pairs.second, -along)):
            loads = load_of(atoms[pairs.frame, members].T, direction.T).T  # (P, 6)
            at = (self.nodes[members], pairs.frame)
            inertia.index_put_(at, 2 * _STIFFNESS * loads[:, :, None] * loads[:, None], accumulate=True)
            load.index_put_(at, _STIFFNESS * depth[:, None] * loads, accumulate=True)
        return inertia.movedim(1, -1), load.movedim(1, -1)

    def _met(self, chain: Articulated) -> tuple[Pairs, Tensor, Tensor, Tensor]:
        """The pairs that overlap, atoms (F, n, 3), and of each pair its direction (P, 3) and depth (P,)."""
        poses = chain.nodes()
        atoms = Poses(poses.rotation[self.nodes], poses.position[self.nodes]).apply(self.atoms).movedim(-1, 0)
        pairs = self.pairs.overlapping(atoms)
        apart = atoms[pairs.frame, pairs.first] - atoms[pairs.frame, pairs.second]
        distance = apart.norm(dim=-1)
        return pairs, atoms, apart / distance[:, None].clamp_min(1e-6), pairs.limit - distance


def nodes_of(chain: ProteinChain) -> Tensor:
    """(n,) the node of each atom. O at the end of an open chain, and H of its first residue, lie in the body."""
    residue, group = (torch.as_tensor(values) for values in (chain.atom_residue, chain.atom_group))
    last, is_open = len(chain.sequence) - 1, not chain.is_cyclic
    nodes = 3 * residue
    carries_psi = (group == PSI_GROUP) & ~((residue == last) & is_open)
    carries_phi = (group == PHI_GROUP) & ~((residue == 0) & is_open)
    before = torch.where(residue == 0, last, residue - 1)
    return torch.where(carries_psi, nodes + 1, torch.where(carries_phi, 3 * before + 2, nodes))
