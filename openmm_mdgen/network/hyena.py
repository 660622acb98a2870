"""Hyena: a gated long convolution over frames in place of time attention (Poli et al. 2023), order 2.

Cost grows with T log T in the number of frames T. The filter is anti-causal, as in published checkpoints: a frame sees
itself and later frames, and the last tap stands at lag zero.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_FILTER_WIDTH, _FILTER_FEATURES = 64, 3


class _Sine(nn.Module):
    def __init__(self, freq: nn.Parameter) -> None:
        super().__init__()
        self.freq = freq

    def forward(self, x: Tensor) -> Tensor:
        return torch.sin(self.freq * x)


class _FilterPosition(nn.Module):
    def __init__(self, n_frames: int) -> None:
        super().__init__()
        t = torch.linspace(0, 1, n_frames)[None, :, None]
        phase = 2 * math.pi * 1e-4 * torch.arange(n_frames)[None, :, None] / n_frames
        self.z = nn.Parameter(torch.cat([t, phase.cos(), -phase.sin()], dim=-1))
        self.register_buffer("t", t)
        self.t: Tensor


class _Window(nn.Module):
    """exp(-t |delta|), one decay rate a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        fast, slow = math.log(1e-2) / 0.3, math.log(1e-2) / 1.5
        self.register_buffer("deltas", torch.linspace(slow, fast, width)[None, None])
        self.deltas: Tensor

    def forward(self, t: Tensor) -> Tensor:
        return torch.exp(-t * self.deltas.abs())


class _Filter(nn.Module):
    """The convolution kernel as a small network of position."""

    def __init__(self, width: int, n_frames: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.randn(width))
        self.pos_emb = _FilterPosition(n_frames)
        freq, hidden = nn.Parameter(torch.ones(1, _FILTER_WIDTH)), _FILTER_WIDTH
        self.implicit_filter = nn.Sequential(
            nn.Linear(_FILTER_FEATURES, hidden),
            _Sine(freq),
            nn.Linear(hidden, hidden),
            _Sine(freq),
            nn.Linear(hidden, hidden),
            _Sine(freq),
            nn.Linear(hidden, width, bias=False),
        )
        self.modulation = _Window(width)

    def forward(self, n: int) -> Tensor:
        """(n, C) taps."""
        return (self.implicit_filter(self.pos_emb.z[:, :n]) * self.modulation(self.pos_emb.t[:, :n]))[0]


class Hyena(nn.Module):
    """Mixes along T, which is at most `n_frames`."""

    def __init__(self, width: int, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        self.in_proj = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.short_filter = nn.Conv1d(3 * width, 3 * width, 3, groups=3 * width)
        self.filter_fn = _Filter(width, n_frames)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        n = x.shape[1]
        if n > self.n_frames:
            raise ValueError(f"{n} frames, but this network's Hyena filter has {self.n_frames} taps")
        z = self.short_filter(F.pad(self.in_proj(x).mT, (2, 0)))  # (B, 3 C, T), causal
        gate_out, gate_in, v = z.chunk(3, dim=1)
        v = v * gate_in
        # y_i = sum over j >= i of h_(n-1+i-j) v_j: the part of the full convolution of length 2n from index n - 1 on.
        spectrum = torch.fft.rfft(v, 2 * n) * torch.fft.rfft(self.filter_fn(n).mT, 2 * n)
        y = torch.fft.irfft(spectrum, 2 * n)[..., n - 1 : 2 * n - 1] + self.filter_fn.bias[:, None] * v
        return self.out_proj((y * gate_out).mT)
