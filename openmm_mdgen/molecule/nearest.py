"""The chain of a molecule that lies closest to generated rigids.

Axes: any batch axes (frames), ``L`` residues, ``7`` torsions as pairs (sin, cos). Ångström.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid, between
from openmm_mdgen.molecule.fitting import Problem, fit
from openmm_mdgen.molecule.hinges import Geometry, Poses
from openmm_mdgen.molecule.template import AllAtomTemplate

_OMEGA, _PHI, _PSI = range(3)
_PSI_GROUP = 3
_RESIDUES_AT_ONCE = 50_000  # frames times residues in memory


@dataclass(frozen=True, eq=False)
class Nearest:
    """Chains that hold together, and lie as near to the generated rigids as such chains can."""

    rigids: Rigid  # (*batch, L)
    torsions: Float[Tensor, "*batch L 7 2"]  # as generated, but for omega, phi and psi of the backbone
    distance: Float[Tensor, "*batch"]  # root mean square distance of N, CA and C to the generated ones
    is_valid: Bool[Tensor, "*batch"]  # False where the fit came to no end, or to no number


def nearest_chain(template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]) -> Nearest:
    """Chains with the bond lengths and angles of a structure, fitted to generated rigids.

    Parameters
    ----------
    template : AllAtomTemplate
    rigids : Rigid, (*batch, L)
    torsions : Tensor
        Generated torsions: those of the backbone are where the fit is drawn to in what rigids leave open, the others
        are kept.

    Returns
    -------
    Nearest
        Of the type and on the device of `torsions`.
    """
    return _nearest(_geometry(template), _planar(template), rigids, torsions)


def nearest_between(
    first: AllAtomTemplate,
    second: AllAtomTemplate,
    rigids: Rigid,
    torsions: Float[Tensor, "*batch T L 7 2"],
    share: Float[Tensor, " T"],
) -> Nearest:
    """Chains whose bond lengths and angles go from those of one structure (share 0) to those of another (1)."""
    one, two = _geometry(first), _geometry(second)
    share = share.double().to(one[1])
    steps = between(one[0][None], two[0][None], share[:, None, None])
    atoms = torch.lerp(one[1][None], two[1][None], share[:, None, None, None])
    return _nearest((steps, atoms), _planar(first), rigids, torsions)


def _geometry(template: AllAtomTemplate) -> tuple[Rigid, Tensor]:
    """(L - 1, 4) steps of each link, and (L, 3, 3) N, CA and C of each residue in its rigid."""
    links = template.links.rigids
    steps = Rigid.stack([template.default[:-1, _PSI_GROUP], *(links[k] for k in range(3))])
    chain = template.chain
    place = np.searchsorted(chain.atom_indices, chain.atom14_index[:, :3])
    return steps, template.positions[torch.as_tensor(place)]


def _planar(template: AllAtomTemplate) -> Tensor:
    """(L - 1,) the planar omega next to the structure's own: 0 for cis, pi for trans."""
    return torch.where(template.torsions[1:, _OMEGA, 1] > 0, 0.0, math.pi).double()


def _nearest(geometry: tuple[Rigid, Tensor], planar: Tensor, rigids: Rigid, torsions: Tensor) -> Nearest:
    batch, length = torsions.shape[:-3], torsions.shape[-3]
    if length == 1:  # nothing turns
        return Nearest(rigids, torsions, torsions.new_zeros(batch), torsions.isfinite().all(-1).all(-1).all(-1))
    # Double precision: errors of angles add up along a chain. Some devices have none.
    device = torch.device("cpu") if torsions.device.type == "mps" else torsions.device
    flat = Rigid(rigids.rotation.reshape(-1, length, 3, 3), rigids.translation.reshape(-1, length, 3))
    flat = flat.to(torch.float64).to(device)
    pairs = torsions.reshape(-1, length, 7, 2).to(device, torch.float64)
    steps, atoms = geometry[0].to(device), geometry[1].to(device)
    is_shared = len(atoms.shape) == 3
    if not is_shared:  # (T, ...): of each frame of every trajectory
        number = torch.arange(len(pairs), device=device) % len(atoms)
    made = []
    for part in torch.arange(len(pairs), device=device).split(max(1, _RESIDUES_AT_ONCE // length)):
        own = (steps[None], atoms[None]) if is_shared else (steps[number[part]], atoms[number[part]])
        made.append(_fitted(own, planar.to(device), flat[part], pairs[part]))
    whole = Nearest(
        Rigid.cat([m.rigids for m in made]),
        torch.cat([m.torsions for m in made]),
        torch.cat([m.distance for m in made]),
        torch.cat([m.is_valid for m in made]),
    )
    shaped = Rigid(whole.rigids.rotation.unflatten(0, batch), whole.rigids.translation.unflatten(0, batch))
    return Nearest(
        shaped.to(torsions),
        whole.torsions.unflatten(0, batch).to(torsions),
        whole.distance.unflatten(0, batch).to(torsions),
        whole.is_valid.unflatten(0, batch).to(torsions.device),
    )


def _fitted(geometry: tuple[Rigid, Tensor], planar: Tensor, rigids: Rigid, torsions: Tensor) -> Nearest:
    """Of (F, L) rigids; the geometry has an axis of frames before its others, of length one or F."""
    angles = torch.atan2(torsions[..., 0], torsions[..., 1])
    generated = torch.stack([angles[:, :-1, _PSI], angles[:, 1:, _OMEGA], angles[:, 1:, _PHI]], dim=-1)
    own = Geometry(Poses.of(geometry[0]), geometry[1].movedim(0, -1).contiguous())
    # About the middle of each molecule, where arms of turns are short.
    centre = rigids.translation.mean(-2, keepdim=True)
    bodies = Poses.of(Rigid(rigids.rotation, rigids.translation - centre))
    found = fit(Problem.of(own, bodies, generated.movedim(0, -1).contiguous(), planar[:, None]), bodies)
    turned = torch.stack([found.angles.sin(), found.angles.cos()], dim=-1).movedim(2, 0)  # (F, L - 1, 3, 2)
    torsions = torsions.clone()
    torsions[:, :-1, _PSI], torsions[:, 1:, _OMEGA], torsions[:, 1:, _PHI] = turned.unbind(-2)
    placed = found.bodies.rigids()
    return Nearest(Rigid(placed.rotation, placed.translation + centre), torsions, found.distance, found.is_settled)
