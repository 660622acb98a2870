"""Turning generated torsions by as little as lifts overlaps of atoms.

Axes as in `template`. A network trained on little data places bulky side chains without regard to each other. Atoms
more than three bonds apart that come nearer than they do in MD at 350 K are pushed apart in torsion space: bond
lengths, angles and peptide bonds stay as they are, and frames without overlap are not touched.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.bonds import COMFORTABLE
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.template import AllAtomTemplate

_ALLOWED = 0.1  # ångström of overlap that is left alone
_ROUNDS, _STEPS, _RATE = 4, 12, 0.05  # rounds over what still clashes, of so many steps of Adam, in radian
_SMALL = 0.1  # Å² per radian: slopes below are no reason to turn, and rounding does not decide
_FRAMES_AT_ONCE = 500  # all pairs of atoms of each are held in memory
_OMEGA, _PHI = range(2)


def relieve_clashes(
    template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"], *, turns_caps: bool = True
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions of the same chains, with overlaps of atoms lifted where a few tens of small steps can.

    Peptide bonds keep their omega, and prolines their ring. Without `turns_caps` a capped first residue keeps its phi.
    """
    contact, free = _contacts(template).to(torsions), _free(template).to(torsions)
    if template.chain.is_cyclic or (template.chain.n_cap is not None and not turns_caps):
        free[0, _PHI] = 0
    parts = torsions.flatten(0, -4).split(_FRAMES_AT_ONCE)
    relieved = torch.cat([_relieved(template, part, contact, free) for part in parts])
    return relieved.unflatten(0, torsions.shape[:-3])


def _relieved(template: AllAtomTemplate, torsions: Tensor, contact: Tensor, free: Tensor) -> Tensor:
    """(F, L, 7, 2)."""
    relieved = torsions.clone()
    for _ in range(_ROUNDS):
        deepest = (contact - _distances(template, relieved)).flatten(1).max(dim=1).values
        clashing = (deepest > _ALLOWED).nonzero()[:, 0]
        if len(clashing) == 0:
            break
        relieved[clashing] = _pushed_apart(template, relieved[clashing], contact, free)
    return relieved


def _pushed_apart(template: AllAtomTemplate, torsions: Tensor, contact: Tensor, free: Tensor) -> Tensor:
    """(F, L, 7, 2) after a few steps down the sum of squared overlaps."""
    start = torch.atan2(torsions[..., 0], torsions[..., 1])
    with torch.enable_grad():
        change = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.Adam([change], lr=_RATE, eps=_SMALL)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            overlaps = (contact - _distances(template, _pairs(start + change * free))).clamp_min(0)
            overlaps.square().sum().backward()
            optimizer.step()
    return _pairs(start + change.detach() * free)


def _pairs(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos()], dim=-1)


def _distances(template: AllAtomTemplate, torsions: Tensor) -> Tensor:
    """(F, n, n) ångström."""
    atoms = to_angstrom(template.place(template.chain_rigids(torsions), torsions))
    return torch.sqrt((atoms[:, :, None] - atoms[:, None]).square().sum(-1) + 1e-6)


def _contacts(template: AllAtomTemplate) -> Tensor:
    """(n, n) ångström: how near each pair may come, 0 within three bonds."""
    chain = template.chain
    hydrogens = chain.is_hydrogen[:, None].astype(int) + chain.is_hydrogen[None]
    return torch.from_numpy(np.where(chain.graph.near(), 0.0, to_angstrom(np.array(COMFORTABLE))[hydrogens]))


def _free(template: AllAtomTemplate) -> Tensor:
    """(L, 7): 1.0 for the torsions that may turn."""
    chain = template.chain
    free = chain.torsion_mask
    free[:, _OMEGA] = 0
    free[[letter == "P" for letter in chain.sequence], 3:] = 0
    return free
