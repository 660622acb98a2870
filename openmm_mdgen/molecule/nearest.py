"""The chain of a molecule that lies closest to generated rigids, with its disulfides and its ends closed.

Axes: any batch axes (frames), ``L`` residues, ``K`` links between them: L - 1, or L in a chain closed head to tail;
``S`` cysteines in disulfides, two of each of ``D``; ``7`` torsions as pairs (sin, cos). Ångström.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid, exact_device
from openmm_mdgen.geometry.units import to_angstrom
from openmm_mdgen.molecule.backbone import laid_over
from openmm_mdgen.molecule.blending import Geometries
from openmm_mdgen.molecule.clashes import relieve_side_chains
from openmm_mdgen.molecule.closures import Closures
from openmm_mdgen.molecule.contacts import ALLOWED, Pairs, close_pairs, contacts
from openmm_mdgen.molecule.fitting import Fitted, Problem, fit, fit_apart, fit_closed
from openmm_mdgen.molecule.hinges import Articulated, Geometry, Poses
from openmm_mdgen.molecule.overlaps import Overlaps, nodes_of
from openmm_mdgen.molecule.skeleton import Kind, Skeleton
from openmm_mdgen.molecule.template import AllAtomTemplate

_OMEGA, _PHI, _PSI, _CHI1 = range(4)
_RESIDUES_AT_ONCE, _OF_OVERLAPS_AT_ONCE = 50_000, 5_000  # frames times residues in memory
_TURNS = 3  # in which backbone and side chains give way one after the other
_WATCHED = 3.0  # ångström beyond contact: pairs that may come together while the backbone gives way


@dataclass(frozen=True, eq=False)
class Nearest:
    """Chains that hold together, and lie as near to the generated rigids as such chains can."""

    rigids: Rigid  # (*batch, L)
    torsions: Float[Tensor, "*batch L 7 2"]  # as generated, but for the backbone's and chi1 of cysteines in disulfides
    distance: Float[Tensor, "*batch"]  # root mean square distance of N, CA and C to the generated ones
    is_valid: Bool[Tensor, "*batch"]  # False where the fit came to no end, or to no number, or left the chain open

    @classmethod
    def cat(cls, parts: list[Nearest]) -> Nearest:
        """One after the other, along the first axis."""
        numbers = (torch.cat([getattr(part, name) for part in parts]) for name in ("torsions", "distance", "is_valid"))
        return cls(Rigid.cat([part.rigids for part in parts]), *numbers)

    def among(self, frames: Tensor) -> Nearest:
        """Those of some frames of the first axis."""
        return Nearest(self.rigids[frames], self.torsions[frames], self.distance[frames], self.is_valid[frames])

    def replace(self, frames: Tensor, other: Nearest) -> None:
        """Take other chains' place in some frames of the first axis."""
        self.rigids.rotation[frames], self.rigids.translation[frames] = other.rigids.rotation, other.rigids.translation
        self.torsions[frames], self.distance[frames] = other.torsions, other.distance
        self.is_valid[frames] = other.is_valid


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
    return _nearest(template, Skeleton.of(template), rigids, torsions)


def nearest_apart(template: AllAtomTemplate, rigids: Rigid, torsions: Float[Tensor, "*batch L 7 2"]) -> Nearest:
    """Chains as `nearest_chain` gives them, whose atoms have got out of each other's way.

    Side chains turn first. Where that is not enough, the backbone gives way: it stays as near to the generated rigids
    as it can with atoms apart. Frames without overlap are not touched. Some overlaps stay, such as of chains that are
    threaded through each other; such frames are valid.

    Parameters
    ----------
    template, rigids, torsions
        As in `nearest_chain`.

    Returns
    -------
    Nearest
    """
    batch, length = torsions.shape[:-3], torsions.shape[-3]
    if length == 1:
        return nearest_chain(template, rigids, torsions)
    flat, asked = _flat(rigids, torsions)
    near, skeleton = nearest_chain(template, flat, asked), Skeleton.of(template).to(asked.device).each(None)
    every = torch.arange(len(asked), device=asked.device)
    _get_apart(near, every, Geometries(template), lambda frames: skeleton, flat, asked)
    return _shaped(near, batch, torsions)


