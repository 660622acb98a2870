"""The chain that lies closest to generated rigids: torsions fitted in space, for any length and all frames at once.

A network places each residue by itself, so its peptide bonds are of any length. Here a chain with the structure's own
bond lengths and angles is laid along the generated rigids: the sum of squared distances of its N, CA and C to theirs is
made small in phi, psi, omega and the pose, omega within 15 degrees of planar. Axes and words as in `hinges`.

Errors of torsions add up along a chain, so torsions are never solved for alone. Each round is one Gauss-Newton step
(damped as by Levenberg and Marquardt) that runs along the chain twice, as the articulated bodies of robotics do
(Featherstone 1983): from the last body to the first, which eliminates one hinge after another and leaves for each a
rule of how to turn given where the chain has come to; and from the first to the last, which applies the rules to the
chain as it is being built, so that what went astray is led back. That takes time and memory proportional to the length.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from openmm_mdgen.molecule.closures import Chain, Closures, Rows, with_closures
from openmm_mdgen.molecule.hinges import Articulated, Geometry, Poses, skewed, wrapped
from openmm_mdgen.molecule.overlaps import Overlaps

OMEGA_REACH = math.radians(15.0)  # from planar, that a fitted peptide bond may be
# Å² per rad², of a torsion's squared distance from the generated one: psi, omega, phi. They settle what the rigids
# leave open, and hardly weigh beside them.
_PULL = (0.01, 0.1, 0.01)
_DAMPING, _EASED, _RAISED, _MOST_DAMPING = 100.0, 5.0, 6.0, 1e8  # Å² per rad²: at first, factors, and where it ends
_ROUNDS, _ROUNDS_APART = 60, 12
_SETTLED, _QUIET = 0.01, 2  # a step gains little below that share of the distance; so many of them end the fit
_NEAR = 1e-3  # Å; what is nearer needs no further step
_AT_LIMIT = 1e-9  # rad
_STIFFNESS = (10.0, 1e3, 1e5)  # of closures beside one atom's distance: each in turn, from where the one before led
_SIDE_PULL = 0.1  # Å² per rad², as above, of chi1 that closures turn
_PSI, _OMEGA, _PHI = range(3)


@dataclass(frozen=True, eq=False)
class Fitted:
    """Chains, and whether they are as near as they can be."""

    bodies: Poses  # (L, ...)
    angles: Tensor  # (K, 3, F): psi, omega, phi of each link
    sides: Tensor  # (S, F): chi1 of the cysteines in disulfides
    distance: Tensor  # (F,) ångström: root mean square distance of N, CA and C to the generated ones
    is_settled: Tensor  # (F,) bool: finite, the last steps gained next to nothing, and closures are met

    def replace(self, frames: Tensor, other: Fitted) -> None:
        """Take other chains' place in some frames."""
        bodies, new = self.bodies, other.bodies
        bodies.rotation[..., frames], bodies.position[..., frames] = new.rotation, new.position
        self.angles[..., frames], self.sides[..., frames] = other.angles, other.sides
        self.distance[frames], self.is_settled[frames] = other.distance, other.is_settled


