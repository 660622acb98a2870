"""Solvers of dx/dt = velocity_field(t, x) from noise (t = 0) to data (t = 1).

A solver is a small frozen object; `solve` returns the final state and how many times the field was evaluated, which is
what sampling costs. `velocity_field` takes t as a float.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

VelocityField = Callable[[float, Tensor], Tensor]


@dataclass(frozen=True)
class Solution:
    """State at the end (same shape as the start) and the number of evaluations of the field."""

    state: Tensor
    evaluations: int


class OdeSolver(ABC):
    """Integrates a velocity field over an interval of the flow coordinate."""

    @abstractmethod
    def solve(self, velocity_field: VelocityField, x: Tensor, interval: tuple[float, float] = (0.0, 1.0)) -> Solution:
        """Integrate from `interval[0]` to `interval[1]`.

        Parameters
        ----------
        velocity_field : callable
            dx/dt as a function of t, a float, and x.
        x : Tensor, (B, ...)
            State at the start; the first axis is the batch.
        interval : (float, float)
            Flow coordinates of start and end.

        Returns
        -------
        Solution
        """

    def times(self, interval: tuple[float, float] = (0.0, 1.0)) -> list[float]:
        """The t of all evaluations, each once; none where the state decides them."""
        met: dict[float, None] = {}

        def still(t: float, x: Tensor) -> Tensor:
            met[t] = None
            return torch.zeros_like(x)

        self.solve(still, torch.zeros(1, 1), interval)
        return list(met)


@dataclass(frozen=True)
class FixedStep(OdeSolver):
    """Base of the solvers with a given number of evaluations; one-step methods repeat `_step` on an even grid.

    Parameters
    ----------
    evaluations : int
        How many times the field is evaluated; a multiple of `evaluations_per_step`.
    """

    evaluations: int = 20
    evaluations_per_step: ClassVar[int] = 1

    def __post_init__(self) -> None:
        if self.evaluations < 1 or self.evaluations % self.evaluations_per_step:
            raise ValueError(
                f"{type(self).__name__} evaluates {self.evaluations_per_step} times a step: "
                f"evaluations={self.evaluations} must be a positive multiple of that"
            )

    def solve(self, velocity_field: VelocityField, x: Tensor, interval: tuple[float, float] = (0.0, 1.0)) -> Solution:
        start, end = interval
        steps = self.evaluations // self.evaluations_per_step
        h = (end - start) / steps
        for i in range(steps):
            x = self._step(velocity_field, start + i * h, x, h)
        return Solution(x, self.evaluations)

    @abstractmethod
    def _step(self, velocity_field: VelocityField, t: float, x: Tensor, h: float) -> Tensor: ...


class Euler(FixedStep):
    """First order, one evaluation a step."""

    def _step(self, velocity_field: VelocityField, t: float, x: Tensor, h: float) -> Tensor:
        return x + h * velocity_field(t, x)


class Midpoint(FixedStep):
    """Second order, two evaluations a step, never at the end of the interval."""

    evaluations_per_step = 2

    def _step(self, velocity_field: VelocityField, t: float, x: Tensor, h: float) -> Tensor:
        return x + h * velocity_field(t + h / 2, x + h / 2 * velocity_field(t, x))


class Heun(FixedStep):
    """Second order, two evaluations a step, trapezoidal."""

    evaluations_per_step = 2

    def _step(self, velocity_field: VelocityField, t: float, x: Tensor, h: float) -> Tensor:
        k1 = velocity_field(t, x)
        return x + h / 2 * (k1 + velocity_field(t + h, x + h * k1))


class RungeKutta4(FixedStep):
    """The classical fourth-order method, four evaluations a step."""

    evaluations_per_step = 4

    def _step(self, velocity_field: VelocityField, t: float, x: Tensor, h: float) -> Tensor:
        k1 = velocity_field(t, x)
        k2 = velocity_field(t + h / 2, x + h / 2 * k1)
        k3 = velocity_field(t + h / 2, x + h / 2 * k2)
        k4 = velocity_field(t + h, x + h * k3)
        return x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


# Weights of the last k velocities, newest first (Hairer, Norsett & Wanner 1993, III.1).
_ADAMS_BASHFORTH = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)


@dataclass(frozen=True)
class AdamsBashforth(OdeSolver):
    """Third-order multistep method: one evaluation a step, after two Runge-Kutta steps of order four to start it.

    Parameters
    ----------
    evaluations : int
        How many times the field is evaluated, at the start included; at least 9.
    """

    evaluations: int = 12
    order: ClassVar[int] = 3

    def __post_init__(self) -> None:
        if self.evaluations < 4 * (self.order - 1) + 1:
            raise ValueError(f"AdamsBashforth needs at least {4 * (self.order - 1) + 1} evaluations")

    def solve(self, velocity_field: VelocityField, x: Tensor, interval: tuple[float, float] = (0.0, 1.0)) -> Solution:
        start, end = interval
        steps = self.evaluations - 3 * (self.order - 1)
        h = (end - start) / steps
        starter = RungeKutta4(4)
        history: list[Tensor] = []
        for i in range(steps):
            t = start + i * h
            if i < self.order - 1:
                first: list[Tensor] = []

                def recorded(s: float, y: Tensor, first: list[Tensor] = first) -> Tensor:
                    first.append(velocity_field(s, y))
                    return first[-1]

                x = starter._step(recorded, t, x, h)
                history.insert(0, first[0])
                continue
            history.insert(0, velocity_field(t, x))
            history = history[: self.order]
            for weight, velocity in zip(_ADAMS_BASHFORTH[len(history) - 1], history, strict=True):
                x = x + h * weight * velocity
        return Solution(x, self.evaluations)


# Dormand & Prince 1980, table 2: stages, and the difference between the fifth- and fourth-order weights.
_DP_A = (
    (),
    (1 / 5,),
    (3 / 40, 9 / 40),
    (44 / 45, -56 / 15, 32 / 9),
    (19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729),
    (9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656),
    (35 / 384, 0.0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84),
)
_DP_C = (0.0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1.0, 1.0)
_DP_ERROR = (71 / 57600, 0.0, -71 / 16695, 71 / 1920, -17253 / 339200, 22 / 525, -1 / 40)


@dataclass(frozen=True)
class DormandPrince(OdeSolver):
    """Adaptive fifth-order method (dopri5). The last step ends exactly at the end of the interval.

    The error of a step is the root mean square of each batch member's own error over its tolerance, and the worst
    member decides, so no sample is less accurate for what else is in the batch.

    Parameters
    ----------
    relative_tolerance, absolute_tolerance : float
        Error that a step may have, relative to the state and besides.
    maximum_evaluations : int
        Number of evaluations after which a `RuntimeError` says that the tolerances are too tight.
    """

    relative_tolerance: float = 1e-3
    absolute_tolerance: float = 1e-6
    maximum_evaluations: int = 2000

    def solve(self, velocity_field: VelocityField, x: Tensor, interval: tuple[float, float] = (0.0, 1.0)) -> Solution:
        t, end = interval
        k1 = velocity_field(t, x)
        evaluations, h = 1, self._first_step(x, k1, end - t)
        while t < end:
            if evaluations + 6 > self.maximum_evaluations:
                raise RuntimeError(
                    f"dopri5 used {evaluations} evaluations and stands at t = {t:.4f}: loosen the tolerances"
                )
            last = h >= end - t
            h = min(h, end - t)
            stages = [k1]
            for a, c in zip(_DP_A[1:], _DP_C[1:], strict=True):
                y = x + h * sum(w * k for w, k in zip(a, stages, strict=True) if w)
                stages.append(velocity_field(t + c * h, y))
            evaluations += 6
            error = h * sum(w * k for w, k in zip(_DP_ERROR, stages, strict=True) if w)
            tolerance = self.absolute_tolerance + self.relative_tolerance * torch.maximum(x.abs(), y.abs())
            ratio = _worst_rms(error / tolerance)
            if not math.isfinite(ratio):
                raise RuntimeError(f"dopri5 met a value that is not finite at t = {t:.4f}")
            if ratio <= 1:
                t, x, k1 = (end if last else t + h), y, stages[-1]
            h *= min(10.0, max(0.2, 0.9 * max(ratio, 1e-10) ** -0.2))
        return Solution(x, evaluations)

    def times(self, interval: tuple[float, float] = (0.0, 1.0)) -> list[float]:
        return []

    def _first_step(self, x: Tensor, velocity: Tensor, span: float) -> float:
        scale = self.absolute_tolerance + self.relative_tolerance * x.abs()
        size, speed = _worst_rms(x / scale), _worst_rms(velocity / scale)
        return span * 1e-2 if min(size, speed) < 1e-5 else min(span, 0.01 * size / speed)


def _worst_rms(x: Tensor) -> float:
    return float(x.flatten(1).square().mean(1).sqrt().max())


SOLVERS: dict[str, type[OdeSolver]] = {
    "euler": Euler,
    "midpoint": Midpoint,
    "heun": Heun,
    "rk4": RungeKutta4,
    "multistep": AdamsBashforth,
    "dopri5": DormandPrince,
}

# By the method that published weights name. In place of dopri5, which evaluates the network some hundred times: what
# docs/evaluations.md found to be as good. Euler takes as many steps as in the published program.
_PUBLISHED: dict[str, tuple[str, int | None]] = {"dopri5": ("midpoint", 18), "euler": ("euler", 49)}


def for_published(method: str) -> tuple[str, int | None]:
    """The solver that published weights are used with, and its number of evaluations.

    Parameters
    ----------
    method : str
        The method that a published checkpoint names.

    Returns
    -------
    name : str
        Name in `SOLVERS`; of a method that has no solver here, that for dopri5.
    evaluations : int, optional
        None stands for as many as the solver has.
    """
    return _PUBLISHED.get(method) or ((method, None) if method in SOLVERS else _PUBLISHED["dopri5"])
