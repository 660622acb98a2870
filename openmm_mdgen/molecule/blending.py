"""From one structure's bond lengths and angles to another's, over frames built with both.

Axes: any batch axes (frames), ``n`` atoms of the chain; any unit of length. The same torsions, placed with the geometry
of a structure and with that of a later one, give nearly equal atoms. Between the two, heavy atoms go straight: bond
angles differ by a few degrees, so lengths stay to 0.005 nm. Hydrogens turn about the bond that carries them, those of
one heavy atom together and by the shorter way, as methyl, ammonium and hydroxyl groups do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.molecule.chain import ProteinChain
from openmm_mdgen.molecule.template import AllAtomTemplate


@dataclass(frozen=True, eq=False)
class Geometries:
    """The bond lengths and angles of a structure, or for each of some frames what lies between those of two."""

    first: AllAtomTemplate
    second: AllAtomTemplate | None = None
    share: Tensor | None = None  # (F,): 0 where a frame has the geometry of the first, 1 where it has the second's

    def among(self, frames: Tensor) -> Geometries:
        """Those of some frames."""
        return self if self.share is None else Geometries(self.first, self.second, self.share[frames])

    def place(self, rigids: Rigid, torsions: Float[Tensor, "F L 7 2"]) -> Float[Tensor, "F n 3"]:
        """Atoms, in nm."""
        one = self.first.place(rigids, torsions)
        if self.second is None or self.share is None:
            return one
        return blended(self.first.chain, one, self.second.place(rigids, torsions), self.share.to(torsions))


def blended(
    chain: ProteinChain,
    first: Float[Tensor, "*#batch n 3"],
    second: Float[Tensor, "*#batch n 3"],
    share: Float[Tensor, "*#batch"],
) -> Float[Tensor, "*#batch n 3"]:
    """Atoms between the first geometry (share 0) and the second (1)."""
    share = share[..., None, None]
    atoms = (1 - share) * first + share * second
    hydrogen, parent, axis_start = _rotors(chain)
    if len(hydrogen) == 0:
        return atoms

    def around(points: Tensor) -> Tensor:
        """(..., h, 3): each hydrogen along the bond to its parent, and in the plane across it."""
        return _bond_frames(points, parent, axis_start).inverse().apply(points[..., hydrogen, :])

    # By how much each hydrogen turns about its bond from the first geometry to the second, as a complex number.
    one, two = around(first), around(second)
    turn = torch.complex(*one[..., 1:].unbind(-1)).conj() * torch.complex(*two[..., 1:].unbind(-1))
    # The turn that those of one heavy atom have in common: the direction of the sum of theirs.
    group = torch.as_tensor(np.unique(parent, return_inverse=True)[1])
    mean = torch.zeros(*turn.shape[:-1], int(group.max()) + 1, dtype=turn.dtype).to(turn.device)
    common = mean.index_add_(-1, group.to(turn.device), turn)[..., group].angle()
    # What is left to each of them is small, so the hydrogens of a methyl group go the same way round.
    own = torch.angle(turn * torch.polar(torch.ones_like(common), -common))
    share = share[..., 0]
    angle = torch.atan2(one[..., 2], one[..., 1]) + share * (common + own)
    # Distance from the bond's axis and along it go straight, the angle about it as found; the axis is the blended one.
    radius = (1 - share) * one[..., 1:].norm(dim=-1) + share * two[..., 1:].norm(dim=-1)
    along = (1 - share) * one[..., 0] + share * two[..., 0]
    turned = torch.stack([along, radius * angle.cos(), radius * angle.sin()], dim=-1)
    atoms[..., hydrogen, :] = _bond_frames(atoms, parent, axis_start).apply(turned)
    return atoms


def _bond_frames(points: Tensor, parent: np.ndarray, axis: np.ndarray) -> Rigid:
    """(..., h): origin at the parent, x along the bond that leads to it, y towards a third heavy atom."""
    start, third = axis.T
    return Rigid.from_three_points(points[..., start, :], points[..., parent, :], points[..., third, :])


def _rotors(chain: ProteinChain) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(h,), (h,), (h, 2): hydrogens, their parents, a heavy neighbour of each parent and one of that neighbour's."""
    neighbours = chain.graph.neighbours
    hydrogens = np.flatnonzero(chain.is_hydrogen)
    parents = np.array([neighbours[h][0] for h in hydrogens], dtype=np.int64)
    axes = []
    for parent in parents:
        starts = (a for a in neighbours[parent] if not chain.is_hydrogen[a])
        # Not a neighbour at an end, such as O of a formyl group: the plane needs a third atom.
        heavy = ((s, a) for s in starts for a in neighbours[s] if not chain.is_hydrogen[a] and a != parent)
        axes.append(next(heavy))
    return hydrogens, parents, np.array(axes, dtype=np.int64).reshape(-1, 2)