@dataclass(frozen=True, eq=False)
class Problem:
    """What a chain is fitted to."""

    geometry: Geometry
    points: Tensor  # (L, 3, 3, F): generated N, CA and C
    torsions: Tensor  # (K, 3, F): generated psi, omega and phi, omega within its limits
    planar: Tensor  # (K, 1): 0 for cis, pi for trans
    reach: Tensor  # (K, 1): how far omega may be from planar
    sides: Tensor  # (S, F): generated chi1 of the cysteines in disulfides
    closures: Closures | None = None
    stiffness: float = _STIFFNESS[0]  # of the closures
    overlaps: Overlaps | None = None
    floor: Tensor | None = None  # (F,) Å²: what the cost is not expected to fall below

    @classmethod
    def of(
        cls,
        geometry: Geometry,
        bodies: Poses,
        torsions: Tensor,
        planar: Tensor,
        reach: Tensor,
        closures: Closures | None = None,
        sides: Tensor | None = None,
    ) -> Problem:
        """From generated bodies (L, ...) and torsions (K, 3, F), and chi1 (S, F) of the cysteines in disulfides."""
        torsions = torsions.clone()
        torsions[:, _OMEGA] = _limited(torsions[:, _OMEGA], planar, reach)
        sides = torsions.new_zeros(0, torsions.shape[-1]) if sides is None else sides
        return cls(geometry, geometry.points(bodies), torsions, planar, reach, sides, closures)

    def among(self, frames: Tensor) -> Problem:
        """That of some frames."""
        return replace(
            self,
            geometry=self.geometry.among(frames),
            points=self.points[..., frames],
            torsions=self.torsions[..., frames],
            sides=self.sides[..., frames],
            closures=None if self.closures is None else self.closures.among(frames),
            overlaps=None if self.overlaps is None else self.overlaps.among(frames),
            floor=None if self.floor is None else self.floor[frames],
        )

    def allowed(self, angles: Tensor) -> Tensor:
        """Angles (K, 3, F) with omega within its limits."""
        return torch.stack(
            [angles[:, _PSI], _limited(angles[:, _OMEGA], self.planar, self.reach), angles[:, _PHI]], dim=1
        )

    def gaps(self, chain: Articulated) -> Tensor:
        """(L, 3, 3, F): from the chain's atoms to the generated ones."""
        return self.points - self.geometry.points(chain.bodies)

    def pulls(self, chain: Articulated) -> Tensor:
        """(K, 3, F): from the chain's torsions to the generated ones."""
        return wrapped(self.torsions - chain.angles)

    def cost(self, chain: Articulated) -> Tensor:
        """(F,) Å²."""
        near = self.gaps(chain).square().sum((0, 1, 2))
        cost = near + (self.pulls(chain).square() * chain.angles.new_tensor(_PULL)[:, None]).sum((0, 1))
        if self.overlaps is not None:
            cost = cost + self.overlaps.cost(chain)
        if self.closures is None:
            return cost
        rows = self.rows(self.closures, chain)
        cost = cost + _SIDE_PULL * wrapped(self.sides - chain.sides).square().sum(0)
        return cost + self.stiffness * (rows.weights * rows.errors.square()).sum(0)

    def above_floor(self, cost: Tensor) -> Tensor:
        """(F,) what a cost can still fall by, or more."""
        return cost if self.floor is None else (cost - self.floor).clamp_min(_NEAR**2)

    def rows(self, closures: Closures, chain: Articulated) -> Rows:
        """The errors of the closures."""
        return closures.rows(chain.bodies, self.geometry.points(chain.bodies), chain.sides)


def fit(problem: Problem, bodies: Poses) -> Fitted:
    """Chains that lie closest to generated bodies (L, ...), from the torsions that lead along these."""
    best = _begun(problem, bodies, problem.sides)
    if problem.closures is None:
        best, is_settled = _descended(problem, best)
    else:
        for stiffness in _STIFFNESS:
            best, is_settled = _descended(replace(problem, stiffness=stiffness), best)
        is_settled = is_settled & _is_met(problem, best)
    return _made(problem, best, is_settled)


def fit_closed(problem: Problem, bodies: Poses, sides: Tensor) -> Fitted:
    """The same from bodies and chi1 (S, F) of a closed chain, which stays closed on the way.

    Such a chain is as good as found wherever it is when steps end: they only bring it nearer.
    """
    stiff = replace(problem, stiffness=_STIFFNESS[-1])
    best, _ = _descended(stiff, _begun(stiff, bodies, sides))
    return _made(problem, best, _is_met(problem, best))


def fit_apart(problem: Problem, chain: Articulated) -> Fitted:
    """Chains in which atoms overlap less, from such as are nearest to what was generated; closed ones stay closed."""
    nearest = replace(problem, stiffness=_STIFFNESS[-1], overlaps=None)
    apart = replace(nearest, overlaps=problem.overlaps, floor=nearest.cost(chain))
    best, _ = _descended(apart, chain, _ROUNDS_APART)
    is_settled = torch.ones_like(best.angles[0, 0], dtype=torch.bool)
    return _made(problem, best, is_settled if problem.closures is None else _is_met(problem, best))


def _begun(problem: Problem, bodies: Poses, sides: Tensor) -> Articulated:
    start = Articulated.through(bodies, problem.geometry, problem.allowed, sides)
    return _stepped(problem, start, torch.full_like(bodies.position[0, 0], _DAMPING))


