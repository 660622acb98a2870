"""All atoms of generated frames: whole, without overlaps, and meeting the frames that were given.

Axes: ``R`` trajectories, ``T`` frames, ``L`` residues, ``n`` atoms of the chain. Ångström in, nanometre out.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.atom14 import backbone_points
from openmm_mdgen.geometry.rigid import Rigid, between, superposition
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.blending import blended
from openmm_mdgen.molecule.chain import ANGSTROM_PER_NM
from openmm_mdgen.molecule.clashes import relieve_clashes
from openmm_mdgen.molecule.proline import limit_puckers
from openmm_mdgen.molecule.template import AllAtomTemplate

_FRAMES_AT_ONCE = 5000  # of one trajectory: a matrix of each atom is held in memory


def place(
    template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "R T L 7 2"], backbone: str
) -> Float[Tensor, "R T n 3"]:
    """Atoms with the geometry of one structure; `backbone` as in `ModelInfo`."""
    pieces = []
    for start in range(0, torsions.shape[1], _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        turned = settled(template, torsions[:, part], backbone)
        near = rigids[:, part]
        placed = laid_over(template.chain_rigids(turned), near) if backbone == "torsions" else near
        pieces.append(template.place(placed, turned))
    return torch.cat(pieces, dim=1)


def place_between(
    first: AllAtomTemplate,
    second: AllAtomTemplate,
    rigids: Rigid,
    torsions: Float[Tensor, "*batch T L 7 2"],
    share: Float[Tensor, " T"],
    backbone: str,
) -> Float[Tensor, "*batch T n 3"]:
    """Atoms whose bond lengths and angles go from those of one structure (share 0) to those of another (1).

    Rigids and torsions of the first structure with share 0, and of the second with share 1, give these structures.
    """
    share = share.to(torsions)
    if backbone != "torsions":
        return blended(first.chain, first.place(rigids, torsions), second.place(rigids, torsions), share)
    one = first.chain_rigids(torsions)
    two = laid_over(second.chain_rigids(torsions), one)  # nearly equal; only what comes of both is laid over the rigids
    atoms = blended(first.chain, first.place(one, torsions), second.place(two, torsions), share) * ANGSTROM_PER_NM
    points = backbone_points(between(one, two, share[:, None]))
    motion = superposition(points, backbone_points(rigids), torch.ones_like(points[..., 0]))
    return motion[..., None].apply(atoms) / ANGSTROM_PER_NM


def settled(template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"], backbone: str) -> Tensor:
    """Torsions with proline rings within reach of closing and, in chains built of torsions, overlaps lifted."""
    torsions = limit_puckers(template, torsions)
    return relieve_clashes(template, torsions) if backbone == "torsions" else torsions
