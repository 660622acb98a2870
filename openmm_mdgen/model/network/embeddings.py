"""Sinusoidal tables, and the embeddings of the flow coordinate and of the temperature."""

import math
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from openmm_mdgen.model.network.linear import Linear

N_TIME_FEATURES = 256
MIDDLE_TEMPERATURE, TEMPERATURE_SCALE = 325.0, 25.0  # K: what the network is told is of the order of 1


def sinusoid_table(n: int, width: int) -> Float[Tensor, "1 {n} {width}"]:
    """float32: sines of n positions, then cosines (Vaswani et al. 2017)."""
    half = width // 2
    frequencies = 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)
    angles = torch.arange(n, dtype=torch.float64)[:, None] * frequencies
    return torch.cat([angles.sin(), angles.cos()], dim=-1)[None].float()


class TimeEmbedder(nn.Module):
    """Embeds the flow coordinate as a vector."""

    def __init__(self, width: int, multiplier: float) -> None:
        super().__init__()
        self.multiplier = multiplier
        self.mlp = nn.Sequential(Linear(N_TIME_FEATURES, width), nn.SiLU(), Linear(width, width))

    def features(self, t: Float[Tensor, " B"]) -> Float[Tensor, "B 256"]:
        """Sinusoids of the flow coordinate."""
        half = N_TIME_FEATURES // 2
        frequencies = torch.exp(-math.log(10000.0) * torch.arange(half, dtype=t.dtype, device=t.device) / half)
        angles = (self.multiplier * t)[:, None] * frequencies
        return torch.cat([angles.cos(), angles.sin()], dim=-1)

    def forward(self, t: Float[Tensor, " B"]) -> Float[Tensor, "B C"]:
        return self.mlp(self.features(t))


class TemperatureEmbedder(nn.Module):
    """Embeds the temperature as a vector, which begins as zero.

    Linear, so that what lies between two temperatures of the training data is what lies between their vectors.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.linear = Linear(1, width)

    def forward(self, kelvin: Float[Tensor, " B"]) -> Float[Tensor, "B C"]:
        return self.linear(((kelvin - MIDDLE_TEMPERATURE) / TEMPERATURE_SCALE)[:, None])


class Modulation(nn.Sequential):
    """adaLN: n vectors from the time embedding (Peebles & Xie 2023)."""

    def __init__(self, width: int, n: int) -> None:
        super().__init__(nn.SiLU(), Linear(width, n * width))
        self.n = n

    @property
    def linear(self) -> Linear:
        return cast(Linear, self[1])

    def forward(self, embedding: Float[Tensor, "B C"]) -> tuple[Float[Tensor, "B C"], ...]:
        return super().forward(embedding).chunk(self.n, dim=-1)


def modulated_norm(
    x: Float[Tensor, "B *between C"], shift: Float[Tensor, "#B C"], scale: Float[Tensor, "#B C"]
) -> Float[Tensor, "B *between C"]:
    """Layer norm without gain, then x (1 + scale) + shift; the two broadcast over the axes between."""
    if len(shift) == 1:  # the same for the whole batch: one pass
        return F.layer_norm(x, x.shape[-1:], (1 + scale[0]).to(x), shift[0].to(x), eps=1e-6)
    between = [1] * (x.ndim - 2)
    shift, scale = (v.reshape(v.shape[0], *between, v.shape[-1]) for v in (shift, scale))
    return torch.addcmul(shift, F.layer_norm(x, x.shape[-1:], eps=1e-6), 1 + scale)


def gated_sum(
    x: Float[Tensor, "B *between C"], branch: Float[Tensor, "B *between C"], gate: Float[Tensor, "#B C"]
) -> Float[Tensor, "B *between C"]:
    """x + branch times gate, broadcast over the axes between."""
    return torch.addcmul(x, branch, gate.reshape(gate.shape[0], *[1] * (x.ndim - 2), gate.shape[-1]))