def _made(problem: Problem, best: Articulated, is_settled: Tensor) -> Fitted:
    distance = problem.gaps(best).square().sum(2).mean((0, 1)).sqrt()
    return Fitted(best.bodies, best.angles, best.sides, distance, is_settled & torch.isfinite(distance))


def _is_met(problem: Problem, chain: Articulated) -> Tensor:
    """(F,) bool: whether closures are met."""
    assert problem.closures is not None
    rows = problem.rows(problem.closures, chain)
    return (rows.errors.abs() < rows.tolerances).all(0)


def _descended(problem: Problem, best: Articulated, rounds: int = _ROUNDS) -> tuple[Articulated, Tensor]:
    """Chains as near as steps bring them, and (F,) whether the last steps gained next to nothing."""
    cost = problem.cost(best)
    damping = torch.full_like(cost, _DAMPING)
    is_settled = torch.zeros_like(cost, dtype=torch.bool)
    quiet = torch.zeros_like(cost, dtype=torch.int64)
    for _ in range(rounds):
        frames = (~is_settled & torch.isfinite(cost)).nonzero()[:, 0]
        if len(frames) == 0:
            break
        here, chain = problem.among(frames), best.among(frames)
        moved = _stepped(here, chain, damping[frames])
        found, before = here.cost(moved), cost[frames]
        is_better = found < before  # also false where it is not finite
        gain = 1 - (here.above_floor(found) / here.above_floor(before)).sqrt()
        quiet[frames] = torch.where(is_better & (gain > _SETTLED), 0, quiet[frames] + is_better)
        ends = (quiet[frames] >= _QUIET) | (damping[frames] > _MOST_DAMPING)
        nearest = here.above_floor(found.clamp_max(before))
        is_settled[frames] = ends | (nearest < _NEAR**2 * here.points[..., 0].numel() / 3)
        damping[frames] = damping[frames] * torch.where(is_better, 1 / _EASED, _RAISED)
        among = is_better.nonzero()[:, 0]  # once: each indexing by a mask waits for the device
        better = frames[among]
        cost[better] = found[among]
        best.replace(better, moved.among(among))
    return best, is_settled


def _limited(omega: Tensor, planar: Tensor, reach: Tensor) -> Tensor:
    """Angles (K, F) within reach of planar."""
    return planar + wrapped(omega - planar).clamp(-reach, reach)


@dataclass(frozen=True, eq=False)
class _Rules:
    """How each hinge turns: by `turn`, less `gain` times the twist by which the chain has left the one before."""

    first: Tensor  # (6, F): the motion of the first body
    turn: Tensor  # (K, 3, F)
    gain: Tensor  # (K, 3, 6, F)
    sides: Tensor  # (S, F): the turn of each chi1


def _stepped(problem: Problem, chain: Articulated, damping: Tensor) -> Articulated:
    """The chains after one damped Gauss-Newton step."""
    return _built(problem, chain, _rules(problem, chain, damping))


