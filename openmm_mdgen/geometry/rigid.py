"""Rigid transforms of three-dimensional space, batched.

A `Rigid` holds rotations ``(..., 3, 3)`` (acting on column vectors) and translations ``(..., 3)``. Quaternions are
``(w, x, y, z)``, Hamilton convention, with w >= 0 wherever this package makes one. Lengths in ångström.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

_EPSILON = 1e-8  # Å², inside square roots, as published checkpoints were trained with


@dataclass(frozen=True)
class Rigid:
    """x -> rotation @ x + translation."""

    rotation: Float[Tensor, "*batch 3 3"]
    translation: Float[Tensor, "*batch 3"]

    @property
    def shape(self) -> torch.Size:
        return self.translation.shape[:-1]

    def __getitem__(self, index: Any) -> Rigid:
        """Index the batch axes."""
        index, tail = _batch_index(index)
        return Rigid(self.rotation[index + tail + tail], self.translation[index + tail])

    def replaced(self, index: Any, other: Rigid) -> Rigid:
        """A copy that has other rigids at an index of the batch axes."""
        index, tail = _batch_index(index)
        changed = Rigid(self.rotation.clone(), self.translation.clone())
        changed.rotation[index + tail + tail], changed.translation[index + tail] = other.rotation, other.translation
        return changed

    def __matmul__(self, other: Rigid) -> Rigid:
        """Composition: ``(a @ b)(x) = a(b(x))``."""
        return Rigid(self.rotation @ other.rotation, self.apply(other.translation))

    def inverse(self) -> Rigid:
        transposed = self.rotation.mT
        return Rigid(transposed, -_rotate(transposed, self.translation))

    def apply(self, points: Float[Tensor, "... 3"]) -> Float[Tensor, "... 3"]:
        return _rotate(self.rotation, points) + self.translation

    def turned(self, pair: Float[Tensor, "... 2"]) -> Rigid:
        """Turned about its own x axis by angles given as (sin, cos); batch axes broadcast."""
        sin, cos = pair.unbind(-1)
        zero, one = torch.zeros_like(sin), torch.ones_like(sin)
        turn = torch.stack([one, zero, zero, zero, cos, -sin, zero, sin, cos], dim=-1).unflatten(-1, (3, 3))
        rotation = self.rotation @ turn
        return Rigid(rotation, self.translation.expand(rotation.shape[:-1]))

    @staticmethod
    def identity(batch: Sequence[int], like: Tensor) -> Rigid:
        """No motion, with these batch axes, of the type and on the device of `like`."""
        return Rigid(torch.eye(3, dtype=like.dtype, device=like.device).expand(*batch, 3, 3), like.new_zeros(*batch, 3))

    @staticmethod
    def stack(rigids: Sequence[Rigid]) -> Rigid:
        """A new last batch axis."""
        return Rigid(
            torch.stack([r.rotation for r in rigids], dim=-3), torch.stack([r.translation for r in rigids], dim=-2)
        )

    @staticmethod
    def cat(rigids: Sequence[Rigid], dim: int = 0) -> Rigid:
        """One after another along the batch axis `dim`, counted from the front."""
        return Rigid(torch.cat([r.rotation for r in rigids], dim), torch.cat([r.translation for r in rigids], dim))

    @staticmethod
    def where(condition: Bool[Tensor, ...], first: Rigid, second: Rigid) -> Rigid:
        """`first` where the condition holds, else `second`; the condition has the batch axes, or broadcasts to them."""
        return Rigid(
            torch.where(condition[..., None, None], first.rotation, second.rotation),
            torch.where(condition[..., None], first.translation, second.translation),
        )

    def expand(self, *batch: int) -> Rigid:
        """Batch axes of length one repeated, without copying, as `torch.Tensor.expand` does."""
        return Rigid(self.rotation.expand(*batch, 3, 3), self.translation.expand(*batch, 3))

    def to(self, *args: Any) -> Rigid:
        return Rigid(self.rotation.to(*args), self.translation.to(*args))

    def to_tensor7(self) -> Float[Tensor, "... 7"]:
        """Quaternion with w >= 0, then translation."""
        return torch.cat([quaternion_from_rotation(self.rotation), self.translation], dim=-1)

    @staticmethod
    def from_tensor7(values: Float[Tensor, "*batch 7"]) -> Rigid:
        """Inverse of `to_tensor7`; the quaternion may have any length but zero."""
        return Rigid(rotation_from_quaternion(values[..., :4]), values[..., 4:7])

    @staticmethod
    def from_three_points(
        on_negative_x: Float[Tensor, "*batch 3"],
        origin: Float[Tensor, "*batch 3"],
        in_xy_plane: Float[Tensor, "*batch 3"],
    ) -> Rigid:
        """Frame at `origin` with x pointing away from the first point and the third in the xy half plane y > 0."""
        e0 = origin - on_negative_x
        e0 = e0 / torch.sqrt((e0**2).sum(-1, keepdim=True) + _EPSILON)
        e1 = in_xy_plane - origin
        e1 = e1 - e0 * (e0 * e1).sum(-1, keepdim=True)
        e1 = e1 / torch.sqrt((e1**2).sum(-1, keepdim=True) + _EPSILON)
        return Rigid(torch.stack([e0, e1, torch.linalg.cross(e0, e1)], dim=-1), origin)


def _batch_index(index: Any) -> tuple[tuple, tuple]:
    """An index of the batch axes as a tuple, and what stands for each axis behind them after an ellipsis."""
    index = index if isinstance(index, tuple) else (index,)
    return index, (slice(None),) if any(i is Ellipsis for i in index) else ()


def exact_device(like: Tensor) -> torch.device:
    """Where to compute in double precision beside a tensor: some devices have none."""
    return torch.device("cpu") if like.device.type == "mps" else like.device


def full_precision(device: torch.device) -> AbstractContextManager[Any]:
    """Coordinates and Fourier transforms keep their type where mixed precision is on around them."""
    if not torch.amp.is_autocast_available(device.type):
        return nullcontext()
    return torch.autocast(device.type, enabled=False)


def superposition(
    points: Float[Tensor, "*#batch n 3"], reference: Float[Tensor, "*#batch n 3"], weights: Float[Tensor, "*#batch n"]
) -> Rigid:
    """The rigid motion that brings points closest to a reference (Kabsch 1976)."""
    weights = (weights / weights.sum(-1, keepdim=True))[..., None]
    centre, target = (weights * points).sum(-2), (weights * reference).sum(-2)
    covariance = (weights * (points - centre[..., None, :])).mT @ (reference - target[..., None, :])
    u, _, vh = torch.linalg.svd(covariance)
    handedness = torch.ones_like(centre)
    handedness[..., 2] = torch.sign(torch.linalg.det(u) * torch.linalg.det(vh))
    rotation = (vh.mT * handedness[..., None, :]) @ u.mT
    return Rigid(rotation, target - _rotate(rotation, centre))


def between(first: Rigid, second: Rigid, share: Tensor) -> Rigid:
    """From the first (share 0) to the second (1), by the shorter turn; `share` broadcasts over the batch axes."""
    q1, q2 = quaternion_from_rotation(first.rotation), quaternion_from_rotation(second.rotation)
    q2 = torch.where((q1 * q2).sum(-1, keepdim=True) < 0, -q2, q2)
    share = share[..., None]
    rotation = rotation_from_quaternion((1 - share) * q1 + share * q2)
    return Rigid(rotation, (1 - share) * first.translation + share * second.translation)


def _rotate(rotation: Tensor, points: Tensor) -> Tensor:
    return (rotation @ points[..., None])[..., 0]


def rotation_from_quaternion(quaternion: Float[Tensor, "*batch 4"]) -> Float[Tensor, "*batch 3 3"]:
    """From quaternions of any non-zero length."""
    w, x, y, z = (quaternion / quaternion.norm(dim=-1, keepdim=True)).unbind(-1)
    rows = (
        (1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)),
        (2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)),
        (2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def quaternion_from_rotation(rotation: Float[Tensor, "*batch 3 3"]) -> Float[Tensor, "*batch 4"]:
    """Quaternions with w >= 0.

    Four algebraically equal expressions, each scaled by 2|q_i|; the one with the largest component loses no digits
    (Shepperd 1978).
    """
    xx, yy, zz = rotation[..., 0, 0], rotation[..., 1, 1], rotation[..., 2, 2]
    xy, yx, xz, zx, yz, zy = (rotation[..., i, j] for i, j in ((0, 1), (1, 0), (0, 2), (2, 0), (1, 2), (2, 1)))
    outer = torch.stack(  # row i is 4 q_i q
        [
            torch.stack([1 + xx + yy + zz, zy - yz, xz - zx, yx - xy], dim=-1),
            torch.stack([zy - yz, 1 + xx - yy - zz, xy + yx, xz + zx], dim=-1),
            torch.stack([xz - zx, xy + yx, 1 - xx + yy - zz, yz + zy], dim=-1),
            torch.stack([yx - xy, xz + zx, yz + zy, 1 - xx - yy + zz], dim=-1),
        ],
        dim=-2,
    )
    largest = outer.diagonal(dim1=-2, dim2=-1).argmax(-1)
    q = torch.gather(outer, -2, largest[..., None, None].expand(*largest.shape, 1, 4))[..., 0, :]
    q = q / q.norm(dim=-1, keepdim=True)
    return torch.where(q[..., :1] < 0, -q, q)
