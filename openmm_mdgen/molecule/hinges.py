"""A chain as bodies joined by hinges, in space: where each hinge is, given bodies or given torsions.

A *body* is a residue's backbone rigid. Three hinges lead from one to the next: about CA-C (psi of the residue), C-N
(omega of the next) and N-CA (phi of the next). What does not turn in between are a *link's* four steps. Axes, frames
last, so that each operation runs over frames that lie side by side in memory: ``L`` bodies, ``K`` links, ``3`` hinges
of a link, ``F`` frames. Ångström, radian.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from openmm_mdgen.geometry.rigid import Rigid

_SMALLEST = 1e-6  # of a cosine squared: beyond, two poses are opposite and have no shortest turn


@dataclass(frozen=True, eq=False)
class Poses:
    """Rotations and positions, frames last."""

    rotation: Tensor  # (..., 3, 3, F)
    position: Tensor  # (..., 3, F)

    @classmethod
    def of(cls, rigids: Rigid) -> Poses:
        """From rigids (F, ...)."""
        return cls(rigids.rotation.movedim(0, -1).contiguous(), rigids.translation.movedim(0, -1).contiguous())

    def rigids(self) -> Rigid:
        """(F, ...)."""
        return Rigid(self.rotation.movedim(-1, 0), self.position.movedim(-1, 0))

    def __getitem__(self, index: int | slice | tuple) -> Poses:
        return Poses(self.rotation[index], self.position[index])

    def among(self, frames: Tensor) -> Poses:
        """Those of some frames; poses that all frames share stay as they are."""
        if self.position.shape[-1] == 1:
            return self
        return Poses(self.rotation[..., frames], self.position[..., frames])

    def then(self, step: Poses) -> Poses:
        """A step taken from each pose, in its own coordinates."""
        rotation = (self.rotation[..., None, :] * step.rotation[..., None, :, :, :]).sum(-3)
        return Poses(rotation, self.apply(step.position))

    def apply(self, point: Tensor) -> Tensor:
        """Points (..., 3, F), given in each pose's coordinates, in space."""
        return (self.rotation * point[..., None, :, :]).sum(-2) + self.position

    def local(self, point: Tensor) -> Tensor:
        """Points (..., 3, F) in space, in each pose's coordinates."""
        return (self.rotation * (point - self.position)[..., None, :]).sum(-3)

    def turned(self, angle: Tensor) -> Poses:
        """Turned about their own x axes by angles (..., F)."""
        x, y, z = self.rotation.unbind(-2)
        sin, cos = angle.sin()[..., None, :], angle.cos()[..., None, :]
        return Poses(torch.stack([x, cos * y + sin * z, cos * z - sin * y], dim=-2), self.position)

    def turn_to(self, other: Poses) -> Tensor:
        """The turn (..., 3, F) that leads to other poses: its axis, as long as twice the sine of half the angle."""
        turn = torch.linalg.cross(self.rotation, other.rotation, dim=-3).sum(-2)  # twice the sine of the angle
        cosine = (self.rotation * other.rotation).sum((-3, -2))  # 1 + twice the cosine of the angle
        return turn / (1 + cosine).clamp_min(_SMALLEST).sqrt()[..., None, :]

    def twist_to(self, other: Poses) -> Tensor:
        """The small motion (..., 6, F) that leads to other poses: a turn about the origin, then a shift."""
        turn = self.turn_to(other)
        shift = other.position - self.position + torch.linalg.cross(self.position, turn, dim=-2)
        return torch.cat([turn, shift], dim=-2)

    def moved(self, twist: Tensor) -> Poses:
        """Poses (3, F) turned about the origin, exactly, and shifted, by a twist (6, F)."""
        turn = torch.linalg.matrix_exp(skewed(twist[:3]).movedim(-1, 0)).movedim(0, -1)
        return Poses(turn, twist[3:]).then(self)

    def unflatten(self, n: int) -> Poses:
        """The first axis as rows of n."""
        return Poses(self.rotation.unflatten(0, (-1, n)), self.position.unflatten(0, (-1, n)))

    @staticmethod
    def stack(poses: Sequence[Poses], dim: int = 0) -> Poses:
        """A new axis before the others."""
        return Poses(torch.stack([p.rotation for p in poses], dim), torch.stack([p.position for p in poses], dim))