def _rules(problem: Problem, chain: Articulated, damping: Tensor) -> _Rules:
    """From the last body to the first.

    Of the bodies behind a hinge the cost is a quadratic form of the twist that the first of them makes: half its
    square under `inertia`, less its product with `load`. Turning the hinge by the angle that makes it smallest leaves
    such a form of the twist before the hinge.
    """
    inertias, loads = _bodies(problem, chain)
    pull, weight = problem.pulls(chain), chain.angles.new_tensor(_PULL)[:, None]
    stiffness, wanted = weight + damping, weight * pull
    axes = chain.axes()
    off = wrapped(chain.angles[:, _OMEGA] - problem.planar)
    is_highest, is_lowest = off > problem.reach - _AT_LIMIT, off < _AT_LIMIT - problem.reach
    turn, totals, gain = torch.empty_like(chain.angles), torch.empty_like(chain.angles), torch.empty_like(axes)
    inertia, load = inertias[-1], loads[-1]
    pushes = None if problem.overlaps is None else problem.overlaps.pushes(chain)
    if pushes is not None:
        inertia, load = inertia + pushes[0][-1], load + pushes[1][-1]
    for link in reversed(range(len(axes))):
        load = load - (inertia * chain.misses[link]).sum(1)
        for hinge in (_PHI, _OMEGA, _PSI):
            axis = axes[link, hinge]
            felt = (inertia * axis).sum(1)
            total = (felt * axis).sum(0) + stiffness[hinge]
            angle = ((load * axis).sum(0) + wanted[link, hinge]) / total
            rule = felt / total
            if hinge == _OMEGA:  # one that is at its limit and would go beyond is held
                is_free = ~torch.where(angle > 0, is_highest[link], is_lowest[link])
                angle, rule = angle * is_free, rule * is_free
            inertia = inertia - rule[:, None] * felt
            load = load - felt * angle
            if pushes is not None:
                inertia, load = inertia + pushes[0][3 * link + hinge], load + pushes[1][3 * link + hinge]
            turn[link, hinge], totals[link, hinge], gain[link, hinge] = angle, total, rule
        inertia, load = inertia + inertias[link], load + loads[link]
    first, _ = torch.linalg.solve_ex(inertia.movedim(-1, 0), load.T[..., None])
    if problem.closures is None:
        return _Rules(first[..., 0].T, turn, gain, torch.zeros_like(chain.sides))
    solved = Chain(first[..., 0].T, turn, gain, totals, axes, chain.misses, inertia)
    side_wanted = _SIDE_PULL * wrapped(problem.sides - chain.sides)
    side_total = (_SIDE_PULL + damping).expand_as(side_wanted)
    rows = problem.rows(problem.closures, chain)
    turn, pose, sides = with_closures(solved, rows, problem.stiffness, side_wanted, side_total)
    return _Rules(pose, turn, gain, sides)


def _bodies(problem: Problem, chain: Articulated) -> tuple[Tensor, Tensor]:
    """(L, 6, 6, F) and (L, 6, F): the cost of each body's twist, to second order, by that of its three atoms."""
    points, gaps = problem.geometry.points(chain.bodies), problem.gaps(chain)
    outer = (points[:, :, :, None] * points[:, :, None]).sum(1)
    square = points.square().sum((1, 2))
    one = torch.eye(3, dtype=points.dtype, device=points.device)[..., None]
    inertia = points.new_zeros(len(points), 6, 6, points.shape[-1])
    inertia[:, :3, :3] = square[:, None, None] * one - outer
    inertia[:, :3, 3:] = skewed(points.sum(1))
    inertia[:, 3:, :3] = -inertia[:, :3, 3:]
    inertia[:, 3:, 3:] = points.shape[1] * one
    return inertia, torch.cat([torch.linalg.cross(points, gaps, dim=2).sum(1), gaps.sum(1)], dim=1)


def _built(problem: Problem, chain: Articulated, rules: _Rules) -> Articulated:
    """From the first body to the last: chains built by the rules, each of them applied where the chain has come to."""
    steps, old = problem.geometry.steps, chain.hinges
    # The twist is taken about each hinge's own place: its turn, and its shift there.
    of_turn = rules.gain[:, :, :3] + torch.linalg.cross(rules.gain[:, :, 3:], old.position, dim=2)
    of_shift = rules.gain[:, :, 3:]
    planned = chain.angles + rules.turn
    pose = chain.bodies[0].moved(rules.first)
    bodies, hinges, angles = [pose], [], torch.empty_like(planned)
    for link in range(len(planned)):
        for hinge in range(3):
            pose = pose.then(steps[link, hinge])
            hinges.append(pose)
            turn = old[link, hinge].turn_to(pose)
            shift = pose.position - old.position[link, hinge]
            angle = planned[link, hinge] - (of_turn[link, hinge] * turn).sum(0) - (of_shift[link, hinge] * shift).sum(0)
            if hinge == _OMEGA:
                angle = _limited(angle, problem.planar[link], problem.reach[link])
            angles[link, hinge] = angle
            pose = pose.turned(angle)
        pose = pose.then(steps[link, 3])
        bodies.append(pose)
    misses, whole = torch.zeros_like(chain.misses), Poses.stack(bodies)
    return Articulated(
        whole, Poses.stack(hinges).unflatten(3), wrapped(angles), misses, wrapped(chain.sides + rules.sides)
    )
