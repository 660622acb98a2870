"""Turning generated torsions by as little as lifts overlaps of atoms.

Where a chain is built of its torsions, all of them may turn (`relieve_clashes`); where its backbone has been fitted in
space, side chains alone (`relieve_side_chains`).

Axes as in `template`. A network trained on little data places bulky side chains without regard to each other. Atoms
more than three bonds apart that come nearer than they do in MD at 350 K are pushed apart in torsion space: bond
lengths, angles and peptide bonds stay as they are, and frames without overlap are not touched.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.contacts import ALLOWED, Pairs, at_once, close_pairs, contacts
from openmm_mdgen.molecule.template import AllAtomTemplate

_ROUNDS, _STEPS, _RATE = 4, 12, 0.05  # rounds over what still clashes, of so many steps of Adam, in radian
_SMALL = 0.1  # Å² per radian: slopes below are no reason to turn, and rounding does not decide
_FLAT = 1e-3  # Å² per radian: where no slope is above, no torsion lifts what is left, and steps would swing about it
_WATCHED = 3.0  # ångström beyond contact: pairs that side chains may bring together while they turn
_OMEGA, _PHI = range(2)
_N_BACKBONE = 3  # omega, phi, psi

Placing = Callable[[Tensor, Tensor], Tensor]  # numbers of frames (F,), and their torsions, to atoms (F, n, 3) in Å


def relieve_clashes(
    template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"], *, turns_caps: bool = True
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions of the same chains, with overlaps of atoms lifted where a few tens of small steps can.

    Peptide bonds keep their omega, and prolines their ring. Without `turns_caps` a capped first residue keeps its phi.
    """
    free = _free(template)
    if template.chain.is_cyclic or (template.chain.n_cap is not None and not turns_caps):
        free[0, _PHI] = 0

    def placed(_: Tensor, turned: Tensor) -> Tensor:
        return to_angstrom(template.place(template.chain_rigids(turned), turned))

    return _relieved(template, torsions, free, placed, watched=math.inf)


def relieve_side_chains(
    template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions with which side chains overlap less, on backbones that stay where they are.

    Chains may be long: only pairs of atoms that are near each other are followed. Half a disulfide keeps its chi1, and
    so does proline its ring.
    """
    free = _free(template)
    free[:, :_N_BACKBONE] = 0
    free[[residue for bond in template.chain.disulfides for residue in bond]] = 0
    places = Rigid(rigids.rotation.flatten(0, -4), rigids.translation.flatten(0, -3))

    def placed(frames: Tensor, turned: Tensor) -> Tensor:
        return to_angstrom(template.place(places[frames.to(torsions.device)].to(turned), turned))

    return _relieved(template, torsions, free, placed, watched=_WATCHED)


def _relieved(template: AllAtomTemplate, torsions: Tensor, free: Tensor, placed: Placing, watched: float) -> Tensor:
    """Torsions (*batch, L, 7, 2) turned where `free` (L, 7) is one; pairs within `watched` of contact are followed.

    Double precision: steps swing about the place where overlaps end, and what rounding changes grows with each.
    """
    device = torch.device("cpu") if torsions.device.type == "mps" else torsions.device  # which has none
    contact, free = (values.to(device, torch.float64) for values in (contacts(template.chain), free))
    relieved = torsions.flatten(0, -4).to(device, torch.float64, copy=True)
    for clashing in torch.arange(len(relieved), device=device).split(at_once(len(contact), watched)):
        for _ in range(_ROUNDS):
            depth, pairs = close_pairs(placed(clashing, relieved[clashing]), contact, watched)
            is_deep = depth > ALLOWED
            if not is_deep.any():
                break
            pairs = pairs.among(is_deep.nonzero()[:, 0], len(clashing))
            clashing = clashing[is_deep]
            relieved[clashing], is_steep = _pushed_apart(relieved[clashing], free, clashing, placed, pairs)
            clashing = clashing[is_steep]
    return relieved.to(torsions).unflatten(0, torsions.shape[:-3])


def _pushed_apart(
    torsions: Tensor, free: Tensor, frames: Tensor, placed: Placing, pairs: Pairs
) -> tuple[Tensor, Tensor]:
    """Torsions (F, L, 7, 2) after a few steps of Adam down the sum of squared overlaps, and (F,) where there were any.

    Where it is flat, no torsion lifts what overlaps.
    """
    start = torch.atan2(torsions[..., 0], torsions[..., 1])
    with torch.enable_grad():
        change = torch.zeros_like(start, requires_grad=True)
        optimizer = torch.optim.Adam([change], lr=_RATE, eps=_SMALL)

        def slope(numbers: Tensor, among: Pairs) -> Tensor:
            atoms = placed(frames[numbers], _pairs((start + change * free)[numbers]))
            return torch.autograd.grad(_overlap(atoms, among), change)[0]

        steep = everywhere = torch.arange(len(start), device=start.device)
        change.grad = slope(everywhere, pairs)
        is_steep = change.grad.abs().amax(dim=(1, 2)) > _FLAT
        change.grad *= is_steep[:, None, None]
        steep, pairs = everywhere[is_steep], pairs.among(everywhere[is_steep], len(start))
        for step in range(_STEPS):
            if step:
                change.grad = slope(steep, pairs)
            optimizer.step()
    return torch.where(is_steep[:, None, None, None], _pairs(start + change.detach() * free), torsions), is_steep


def _overlap(atoms: Tensor, pairs: Pairs) -> Tensor:
    """Å²: the sum of squared overlaps of pairs of atoms (F, n, 3), each counted from both its atoms."""
    met = pairs.overlapping(atoms)  # slopes of these few alone are quick
    gaps = torch.sqrt((atoms[met.frame, met.first] - atoms[met.frame, met.second]).square().sum(-1) + 1e-6)
    return 2 * (met.limit - gaps).clamp_min(0).square().sum()


def _pairs(angles: Tensor) -> Tensor:
    return torch.stack([angles.sin(), angles.cos()], dim=-1)


def _free(template: AllAtomTemplate) -> Tensor:
    """(L, 7): 1.0 for the torsions that may turn."""
    chain = template.chain
    free = chain.torsion_mask
    free[:, _OMEGA] = 0
    free[[letter == "P" for letter in chain.sequence], 3:] = 0
    return free
