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
from functools import lru_cache

import torch
from jaxtyping import Float
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid, exact_device
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.blending import Geometries
from openmm_mdgen.molecule.contacts import ALLOWED, at_once, close_pairs, contacts
from openmm_mdgen.molecule.levers import Levers
from openmm_mdgen.molecule.template import AllAtomTemplate

_STEPS = 12
_DAMPING = 0.5  # Å² per radian²: a turn by a radian counts as an overlap of 0.7 Å
_LONGEST_TURN = 0.4  # radian: of one torsion in one step
_MOLECULES = 8  # whose levers are kept
_OMEGA, _PHI = range(2)
_N_BACKBONE = 3  # omega, phi, psi

Placing = Callable[[Tensor, Tensor], Tensor]  # numbers of frames (F,), and their torsions, to atoms (F, n, 3) in Å


def relieve_clashes(
    template: AllAtomTemplate, torsions: Float[Tensor, "*batch L 7 2"], *, turns_caps: bool = True
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions of the same chains, with overlaps of atoms lifted where some small steps can.

    Peptide bonds keep their omega, and prolines their ring. Without `turns_caps` a capped first residue keeps its phi.
    """

    here = _exact(template, torsions)

    def placed(_: Tensor, turned: Tensor) -> Tensor:
        return to_angstrom(here.place(here.chain_rigids(turned), turned))

    return _relieved(template, torsions, _levers(template, turns_caps=turns_caps), placed)


def relieve_side_chains(
    template: AllAtomTemplate,
    rigids: Rigid,
    torsions: Float[Tensor, "*batch L 7 2"],
    *,
    geometries: Geometries | None = None,
) -> Float[Tensor, "*batch L 7 2"]:
    """Torsions with which side chains overlap less, on backbones that stay where they are.

    Half a disulfide keeps its chi1, and so does proline its ring. Atoms are placed with the template's geometry, or
    with those of each frame.
    """
    geometries = geometries or Geometries(_exact(template, torsions))
    places = Rigid(rigids.rotation.flatten(0, -4), rigids.translation.flatten(0, -3))

    def placed(frames: Tensor, turned: Tensor) -> Tensor:
        return to_angstrom(geometries.among(frames).place(places[frames.to(torsions.device)].to(turned), turned))

    return _relieved(template, torsions, _side_chain_levers(template), placed)


def _exact(template: AllAtomTemplate, torsions: Tensor) -> AllAtomTemplate:
    """The template where overlaps are lifted, so that the steps copy nothing there."""
    return template.at(torsions.new_empty(0, dtype=torch.float64, device=exact_device(torsions)))


def _relieved(template: AllAtomTemplate, torsions: Tensor, levers: Levers, placed: Placing) -> Tensor:
    """Torsions (*batch, L, 7, 2) after a few damped Gauss-Newton steps in those of the levers.

    Double precision, so that rounding does not grow from step to step.
    """
    if not len(levers.torsions):  # such as side chains of glycines and of a disulfide
        return torsions
    device = exact_device(torsions)
    contact, levers = contacts(template.chain).to(device), levers.to(device)
    relieved = torsions.flatten(0, -4).to(device).to(torch.float64, copy=True)
    for clashing in torch.arange(len(relieved), device=device).split(at_once(len(contact), math.inf)):
        for _ in range(_STEPS):
            atoms = placed(clashing, relieved[clashing])
            depth, pairs = close_pairs(atoms, contact, 0.0)
            deep = (depth > ALLOWED).nonzero()[:, 0]
            if len(deep) == 0:
                break
            pairs, clashing = pairs.among(deep, len(clashing)), clashing[deep]
            distance, slopes = levers.slopes(atoms[deep], pairs)
            turn = _turn(pairs.frame, pairs.limit - distance, slopes, len(deep))
            relieved[clashing] = levers.turned(relieved[clashing], turn)
    return relieved.to(torsions).unflatten(0, torsions.shape[:-3])


def _turn(frame: Tensor, depth: Tensor, slopes: Tensor, n_frames: int) -> Tensor:
    """(F, K) radian: the least turns that undo depths (P,) of pairs, whose distances grow by slopes (P, K).

    The minimum of (depth - slopes turn)^2 + damping turn^2 is solved for in the space of a frame's pairs, of which
    there are few: turn = slopes^T (slopes slopes^T + damping)^-1 depth; or in that of turns, where these are fewer.
    """
    counts = frame.new_zeros(n_frames).scatter_add_(0, frame, torch.ones_like(frame))
    order = torch.argsort(frame, stable=True)
    place = torch.empty_like(frame)
    place[order] = torch.arange(len(frame), device=frame.device) - (counts.cumsum(0) - counts)[frame[order]]
    rows = slopes.new_zeros(n_frames, int(counts.max()), slopes.shape[1])
    asked = depth.new_zeros(rows.shape[:2])
    rows[frame, place], asked[frame, place] = slopes, depth
    columns = rows.transpose(1, 2)
    if rows.shape[1] <= rows.shape[2]:
        turn = columns @ _solved(rows @ columns, asked[..., None])
    else:
        turn = _solved(columns @ rows, columns @ asked[..., None])
    return turn[..., 0].clamp(-_LONGEST_TURN, _LONGEST_TURN)


def _solved(products: Tensor, asked: Tensor) -> Tensor:
    products.diagonal(dim1=1, dim2=2).add_(_DAMPING)
    return torch.cholesky_solve(asked, torch.linalg.cholesky(products))


@lru_cache(maxsize=_MOLECULES)
def _levers(template: AllAtomTemplate, *, turns_caps: bool) -> Levers:
    """Of all torsions that may turn; once a molecule, not once a segment."""
    free = _free(template)
    if template.chain.is_cyclic or (template.chain.n_cap is not None and not turns_caps):
        free[0, _PHI] = 0
    return Levers.of(template.chain, free)


@lru_cache(maxsize=_MOLECULES)
def _side_chain_levers(template: AllAtomTemplate) -> Levers:
    free = _free(template)
    free[:, :_N_BACKBONE] = 0
    free[[residue for bond in template.chain.disulfides for residue in bond]] = 0
    return Levers.of(template.chain, free)


def _free(template: AllAtomTemplate) -> Tensor:
    """(L, 7): 1.0 for the torsions that may turn."""
    chain = template.chain
    free = chain.torsion_mask.double()
    free[:, _OMEGA] = 0
    free[[letter == "P" for letter in chain.sequence], 3:] = 0
    return free
