"""Heavy atoms in 14 slots per residue, to backbone rigids and torsions, and back with ideal geometry.

Axes: any batch axes, then ``L`` residues, then ``14`` slots or ``7`` torsions; a torsion is the pair (sin, cos).
Lengths in ångström. Formulas: Jumper et al. 2021, supplementary algorithms 21 and 24.
"""

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.rigid import Rigid

_N, _CA, _C, _O = range(4)

# N, CA and C of an average residue in its own rigid, ångström: stand for a rigid where points are superposed.
_BACKBONE_POSITIONS = torch.tensor([[-0.525, 1.363, 0.0], [0.0, 0.0, 0.0], [1.526, 0.0, 0.0]])


def backbone_points(rigids: Rigid) -> Float[Tensor, "... points 3"]:
    """(..., L) to (..., 3 L, 3): N, CA and C of every residue, with average geometry."""
    return rigids[..., None].apply(_BACKBONE_POSITIONS.to(rigids.translation)).flatten(-3, -2)


def table(values, like: Tensor) -> Tensor:
    """A table of `residues` as a tensor on the device of `like`, floats in its type."""
    tensor = torch.as_tensor(values)
    return tensor.to(like) if tensor.is_floating_point() else tensor.to(like.device)


def backbone_rigids(atom14: Float[Tensor, "*batch L 14 3"]) -> Rigid:
    """(..., L) rigids: origin CA, x towards C, y towards N."""
    rigid = Rigid.from_three_points(atom14[..., _C, :], atom14[..., _CA, :], atom14[..., _N, :])
    flip = rigid.rotation.new_tensor([-1.0, 1.0, -1.0])
    return Rigid(rigid.rotation * flip, rigid.translation)


def torsion_mask(
    aatype: Int[Tensor, "*batch L"], n_capped: Bool[Tensor, "*batch"] | bool = False
) -> Float[Tensor, "*batch L 7"]:
    """1.0 where the torsion is defined, 0.0 elsewhere.

    Parameters
    ----------
    aatype : Tensor
        Types of whole chains: each begins with its first residue.
    n_capped : Tensor or bool
        Whether a cap stands before the first residue. Pre-omega and phi of that residue are defined then only.
    """
    chi = table(residues.CHI_MASK, aatype.new_zeros((), dtype=torch.get_default_dtype()))[aatype]
    backbone = torch.ones_like(chi[..., :3])
    backbone[..., 0, :2] = torch.as_tensor(n_capped).to(backbone)[..., None]
    return torch.cat([backbone, chi], dim=-1)


def dihedral(points: Float[Tensor, "*batch 4 3"]) -> Float[Tensor, "*batch 2"]:
    """The pair (sin, cos) of the IUPAC dihedral; (0, 0) where the last two points coincide."""
    a0, a1, a2, a3 = points.unbind(-2)
    local = Rigid.from_three_points(a1, a2, a0).inverse().apply(a3)
    pair = torch.stack([local[..., 2], local[..., 1]], dim=-1)
    return pair / torch.sqrt((pair**2).sum(-1, keepdim=True) + 1e-8)


def torsions(
    aatype: Int[Tensor, "*#batch L"],
    atom14: Float[Tensor, "*batch L 14 3"],
    before: Float[Tensor, "*#batch 2 3"] | None = None,
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions of every residue, as pairs (sin, cos).

    psi is measured to the carbonyl oxygen and turned by half a circle, so the last residue has one. Where a torsion is
    undefined the value is not: an absent chi gives (0, 0), and the first residue of a chain without a cap is measured
    as if its missing neighbour lay at the coordinate origin. Published checkpoints were trained with those values; use
    `torsion_mask`.

    Parameters
    ----------
    aatype : Tensor
    atom14 : Tensor
        Heavy atoms in their slots, ångström.
    before : Tensor, optional
        The points of a cap that stand for CA and C of a residue before the first, ångström.
    """
    first = torch.zeros_like(atom14[..., :1, :3, :])
    if before is not None:
        first[..., 0, _CA : _C + 1, :] = before
    previous = torch.cat([first, atom14[..., :-1, :3, :]], dim=-3)
    pre_omega = torch.stack([previous[..., _CA, :], previous[..., _C, :], atom14[..., _N, :], atom14[..., _CA, :]], -2)
    phi = torch.stack([previous[..., _C, :], atom14[..., _N, :], atom14[..., _CA, :], atom14[..., _C, :]], dim=-2)
    psi = atom14[..., [_N, _CA, _C, _O], :]
    slots = table(residues.CHI_SLOTS, atom14)[aatype].flatten(-2)  # (..., L, 16)
    slots = slots.expand(*atom14.shape[:-2], 16)
    chi = torch.gather(atom14, -2, slots[..., None].expand(*slots.shape, 3)).unflatten(-2, (4, 4))
    quadruples = torch.cat([torch.stack([pre_omega, phi, psi], dim=-3), chi], dim=-3)  # (..., L, 7, 4, 3)
    sign = atom14.new_tensor([1, 1, -1, 1, 1, 1, 1])[:, None]
    return dihedral(quadruples) * sign


def group_rigids(rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"], default: Rigid) -> Rigid:
    """The eight rigid groups of each residue in space, (..., L, 8).

    Parameters
    ----------
    rigids : Rigid, (..., L)
    torsions : Tensor
        (sin, cos), used as they are: a pair that is not normalised shears its group.
    default : Rigid, (..., L, 8)
        Each group relative to the backbone (groups 0-4) or to the chi before it (5-7), at torsion zero.
    """
    no_turn = torch.stack([torch.zeros_like(torsions[..., :1, 0]), torch.ones_like(torsions[..., :1, 0])], dim=-1)
    local = default.turned(torch.cat([no_turn, torsions], dim=-2))  # (..., L, 8)
    groups = [local[..., k] for k in range(5)]
    for k in (5, 6, 7):
        groups.append(groups[-1] @ local[..., k])
    return rigids[..., None] @ Rigid.stack(groups)


def atom14_from_rigids(
    aatype: Int[Tensor, "*#batch L"], rigids: Rigid, torsions: Float[Tensor, "*#batch L 7 2"]
) -> Float[Tensor, "*#batch L 14 3"]:
    """Place the heavy atoms with ideal residue geometry; ångström, zeros in unused slots."""
    default = table(residues.DEFAULT_FRAME, torsions)[aatype]
    groups = group_rigids(rigids, torsions, Rigid(default[..., :3, :3], default[..., :3, 3]))
    which = table(residues.ATOM14_GROUP, torsions)[aatype].expand(*rigids.shape, residues.N_SLOTS)
    rotation = torch.gather(groups.rotation, -3, which[..., None, None].expand(*which.shape, 3, 3))
    translation = torch.gather(groups.translation, -2, which[..., None].expand(*which.shape, 3))
    atoms = Rigid(rotation, translation).apply(table(residues.ATOM14_POSITION, torsions)[aatype])
    return atoms * table(residues.ATOM14_MASK, torsions)[aatype][..., None]
