"""Turning generated torsions by as little as lifts overlaps of atoms.

Where a chain is built of its torsions, all of them may turn (`relieve_clashes`); where its backbone has been fitted in
space, side chains alone (`relieve_side_chains`).

Axes as in `template`. A network trained on little data places bulky side chains without regard to each other. Atoms
more than three bonds apart that come nearer than they do in MD at 350 K are pushed apart in torsion space: bond
lengths, angles and peptide bonds stay as they are, and frames without overlap are not touched.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.bonds import COMFORTABLE
from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.template import AllAtomTemplate

_ALLOWED = 0.1  # ångström of overlap that is left alone
_ROUNDS, _STEPS, _RATE = 4, 12, 0.05  # rounds over what still clashes, of so many steps of Adam, in radian
_SMALL = 0.1  # Å² per radian: slopes below are no reason to turn, and rounding does not decide
_FRAMES_AT_ONCE = 500  # all pairs of atoms of each are held in memory
_PAIRS_AT_ONCE = 20_000_000  # of atoms, where the chain is long
_WATCHED = 3.0  # ångström beyond contact: pairs that side chains may bring together while they turn
_OMEGA, _PHI = range(2)
_N_BACKBONE = 3  # omega, phi, psi


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


def relieve_side_chains(
    template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions with which side chains overlap less, on backbones that stay where they are.

    Chains may be long: only pairs of atoms that are near each other are followed. Half a disulfide keeps its chi1, and
    so does proline its ring.
    """
    contact, free = _contacts(template).to(torsions), _free(template).to(torsions)
    free[:, :_N_BACKBONE] = 0
    free[[residue for bond in template.chain.disulfides for residue in bond]] = 0
    frames = torsions.flatten(0, -4)
    places = Rigid(rigids.rotation.flatten(0, -4), rigids.translation.flatten(0, -3))
    size = max(1, _PAIRS_AT_ONCE // contact.numel())
    parts = []
    for start in range(0, len(frames), size):
        part = slice(start, start + size)
        parts.append(_with_side_chains_apart(template, places[part], frames[part], contact, free))
    return torch.cat(parts).unflatten(0, torsions.shape[:-3])


def _with_side_chains_apart(
    template: AllAtomTemplate, rigids: Rigid, torsions: Tensor, contact: Tensor, free: Tensor
) -> Tensor:
    """(F, L, 7, 2)."""
    relieved = torsions.clone()
    for _ in range(_ROUNDS):
        near = contact - _apart(template, rigids, relieved)
        clashing = (near.flatten(1).amax(dim=1) > _ALLOWED).nonzero()[:, 0]
        if len(clashing) == 0:
            break
        pairs = (near[clashing] > -_WATCHED).triu(diagonal=1) & (contact > 0)
        frame, first, second = pairs.nonzero(as_tuple=True)
        there, limit = rigids[clashing], contact[first, second]
        start = torch.atan2(relieved[clashing, ..., 0], relieved[clashing, ..., 1])

        def overlap(change: Tensor) -> Tensor:
            atoms = to_angstrom(template.place(there, _pairs(start + change * free)))  # noqa: B023
            gaps = (atoms[frame, first] - atoms[frame, second]).square().sum(-1)  # noqa: B023
            return (limit - torch.sqrt(gaps + 1e-6)).clamp_min(0).square().sum()  # noqa: B023

        relieved[clashing] = _pairs(start + _descended(overlap, start) * free)
    return relieved


def _apart(template: AllAtomTemplate, rigids: Rigid, torsions: Tensor) -> Tensor:
    """(F, n, n) ångström."""
    atoms = to_angstrom(template.place(rigids, torsions))
    return torch.cdist(atoms, atoms)


def _descended(overlap: Callable[[Tensor], Tensor], like: Tensor) -> Tensor:
    """The change of angles, shaped as `like`, after a few steps down an overlap."""
    with torch.enable_grad():
        change = torch.zeros_like(like, requires_grad=True)
        optimizer = torch.optim.Adam([change], lr=_RATE, eps=_SMALL)
        for _ in range(_STEPS):
            optimizer.zero_grad()
            overlap(change).backward()
            optimizer.step()
    return change.detach()


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

    def overlap(change: Tensor) -> Tensor:
        return (contact - _distances(template, _pairs(start + change * free))).clamp_min(0).square().sum()

    return _pairs(start + _descended(overlap, start) * free)


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
