"""The chain of a molecule that lies closest to generated rigids, with its disulfides and its ends closed.

Axes: any batch axes (frames), ``L`` residues, ``K`` links between them: L - 1, or L in a chain closed head to tail;
``S`` cysteines in disulfides, two of each of ``D``; ``7`` torsions as pairs (sin, cos). Ångström.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from openmm_mdgen.geometry import residues
from openmm_mdgen.geometry.rigid import Rigid, between
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.closures import Closures
from openmm_mdgen.molecule.fitting import OMEGA_REACH, Problem, fit, fit_closed
from openmm_mdgen.molecule.hinges import Geometry, Poses, wrapped
from openmm_mdgen.molecule.template import AllAtomTemplate

_OMEGA, _PHI, _PSI, _CHI1 = range(4)
_PSI_GROUP, _CHI1_GROUP = 3, 4
_CB, _SG = (residues.ATOM14_NAMES["CYS"].index(name) for name in ("CB", "SG"))
_RESIDUES_AT_ONCE = 50_000  # frames times residues in memory


@dataclass(frozen=True, eq=False)
class Nearest:
    """Chains that hold together, and lie as near to the generated rigids as such chains can."""

    rigids: Rigid  # (*batch, L)
    torsions: Float[Tensor, "*batch L 7 2"]  # as generated, but for the backbone's and chi1 of cysteines in disulfides
    distance: Float[Tensor, "*batch"]  # root mean square distance of N, CA and C to the generated ones
    is_valid: Bool[Tensor, "*batch"]  # False where the fit came to no end, or to no number, or left the chain open


@dataclass(frozen=True, eq=False)
class _Structure:
    """What does not turn in a chain, of one structure or, with an axis before the others, of a row of structures."""

    steps: Rigid  # (K, 4), of each link; see `hinges`
    atoms: Tensor  # (L, 3, 3): N, CA and C of each residue in its rigid
    carbons: Tensor  # (S, 3): CB of cysteines in disulfides, in the residue's rigid
    hinges: Rigid  # (S,): chi1 at zero, in the residue's rigid
    sulfurs: Tensor  # (S, 3): SG, in its rigid group
    lengths: Tensor  # (D, 3): SG-SG, and CB to the other SG of each

    @classmethod
    def of(cls, template: AllAtomTemplate) -> _Structure:
        """That of a template."""
        links, chain = template.links.rigids, template.chain
        n_links = links.shape[1]
        steps = Rigid.stack([template.default[:n_links, _PSI_GROUP], *(links[k] for k in range(3))])

        def inside(members: np.ndarray, slot: int) -> Tensor:
            place = np.searchsorted(chain.atom_indices, chain.atom14_index[members, slot])
            return template.positions[torch.as_tensor(place)]

        everywhere, halves = np.arange(len(chain.sequence)), _halves(template)
        return cls(
            steps,
            torch.stack([inside(everywhere, slot) for slot in range(3)], dim=1),
            inside(halves, _CB),
            template.default[torch.as_tensor(halves), _CHI1_GROUP],
            inside(halves, _SG),
            _lengths(template),
        )

    def towards(self, other: _Structure, share: Float[Tensor, " T"]) -> _Structure:
        """(T, ...): from this one (share 0) to the other (1)."""

        def mixed(one: Tensor, two: Tensor) -> Tensor:
            return torch.lerp(one[None], two[None], share.to(one).view(-1, *[1] * one.dim()))

        share = share.to(self.atoms)
        return _Structure(
            between(self.steps[None], other.steps[None], share[:, None, None]),
            mixed(self.atoms, other.atoms),
            mixed(self.carbons, other.carbons),
            between(self.hinges[None], other.hinges[None], share[:, None]),
            mixed(self.sulfurs, other.sulfurs),
            mixed(self.lengths, other.lengths),
        )

    def each(self, index: Tensor | None) -> _Structure:
        """Those of some frames, from a row of structures; of one structure, without an index, a row of one."""
        return _Structure(
            self.steps[index],
            self.atoms[index],
            self.carbons[index],
            self.hinges[index],
            self.sulfurs[index],
            self.lengths[index],
        )

    def to(self, device: torch.device) -> _Structure:
        return _Structure(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True, eq=False)
class _Kind:
    """Of a chain, what all its frames share."""

    own: Rigid  # (L,): the structure's rigids
    sides: Tensor  # (S,): its chi1 of cysteines in disulfides
    planar: Tensor  # (K,): the planar omega next to the structure's own, 0 for cis and pi for trans
    reach: Tensor  # (K,): how far omega may be from it
    halves: Tensor  # (S,) int: cysteines in disulfides, by twos
    is_cyclic: bool

    @classmethod
    def of(cls, template: AllAtomTemplate, device: torch.device) -> _Kind:
        halves, planar = torch.as_tensor(_halves(template)), _planar(template)
        chi1, omega = template.torsions[halves, _CHI1], template.torsions[:, _OMEGA].roll(-1, 0)[: len(planar)]
        reach = torch.full_like(planar, OMEGA_REACH)
        if template.chain.is_cyclic:  # a small ring is strained: what its structure needs has to be in reach
            bent = wrapped(torch.atan2(omega[:, 0], omega[:, 1]) - planar).abs()
            reach = torch.maximum(reach, bent)
        return cls(
            template.chain_rigids(template.torsions).to(device),
            torch.atan2(chi1[:, 0], chi1[:, 1]).to(device),
            planar.to(device),
            reach.to(device),
            halves.to(device),
            template.chain.is_cyclic,
        )


def _planar(template: AllAtomTemplate) -> Tensor:
    own = template.torsions[:, _OMEGA, 1].roll(-1)[: template.links.rigids.shape[1]]
    return torch.where(own > 0, 0.0, math.pi).double()


def _lengths(template: AllAtomTemplate) -> Tensor:
    """(D, 3) ångström: of each disulfide of the structure, SG-SG and the distance from each CB to the other SG."""
    chain = template.chain
    atoms = to_angstrom(template.place(template.chain_rigids(template.torsions), template.torsions))
    places = np.searchsorted(chain.atom_indices, chain.atom14_index[:, [_CB, _SG]])[_halves(template)].reshape(-1, 2, 2)
    (cb1, sg1), (cb2, sg2) = (atoms[torch.as_tensor(places[:, k].T)] for k in (0, 1))
    return torch.stack([(sg1 - sg2).norm(dim=-1), (cb1 - sg2).norm(dim=-1), (cb2 - sg1).norm(dim=-1)], dim=-1)


def _halves(template: AllAtomTemplate) -> np.ndarray:
    return np.array(template.chain.disulfides, dtype=np.int64).reshape(-1)


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
    return _nearest(template, _Structure.of(template), rigids, torsions)


def nearest_between(
    first: AllAtomTemplate,
    second: AllAtomTemplate,
    rigids: Rigid,
    torsions: Float[Tensor, "*batch T L 7 2"],
    share: Float[Tensor, " T"],
) -> Nearest:
    """Chains whose bond lengths and angles go from those of one structure (share 0) to those of another (1)."""
    between_them = _Structure.of(first).towards(_Structure.of(second), share.double().cpu())
    return _nearest(first, between_them, rigids, torsions, per_frame=len(share))


def _nearest(
    template: AllAtomTemplate, structure: _Structure, rigids: Rigid, torsions: Tensor, per_frame: int | None = None
) -> Nearest:
    """`per_frame` says how many structures there are, one for each frame of every trajectory."""
    batch, length = torsions.shape[:-3], torsions.shape[-3]
    if length == 1:  # nothing turns
        return Nearest(rigids, torsions, torsions.new_zeros(batch), torsions.isfinite().all(-1).all(-1).all(-1))
    # Double precision: errors of angles add up along a chain. Some devices have none.
    device = torch.device("cpu") if torsions.device.type == "mps" else torsions.device
    flat = Rigid(rigids.rotation.reshape(-1, length, 3, 3), rigids.translation.reshape(-1, length, 3))
    flat = flat.to(torch.float64).to(device)
    pairs = torsions.reshape(-1, length, 7, 2).to(device, torch.float64)
    kind, structure = _Kind.of(template, device), structure.to(device)
    made = []
    for part in torch.arange(len(pairs), device=device).split(max(1, _RESIDUES_AT_ONCE // length)):
        own = structure.each(None if per_frame is None else part % per_frame)
        made.append(_fitted(kind, own, flat[part], pairs[part]))
    whole = Rigid.cat([m.rigids for m in made])
    shaped = Rigid(whole.rotation.unflatten(0, batch), whole.translation.unflatten(0, batch))
    return Nearest(
        shaped.to(torsions),
        torch.cat([m.torsions for m in made]).unflatten(0, batch).to(torsions),
        torch.cat([m.distance for m in made]).unflatten(0, batch).to(torsions),
        torch.cat([m.is_valid for m in made]).unflatten(0, batch).to(torsions.device),
    )


def _fitted(kind: _Kind, structure: _Structure, rigids: Rigid, torsions: Tensor) -> Nearest:
    """Of (F, L) rigids, and structures with an axis of frames of length one or F."""
    length, n_links = rigids.shape[1], len(kind.planar)
    around = torch.arange(n_links + 1, device=torsions.device) % length  # a closed chain ends in its first residue
    here, there = around[:-1], around[1:]
    angles = torch.atan2(torsions[..., 0], torsions[..., 1])
    generated = torch.stack([angles[:, here, _PSI], angles[:, there, _OMEGA], angles[:, there, _PHI]], dim=-1)
    own = Geometry(Poses.of(structure.steps), _last(structure.atoms[:, around]))
    # About the middle of each molecule, where arms of turns are short.
    centre = rigids.translation.mean(-2, keepdim=True)
    bodies = Poses.of(Rigid(rigids.rotation, rigids.translation - centre)[:, around])
    problem = Problem.of(
        own,
        bodies,
        _last(generated),
        kind.planar[:, None],
        kind.reach[:, None],
        _closures(kind, structure),
        _last(angles[:, kind.halves, _CHI1]),
    )
    found = fit(problem, bodies)
    if problem.closures is not None and not found.is_settled.all():
        # Once more from the structure, which is closed.
        frames = (~found.is_settled).nonzero()[:, 0]
        near = laid_over(kind.own.expand(len(frames), -1), rigids[frames])
        near = Rigid(near.rotation, near.translation - centre[frames])[:, around]
        sides = kind.sides[:, None].repeat(1, len(frames))
        found.replace(frames, fit_closed(problem.among(frames), Poses.of(near), sides))
    turned = torch.stack([found.angles.sin(), found.angles.cos()], dim=-1).movedim(2, 0)  # (F, K, 3, 2)
    torsions = torsions.clone()
    torsions[:, here, _PSI], torsions[:, there, _OMEGA], torsions[:, there, _PHI] = turned.unbind(-2)
    torsions[:, kind.halves, _CHI1] = torch.stack([found.sides.sin(), found.sides.cos()], dim=-1).movedim(1, 0)
    placed = found.bodies[:length].rigids()
    return Nearest(Rigid(placed.rotation, placed.translation + centre), torsions, found.distance, found.is_settled)


def _closures(kind: _Kind, structure: _Structure) -> Closures | None:
    if not len(kind.halves) and not kind.is_cyclic:
        return None
    return Closures(
        kind.halves,
        _last(structure.carbons),
        Poses.of(structure.hinges),
        _last(structure.sulfurs),
        _last(structure.lengths),
        kind.is_cyclic,
    )


def _last(values: Tensor) -> Tensor:
    """The axis of frames from the first place to the last."""
    return values.movedim(0, -1).contiguous()
