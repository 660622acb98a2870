"""All atoms of generated frames: whole, without overlaps, and meeting the frames that were given.

Axes: ``R`` trajectories, ``T`` frames, ``L`` residues, ``n`` atoms of the chain. Ångström in, nanometre out.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.backbone import laid_over
from openmm_mdgen.blending import blended
from openmm_mdgen.clashes import relieve_clashes
from openmm_mdgen.reconstruct import AllAtomTemplate
from openmm_mdgen.rigid import Rigid
from openmm_mdgen.rings import limit_puckers

_FRAMES_AT_ONCE = 5000  # of one trajectory: a matrix of each atom is held in memory


def place(
    template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "R T L 7 2"], backbone: str
) -> Float[Tensor, "R T n 3"]:
    """Atoms with the geometry of one structure; `backbone` as in `ModelInfo`."""
    pieces = []
    for start in range(0, torsions.shape[1], _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        turned = settled(template, torsions[:, part], backbone)
        pieces.append(_placed(template, rigids[:, part], turned, backbone))
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
    one, two = (_placed(template, rigids, torsions, backbone) for template in (first, second))
    return blended(first.chain, one, two, share.to(one))


def settled(template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"], backbone: str) -> Tensor:
    """Torsions with proline rings within reach of closing and, in chains built of torsions, overlaps lifted."""
    torsions = limit_puckers(template, torsions)
    return relieve_clashes(template, torsions) if backbone == "torsions" else torsions


def _placed(template: AllAtomTemplate, rigids: Rigid, torsions: Tensor, backbone: str) -> Tensor:
    if backbone == "torsions":
        rigids = laid_over(template.chain_rigids(torsions), rigids)
    return template.place(rigids, torsions)
