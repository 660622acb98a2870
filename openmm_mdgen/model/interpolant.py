"""Paths from noise to data: x_t = alpha(t) x1 + sigma(t) x0, with x0 standard normal and x1 data.

Flow coordinate t in [0, 1], 0 noise, 1 data. Albergo et al. 2023; the paths as in SiT (Ma et al. 2024, section 2).
"""

import math
from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor


class Interpolant(ABC):
    """alpha, sigma and their derivatives; times of any shape."""

    training_interval: ClassVar[tuple[float, float]] = (0.0, 1.0)
    sampling_interval: ClassVar[tuple[float, float]] = (0.0, 1.0)

    @abstractmethod
    def alpha_sigma(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """Weights of data and of noise."""

    @abstractmethod
    def derivatives(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        """d alpha / dt and d sigma / dt."""

    def interpolate(
        self, x0: Float[Tensor, "*shape"], x1: Float[Tensor, "*shape"], t: Float[Tensor, " B"]
    ) -> Float[Tensor, "*shape"]:
        """x_t, with one time per member of the batch."""
        alpha, sigma = (_expand(c, x1) for c in self.alpha_sigma(t))
        return alpha * x1 + sigma * x0

    def target(
        self, x0: Float[Tensor, "*shape"], x1: Float[Tensor, "*shape"], t: Float[Tensor, " B"]
    ) -> Float[Tensor, "*shape"]:
        """The velocity dx_t / dt that a network is trained to predict."""
        d_alpha, d_sigma = (_expand(c, x1) for c in self.derivatives(t))
        return d_alpha * x1 + d_sigma * x0

    def draw_times(self, n: int, generator: torch.Generator | None = None) -> Float[Tensor, " {n}"]:
        """Times, uniform over the training interval, one in each of n equal parts of it."""
        low, high = self.training_interval
        parts = (torch.randperm(n, generator=generator) + torch.rand(n, generator=generator)) / n
        return low + (high - low) * parts


class Linear(Interpolant):
    """alpha = t, sigma = 1 - t."""

    def alpha_sigma(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        return t, 1 - t

    def derivatives(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        return torch.ones_like(t), -torch.ones_like(t)


class GVP(Interpolant):
    """Generalised variance preserving: alpha = sin(pi t / 2), sigma = cos(pi t / 2)."""

    def alpha_sigma(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        angle = t * (math.pi / 2)
        return torch.sin(angle), torch.cos(angle)

    def derivatives(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        alpha, sigma = self.alpha_sigma(t)
        return sigma * (math.pi / 2), -alpha * (math.pi / 2)


class VP(Interpolant):
    """Variance preserving diffusion: alpha = exp(g), sigma = sqrt(1 - exp(2g)), noise rate from 0.1 to 20."""

    training_interval = (0.0, 1 - 1e-5)  # sigma' diverges at t = 1
    sampling_interval = (0.0, 1 - 1e-3)
    _low, _high = 0.1, 20.0

    def _exponent(self, t: Tensor) -> tuple[Tensor, Tensor]:
        u, span = 1 - t, self._high - self._low
        return -(u**2) * span / 4 - u * self._low / 2, u * span / 2 + self._low / 2

    def alpha_sigma(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        g, _ = self._exponent(t)
        return torch.exp(g), torch.sqrt(1 - torch.exp(2 * g))

    def derivatives(self, t: Float[Tensor, "*shape"]) -> tuple[Float[Tensor, "*shape"], Float[Tensor, "*shape"]]:
        g, d_g = self._exponent(t)
        alpha, sigma = self.alpha_sigma(t)
        return alpha * d_g, -torch.exp(2 * g) * d_g / sigma


INTERPOLANTS: dict[str, type[Interpolant]] = {"Linear": Linear, "GVP": GVP, "VP": VP}


def _expand(coefficient: Tensor, like: Tensor) -> Tensor:
    return coefficient.to(like).reshape(-1, *([1] * (like.ndim - 1)))