def nearest_between(
    first: AllAtomTemplate,
    second: AllAtomTemplate,
    rigids: Rigid,
    torsions: Float[Tensor, "*batch T L 7 2"],
    share: Float[Tensor, " T"],
) -> Nearest:
    """Chains as `nearest_apart` gives them, whose bond lengths and angles go from one structure's to another's.

    Parameters
    ----------
    first, second : AllAtomTemplate
    rigids, torsions
        As in `nearest_chain`.
    share : Tensor
        0 where a frame has the geometry of the first structure, 1 where it has that of the second. Those frames are
        taken for the structures themselves: overlaps in them are left as they are.

    Returns
    -------
    Nearest
    """
    between_them = Skeleton.of(first).towards(Skeleton.of(second), share.double().cpu())
    batch, length, n_shares = torsions.shape[:-3], torsions.shape[-3], len(share)
    if length == 1:
        return _nearest(first, between_them, rigids, torsions, per_frame=n_shares)
    flat, asked = _flat(rigids, torsions)
    near = _nearest(first, between_them, flat, asked, per_frame=n_shares)
    each = share.to(asked)[torch.arange(len(asked), device=asked.device) % n_shares]
    between_them = between_them.to(asked.device)
    inside = ((each > 0) & (each < 1)).nonzero()[:, 0]
    if len(inside):
        _get_apart(
            near, inside, Geometries(first, second, each), lambda k: between_them.each(k % n_shares), flat, asked
        )
    return _shaped(near, batch, torsions)


