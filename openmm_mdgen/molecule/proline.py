"""Keeping proline's generated torsions within reach of a closed ring.

Axes as in `template`, which closes a ring by bending two of its angles. With fixed angles the distance N-CD depends
on chi1 and chi2 alone and grows with their common amplitude, so each direction in the (chi1, chi2) plane, that is each
pucker, has one amplitude at which the ring is closed; torsions far from it are moved along their direction.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.atom14 import group_rigids
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.molecule.template import AllAtomTemplate

_CHI1, _CHI2 = 3, 4
TOLERANCE = 0.5  # ångström; more than real rings at 350 K need, and small enough to be closed by bending
_LARGEST = math.radians(100.0)
_HALVINGS = 24  # 100 degrees over 2^24


def limit_puckers(template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"]) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions with chi1, chi2 of PRO scaled until N-CD, angles fixed, is near the bond's length.

    The ratio of the two angles, hence the pucker, is kept. Other residues are not touched.
    """
    prolines = [i for i, letter in enumerate(template.chain.sequence) if letter == "P"]
    if not prolines:
        return torsions
    n, cd = (_template_atoms(template, prolines, name).to(torsions) for name in ("N", "CD"))  # (P, 3)
    own = template.torsions[prolines].to(torsions)  # (P, 7, 2)
    default = template.default[prolines].to(torsions)

    def length(turned: Tensor) -> Tensor:
        groups = group_rigids(Rigid.identity(turned.shape[:-2], turned), turned, default)
        return (groups[..., 5].apply(cd) - groups[..., 0].apply(n)).norm(dim=-1)

    # The pucker that was asked for, as a direction and an amplitude in the plane of (chi1, chi2).
    found = torsions[..., prolines, :, :]
    angles = torch.atan2(found[..., _CHI1 : _CHI2 + 1, 0], found[..., _CHI1 : _CHI2 + 1, 1])  # (..., P, 2)
    flat = angles.norm(dim=-1, keepdim=True) < 1e-3  # no pucker to keep: the template's
    angles = torch.where(flat, torch.atan2(own[..., _CHI1 : _CHI2 + 1, 0], own[..., _CHI1 : _CHI2 + 1, 1]), angles)
    # N-CD at that amplitude, and the nearest length from which bending two angles closes the ring.
    ideal, actual = length(own), length(_with_chi(found, angles))
    target = actual.clamp(ideal - TOLERANCE, ideal + TOLERANCE)
    direction = angles / angles.norm(dim=-1, keepdim=True)
    # The amplitude of that length, by halving: the distance grows with the amplitude.
    low, high = torch.zeros_like(angles[..., 0]), torch.full_like(angles[..., 0], _LARGEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        long = length(_with_chi(found, direction * middle[..., None])) > target
        low, high = torch.where(long, low, middle), torch.where(long, middle, high)
    # Where the ring is within reach already, the torsions stay exactly as they were.
    angles = torch.where((target == actual)[..., None], angles, direction * ((low + high) / 2)[..., None])
    closed = torsions.clone()
    closed[..., prolines, :, :] = _with_chi(found, angles)
    return closed


def _with_chi(torsions: Tensor, angles: Tensor) -> Tensor:
    """Torsions with chi1 and chi2 set to angles (..., 2)."""
    pair = torch.stack([angles.sin(), angles.cos()], dim=-1)
    return torch.cat([torsions[..., :_CHI1, :], pair, torsions[..., _CHI2 + 1 :, :]], dim=-2)


def _template_atoms(template: AllAtomTemplate, members: list[int], name: str) -> Tensor:
    """(P, 3) ångström: an atom of each residue in its own rigid group."""
    slot = residues.ATOM14_NAMES["PRO"].index(name)
    chain = template.chain
    where = {int(atom): k for k, atom in enumerate(chain.atom_indices)}
    return template.positions[[where[int(chain.atom14_index[i, slot])] for i in members]]