@dataclass(frozen=True, eq=False)
class Geometry:
    """What does not turn: the structure's bond lengths and angles, of all frames alike (F = 1) or of each frame."""

    steps: (
        Poses  # (K, 4, ...): from a body to its psi hinge, from there to the omega hinge, the phi hinge, the next body
    )
    atoms: Tensor  # (L, 3, 3, F): N, CA and C of each residue in its body

    def among(self, frames: Tensor) -> Geometry:
        """That of some frames."""
        return Geometry(self.steps.among(frames), self.atoms if self.atoms.shape[-1] == 1 else self.atoms[..., frames])

    def points(self, bodies: Poses) -> Tensor:
        """N, CA and C in space, (L, 3, 3, F)."""
        return Poses(bodies.rotation[:, None], bodies.position[:, None]).apply(self.atoms)


@dataclass(frozen=True, eq=False)
class Articulated:
    """A chain in space: its bodies, and its hinges before they turn."""

    bodies: Poses  # (L, ...)
    hinges: Poses  # (K, 3, ...)
    angles: Tensor  # (K, 3, F)
    misses: Tensor  # (K, 6, F): twist from each next body to where the steps lead; zero in a chain that is whole
    sides: Tensor  # (S, F): hinges beside the chain, of side chains that close it

    @classmethod
    def through(
        cls, bodies: Poses, geometry: Geometry, allowed: Callable[[Tensor], Tensor], sides: Tensor
    ) -> Articulated:
        """Bodies as they are, with the torsions that lead best from each to the next, which they need not reach.

        Each torsion is that of four atoms, of which the last lies where the next body has it: its N, then CA, then C.
        `allowed` brings angles (K, 3, F) within their limits.
        """
        steps, here = geometry.steps, bodies[:-1]
        marks = geometry.points(bodies)[1:].unbind(1)
        ends = (steps[:, 1].position, steps[:, 2].position, steps[:, 3].apply(geometry.atoms[1:, 2]))
        angles = bodies.position.new_zeros(len(here.position), 3, bodies.position.shape[-1])
        pose, hinges = here, []
        for k in range(3):
            hinges.append(pose.then(steps[:, k]))
            angles[:, k] = _around_x(hinges[k].local(marks[k])) - _around_x(ends[k])
            angles = allowed(angles)
            pose = hinges[k].turned(angles[:, k])
        return cls(bodies, Poses.stack(hinges, 1), angles, bodies[1:].twist_to(pose.then(steps[:, 3])), sides)

    def among(self, frames: Tensor) -> Articulated:
        """That of some frames."""
        return Articulated(
            self.bodies.among(frames),
            self.hinges.among(frames),
            self.angles[..., frames],
            self.misses[..., frames],
            self.sides[..., frames],
        )

    def replace(self, frames: Tensor, other: Articulated) -> None:
        """Take other chains' place in some frames."""
        for own, new in ((self.bodies, other.bodies), (self.hinges, other.hinges)):
            own.rotation[..., frames], own.position[..., frames] = new.rotation, new.position
        self.angles[..., frames], self.sides[..., frames] = other.angles, other.sides

    def nodes(self) -> Poses:
        """(3 K + 1, ...): the first body, what follows each hinge, and so each body; see `overlaps`."""
        after = self.hinges.turned(self.angles)  # the last of a link turns as the next body does
        rotation, position = self.bodies.rotation, self.bodies.position
        link = [
            torch.cat([of[:, :2], at[1:, None]], dim=1).flatten(0, 1)
            for of, at in ((after.rotation, rotation), (after.position, position))
        ]
        return Poses(torch.cat([rotation[:1], link[0]]), torch.cat([position[:1], link[1]]))

    def axes(self) -> Tensor:
        """(K, 3, 6, F): the twist of each hinge, per radian."""
        axis = self.hinges.rotation[..., 0, :]
        return torch.cat([axis, torch.linalg.cross(self.hinges.position, axis, dim=2)], dim=2)


def _around_x(points: Tensor) -> Tensor:
    """Angles (..., F) of points (..., 3, F) about the x axis, from y towards z."""
    return torch.atan2(points[..., 2, :], points[..., 1, :])


def load_of(point: Tensor, along: Tensor) -> Tensor:
    """(..., 6, F): how far a twist moves points along directions, (..., 3, F) each."""
    return torch.cat([torch.linalg.cross(point, along, dim=-2), along], dim=-2)


def skewed(vectors: Tensor) -> Tensor:
    """Matrices (..., 3, 3, F) that take the cross product of vectors (..., 3, F) with what they are applied to."""
    x, y, z = vectors.unbind(-2)
    none = torch.zeros_like(x)
    rows = [torch.stack(row, dim=-2) for row in ((none, -z, y), (z, none, -x), (-y, x, none))]
    return torch.stack(rows, dim=-3)


def wrapped(angles: Tensor) -> Tensor:
    """Angles within half a turn of zero."""
    return angles - 2 * math.pi * torch.round(angles / (2 * math.pi))