def frames_pushed_at_once(length: int) -> int:
    """How many frames of a chain of L residues are held in memory with the pairs of atoms that are pushed apart."""
    return max(1, _OF_OVERLAPS_AT_ONCE // length)


def _get_apart(
    near: Nearest,
    frames: Tensor,
    geometries: Geometries,
    skeleton_of: Callable[[Tensor], Skeleton],
    rigids: Rigid,
    torsions: Tensor,
) -> None:
    """Let the atoms of chains get out of each other's way in some frames, given what all chains were fitted to."""
    template, length = geometries.first, torsions.shape[-3]
    own = geometries.among(frames)
    near.torsions[frames] = relieve_side_chains(template, near.rigids[frames], near.torsions[frames], geometries=own)
    kind, contact = Kind.of(template, torsions.device), contacts(template.chain).to(torsions)
    for part in frames[near.is_valid[frames]].split(frames_pushed_at_once(length)):
        for _ in range(_TURNS):
            atoms = to_angstrom(geometries.among(part).place(near.rigids[part], near.torsions[part]))
            depth, close = close_pairs(atoms, contact, _WATCHED)
            clashing = (depth > ALLOWED).nonzero()[:, 0]
            if len(clashing) == 0:
                break
            close, atoms, part = close.among(clashing, len(part)), atoms[clashing], part[clashing]
            asked = _Asked.of(kind, skeleton_of(part), rigids[part], torsions[part])
            near.replace(part, _given_way(geometries.among(part), asked, near.among(part), atoms, close))


def _nearest(
    template: AllAtomTemplate, skeleton: Skeleton, rigids: Rigid, torsions: Tensor, per_frame: int | None = None
) -> Nearest:
    """`per_frame` says how many structures there are, one for each frame of every trajectory."""
    batch, length = torsions.shape[:-3], torsions.shape[-3]
    if length == 1:  # nothing turns
        return Nearest(rigids, torsions, torsions.new_zeros(batch), torsions.isfinite().all(-1).all(-1).all(-1))
    flat, pairs = _flat(rigids, torsions)
    device = pairs.device
    kind, skeleton = Kind.of(template, device), skeleton.to(device)
    made = []
    for part in torch.arange(len(pairs), device=device).split(max(1, _RESIDUES_AT_ONCE // length)):
        own = skeleton.each(None if per_frame is None else part % per_frame)
        made.append(_fitted(kind, _Asked.of(kind, own, flat[part], pairs[part]), flat[part], pairs[part]))
    return _shaped(Nearest.cat(made), batch, torsions)


def _flat(rigids: Rigid, torsions: Tensor) -> tuple[Rigid, Tensor]:
    """Rigids (F, L) and torsions (F, L, 7, 2) in double precision, as errors of angles add up along a chain."""
    device, length = exact_device(torsions), torsions.shape[-3]
    flat = Rigid(rigids.rotation.reshape(-1, length, 3, 3), rigids.translation.reshape(-1, length, 3))
    return flat.to(device).to(torch.float64), torsions.reshape(-1, length, 7, 2).to(device).to(torch.float64)


def _shaped(near: Nearest, batch: torch.Size, like: Tensor) -> Nearest:
    """The axis of frames as several, in type and place of other numbers."""
    return Nearest(
        Rigid(near.rigids.rotation.unflatten(0, batch), near.rigids.translation.unflatten(0, batch)).to(like),
        near.torsions.unflatten(0, batch).to(like),
        near.distance.unflatten(0, batch).to(like),
        near.is_valid.unflatten(0, batch).to(like.device),
    )


@dataclass(frozen=True, eq=False)
class _Asked:
    """What chains of (F, L) generated rigids are fitted to, about the middle of each, where arms of turns are short."""

    problem: Problem
    around: Tensor  # (K + 1,) int: the residue of each body; a closed chain ends in its first
    centre: Tensor  # (F, 1, 3)
    halves: Tensor  # (S,) int

    @classmethod
    def of(cls, kind: Kind, skeleton: Skeleton, rigids: Rigid, torsions: Tensor) -> _Asked:
        """Of structures with an axis of frames of length one or F."""
        length, n_links = rigids.shape[1], len(kind.planar)
        around = torch.arange(n_links + 1, device=torsions.device) % length
        here, there = around[:-1], around[1:]
        angles = torch.atan2(torsions[..., 0], torsions[..., 1])
        generated = torch.stack([angles[:, here, _PSI], angles[:, there, _OMEGA], angles[:, there, _PHI]], dim=-1)
        centre = rigids.translation.mean(-2, keepdim=True)
        problem = Problem.of(
            Geometry(Poses.of(skeleton.steps), _last(skeleton.atoms[:, around])),
            _bodies(rigids, centre, around),
            _last(generated),
            kind.planar[:, None],
            kind.reach[:, None],
            _closures(kind, skeleton),
            _last(angles[:, kind.halves, _CHI1]),
        )
        return cls(problem, around, centre, kind.halves)

    def bodies(self, rigids: Rigid, frames: slice | Tensor = slice(None)) -> Poses:
        """Rigids (F, L), of some frames, as bodies."""
        return _bodies(rigids, self.centre[frames], self.around)

    def chain(self, near: Nearest) -> Articulated:
        """Chains that hold together, with their hinges."""
        chi1 = near.torsions[:, self.halves, _CHI1]
        sides = _last(torch.atan2(chi1[..., 0], chi1[..., 1]))
        return Articulated.through(self.bodies(near.rigids), self.problem.geometry, self.problem.allowed, sides)

    def nearest(self, found: Fitted, torsions: Tensor) -> Nearest:
        """What was found, with other torsions as they were."""
        here, there = self.around[:-1], self.around[1:]
        turned = torch.stack([found.angles.sin(), found.angles.cos()], dim=-1).movedim(2, 0)  # (F, K, 3, 2)
        torsions = torsions.clone()
        torsions[:, here, _PSI], torsions[:, there, _OMEGA], torsions[:, there, _PHI] = turned.unbind(-2)
        torsions[:, self.halves, _CHI1] = torch.stack([found.sides.sin(), found.sides.cos()], dim=-1).movedim(1, 0)
        placed = found.bodies[: torsions.shape[1]].rigids()
        return Nearest(
            Rigid(placed.rotation, placed.translation + self.centre), torsions, found.distance, found.is_settled
        )


def _bodies(rigids: Rigid, centre: Tensor, around: Tensor) -> Poses:
    return Poses.of(Rigid(rigids.rotation, rigids.translation - centre)[:, around])


def _fitted(kind: Kind, asked: _Asked, rigids: Rigid, torsions: Tensor) -> Nearest:
    """Of (F, L) rigids."""
    problem = asked.problem
    found = fit(problem, asked.bodies(rigids))
    if problem.closures is not None and not found.is_settled.all():
        # Once more from the structure, which is closed.
        frames = (~found.is_settled).nonzero()[:, 0]
        near = laid_over(kind.own.expand(len(frames), -1), rigids[frames])
        sides = kind.sides[:, None].repeat(1, len(frames))
        found.replace(frames, fit_closed(problem.among(frames), asked.bodies(near, frames), sides))
    return asked.nearest(found, torsions)


def _given_way(geometries: Geometries, asked: _Asked, near: Nearest, atoms: Tensor, close: Pairs) -> Nearest:
    """Chains (F, L) nearest to what was asked, from which backbones, then side chains, have got out of the way."""
    chain = asked.chain(near)
    nodes = nodes_of(geometries.first.chain).to(atoms.device)
    overlaps = Overlaps.of(nodes, chain, atoms - asked.centre, close)
    found = asked.nearest(fit_apart(replace(asked.problem, overlaps=overlaps), chain), near.torsions)
    found.replace((~found.is_valid).nonzero()[:, 0], near.among(~found.is_valid))
    turned = relieve_side_chains(geometries.first, found.rigids, found.torsions, geometries=geometries)
    found.torsions.copy_(turned)
    return found


def _closures(kind: Kind, skeleton: Skeleton) -> Closures | None:
    if not len(kind.halves) and not kind.is_cyclic:
        return None
    return Closures(
        kind.halves,
        _last(skeleton.carbons),
        Poses.of(skeleton.hinges),
        _last(skeleton.sulfurs),
        _last(skeleton.lengths),
        kind.is_cyclic,
    )


def _last(values: Tensor) -> Tensor:
    """The axis of frames from the first place to the last."""
    return values.movedim(0, -1).contiguous()
