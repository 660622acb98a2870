"""What else holds a chain together: disulfides, and the peptide bond from its last residue to its first.

A *half* is a cysteine whose sulfur is bonded to another one's; its chi1 is a hinge of its own, beside the chain. A
closed chain ends in its first body once more, led to by a link like any other, and the two are to coincide. Each
closure gives *rows*: a distance or coordinate that is off by an error, and how the error follows the twists of two
bodies and the turns of chi1. Axes as in `hinges`, frames last; ``S`` halves, ``D`` disulfides, ``m`` rows. Ångström.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from openmm_mdgen.molecule.hinges import Poses, load_of

_LENGTH_MET, _ANGLE_MET, _CYCLE_MET = 0.1, 0.35, 0.08  # Å, by which bonds, distances over one atom, and bodies may miss
_OF_ANGLES = 0.1  # how much a distance over one atom weighs beside a bond


@dataclass(frozen=True, eq=False)
class Rows:
    """Errors of closures, and what changes them."""

    errors: Tensor  # (m, F)
    weights: Tensor  # (m, 1): relative to each other
    tolerances: Tensor  # (m, 1)
    bodies: Tensor  # (m, 2) int
    loads: Tensor  # (m, 2, 6, F): change of the error per twist of each of the two bodies
    turns: Tensor  # (m, S, F): change of the error per radian of each chi1


@dataclass(frozen=True, eq=False)
class Closures:
    """The closures of a chain; geometry of all frames alike (F = 1) or of each frame."""

    halves: Tensor  # (S,) int: the body of each half; halves 2 d and 2 d + 1 make disulfide d
    carbons: Tensor  # (S, 3, F): CB in its body
    hinges: Poses  # (S, ...): chi1 at zero, in its body
    sulfurs: Tensor  # (S, 3, F): SG in its hinge
    lengths: Tensor  # (D, 3, F): SG-SG, and CB to the other SG of each half
    is_cyclic: bool

    def among(self, frames: Tensor) -> Closures:
        """Those of some frames."""

        def part(values: Tensor) -> Tensor:
            return values if values.shape[-1] == 1 else values[..., frames]

        return Closures(
            self.halves,
            part(self.carbons),
            self.hinges.among(frames),
            part(self.sulfurs),
            part(self.lengths),
            self.is_cyclic,
        )

    def rows(self, bodies: Poses, points: Tensor, sides: Tensor) -> Rows:
        """From bodies (L, ...), their N, CA and C (L, 3, 3, F), and chi1 of each half (S, F)."""
        parts = []
        if len(self.halves):
            parts.append(self._disulfides(bodies, sides))
        if self.is_cyclic:
            parts.append(self._ends(len(points), points, len(self.halves)))
        names = ("errors", "weights", "tolerances", "bodies", "loads", "turns")
        return Rows(*(torch.cat([getattr(part, name) for part in parts]) for name in names))

    def _disulfides(self, bodies: Poses, sides: Tensor) -> Rows:
        """Three rows of each: the bond, and the distance from each CB to the other SG, which sets the angle."""
        own = Poses(bodies.rotation[self.halves], bodies.position[self.halves])
        hinge = own.then(self.hinges)
        carbon, sulfur = own.apply(self.carbons), hinge.turned(sides).apply(self.sulfurs)
        moved = torch.linalg.cross(hinge.rotation[..., 0, :], sulfur - hinge.position, dim=1)  # per radian of chi1
        n = len(self.halves)
        one, other = torch.arange(0, n, 2), torch.arange(1, n, 2)
        made = []
        for k, (first, second, a, b) in enumerate(
            ((sulfur, sulfur, one, other), (carbon, sulfur, one, other), (carbon, sulfur, other, one))
        ):
            x, y = first[a], second[b]
            apart = (x - y).norm(dim=1)
            along = (x - y) / apart[:, None].clamp_min(1e-6)
            turns = x.new_zeros(len(a), n, x.shape[-1])
            number = torch.arange(len(a))
            if k == 0:
                turns[number, a] = (along * moved[a]).sum(1)
            turns[number, b] = -(along * moved[b]).sum(1)
            loads = torch.stack([load_of(x, along), -load_of(y, along)], dim=1)
            same = x.new_ones(len(a), 1)
            weights, tolerances = (same, same * _LENGTH_MET) if k == 0 else (same * _OF_ANGLES, same * _ANGLE_MET)
            ends = torch.stack([self.halves[a], self.halves[b]], dim=1)
            made.append(Rows(apart - self.lengths[:, k], weights, tolerances, ends, loads, turns))
        names = ("errors", "weights", "tolerances", "bodies", "loads", "turns")
        return Rows(*(torch.cat([getattr(part, name) for part in made]) for name in names))

    def _ends(self, length: int, points: Tensor, n_sides: int) -> Rows:
        """Nine rows: where N, CA and C of the last body are, less where those of the first are."""
        last, first = points[-1], points[0]  # (3, 3, F)
        n_frames = points.shape[-1]
        along = torch.eye(3, dtype=points.dtype, device=points.device)[None, :, :, None].expand(
            3, 3, 3, n_frames
        )  # of each atom: coordinates
        loads = torch.stack(
            [load_of(last[:, None].expand_as(along), along), -load_of(first[:, None].expand_as(along), along)], dim=2
        )
        same = points.new_ones(9, 1)
        ends = torch.tensor([length - 1, 0]).to(self.halves).expand(9, 2)
        turns = points.new_zeros(9, n_sides, n_frames)
        return Rows((last - first).flatten(0, 1), same, same * _CYCLE_MET, ends, loads.flatten(0, 1), turns)


@dataclass(frozen=True, eq=False)
class Chain:
    """The equations of a step, as they were solved without closures; see `fitting`."""

    first: Tensor  # (6, F)
    turn: Tensor  # (K, 3, F)
    gain: Tensor  # (K, 3, 6, F)
    total: Tensor  # (K, 3, F): stiffness of each hinge with all that is behind it
    axes: Tensor  # (K, 3, 6, F)
    misses: Tensor  # (K, 6, F)
    inertia: Tensor  # (6, 6, F): of the first body, with the whole chain behind it


def with_closures(
    chain: Chain, rows: Rows, stiffness: float, side_wanted: Tensor, side_total: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The step of the same least squares with stiff rows added: turn (K, 3, F), first (6, F), and turns of chi1 (S, F).

    A row pulls at two bodies. How the chain answers to a unit pull of each row is found as the step itself is; the
    pulls are then those that leave errors in keeping with their stiffness (Woodbury's formula).
    `side_wanted` and `side_total` (S, F) are load and stiffness of chi1 without the rows.
    """
    pulls = _pulls(rows, len(chain.turn) + 1)
    turns, first = _answers(chain, pulls)
    twists, number = _twists(chain, rows, turns, first)  # (b, 6, m + 1, F), and the places of bodies among them
    sides = torch.cat([side_wanted[:, None], rows.turns.movedim(0, 1)], dim=1) / side_total[:, None]  # (S, m + 1, F)
    met = (rows.turns[:, :, None] * sides[None]).sum(1)  # (m, m + 1, F)
    for end in range(2):
        met = met + (rows.loads[:, end, :, None] * twists[number[:, end]]).sum(1)
    compliance = torch.diag_embed((1 / (stiffness * rows.weights[:, 0])).expand(rows.errors.shape[-1], -1))
    matrix = met[:, 1:].movedim(-1, 0) + compliance
    strengths = torch.linalg.solve_ex(matrix, (rows.errors + met[:, 0]).T[..., None])[0][..., 0].T  # (m, F)
    return (
        chain.turn - (turns * strengths).sum(2),
        chain.first - (first * strengths).sum(1),
        sides[:, 0] - (sides[:, 1:] * strengths).sum(1),
    )


def _pulls(rows: Rows, length: int) -> Tensor:
    """(L, 6, m, F): what each row pulls at each body."""
    m, _, _, n_frames = rows.loads.shape
    pulls = rows.loads.new_zeros(length, m, 6, n_frames)
    for end in range(2):
        pulls[rows.bodies[:, end], torch.arange(m)] += rows.loads[:, end]
    return pulls.movedim(1, 2)


def _answers(chain: Chain, pulls: Tensor) -> tuple[Tensor, Tensor]:
    """Turns of the hinges (K, 3, m, F) and motion of the first body (6, m, F), from the last body to the first."""
    turns = pulls.new_empty(len(chain.turn), 3, *pulls.shape[2:])
    load = pulls[-1]
    for link in reversed(range(len(turns))):
        for hinge in (2, 1, 0):
            axis, gain, total = chain.axes[link, hinge], chain.gain[link, hinge], chain.total[link, hinge]
            is_free = (gain != 0).any(0)  # one at its limit is held
            angle = (load * axis[:, None]).sum(0) / total * is_free
            load = load - (gain * total)[:, None] * angle
            turns[link, hinge] = angle
        load = load + pulls[link]
    first, _ = torch.linalg.solve_ex(chain.inertia.movedim(-1, 0), load.movedim(-1, 0))
    return turns, first.movedim(0, -1)


def _twists(chain: Chain, rows: Rows, turns: Tensor, first: Tensor) -> tuple[Tensor, Tensor]:
    """Twists of the bodies at rows' ends, by the step itself and by each pull, and where each end's is among them."""
    wanted, number = torch.unique(rows.bodies, return_inverse=True)
    twist = torch.cat([chain.first[:, None], first], dim=1)
    planned = torch.cat([chain.turn[:, :, None], turns], dim=2)
    at = {0: twist}
    bodies = wanted.tolist()
    for link in range(max(bodies)):
        for hinge in range(3):
            angle = planned[link, hinge] - (chain.gain[link, hinge][:, None] * twist).sum(0)
            twist = twist + chain.axes[link, hinge][:, None] * angle
        twist = torch.cat([twist[:, :1] + chain.misses[link][:, None], twist[:, 1:]], dim=1)
        at[link + 1] = twist
    return torch.stack([at[body] for body in bodies]), number
