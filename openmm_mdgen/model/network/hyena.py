"""Hyena: a gated long convolution over frames in place of time attention (Poli et al. 2023), order 2.

Cost grows with T log T in the number of frames T, memory with T. `Hyena` is that of published checkpoints: its filter
is anti-causal, so that a frame sees itself and later frames alone, and the last tap stands at lag zero.
`BidirectionalHyena`, for new models, sees both ways; its filter is a function of the lag in frames, of any length.
"""

import math

import torch
from jaxtyping import Float
from scipy.fft import next_fast_len
from torch import Tensor, nn
from torch.nn import functional as F

from openmm_mdgen.geometry.rigid import full_precision
from openmm_mdgen.model.network.linear import Linear

_FILTER_WIDTH, _FILTER_FEATURES = 64, 3
_FRAMES_AT_ONCE = 40_000  # convolved together when sampling: more leave the processor's cache


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
            Linear(_FILTER_FEATURES, hidden),
            _Sine(freq),
            Linear(hidden, hidden),
            _Sine(freq),
            Linear(hidden, hidden),
            _Sine(freq),
            Linear(hidden, width, bias=False),
        )
        self.modulation = _Window(width)

    def forward(self, n: int) -> Tensor:
        """(n, C) taps."""
        return (self.implicit_filter(self.pos_emb.z[:, :n]) * self.modulation(self.pos_emb.t[:, :n]))[0]


class Hyena(nn.Module):
    """Mixes the frames of each residue, at most `n_frames` of them."""

    def __init__(self, width: int, n_frames: int) -> None:
        super().__init__()
        self.n_frames = n_frames
        self.in_proj = Linear(width, 3 * width)
        self.out_proj = Linear(width, width)
        self.short_filter = nn.Conv1d(3 * width, 3 * width, 3, groups=3 * width)
        self.filter_fn = _Filter(width, n_frames)

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        n = x.shape[1]
        if n > self.n_frames:
            raise ValueError(f"{n} frames, but this network's Hyena filter has {self.n_frames} taps")
        projected = self.in_proj(x)
        with full_precision(x.device):  # Fourier transforms have no other
            z = self.short_filter(F.pad(projected.to(self.filter_fn.bias).mT, (2, 0)))  # (B, 3 C, T), causal
            gate_out, gate_in, v = z.chunk(3, dim=1)
            v = v * gate_in
            # y_i = sum over j >= i of h_(n-1+i-j) v_j: of the full convolution of length 2n from index n - 1 on.
            spectrum = torch.fft.rfft(v, 2 * n) * torch.fft.rfft(self.filter_fn(n).mT, 2 * n)
            y = torch.fft.irfft(spectrum, 2 * n)[..., n - 1 : 2 * n - 1] + self.filter_fn.bias[:, None] * v
        return self.out_proj((y * gate_out).mT)


class _LagFilter(nn.Module):
    """The two-sided kernel as a small network of the lag on a logarithmic scale, under one decay a channel."""

    n_octaves = 4

    def __init__(self, width: int, n_frames: int) -> None:
        super().__init__()
        n_features, hidden = 2 * (1 + 2 * self.n_octaves), _FILTER_WIDTH
        self.mlp = nn.Sequential(
            Linear(n_features, hidden), nn.GELU(), Linear(hidden, hidden), nn.GELU(), Linear(hidden, width)
        )
        self.log_range = nn.Parameter(torch.linspace(0, math.log(max(n_frames, 2)), width))  # of a decay, in frames

    def forward(self, n: int) -> Float[Tensor, "taps C"]:
        """(2 n - 1, C): lags 0 to n - 1, then -(n - 1) to -1."""
        lag = torch.arange(n, device=self.log_range.device, dtype=self.log_range.dtype)
        lag = torch.cat([lag, -lag[1:].flip(0)])[:, None]
        scale = torch.log1p(lag.abs())
        phases = scale * 2.0 ** torch.arange(self.n_octaves, device=lag.device, dtype=lag.dtype)
        features = torch.cat([scale, phases.sin(), phases.cos()], dim=-1)
        window = torch.exp(-lag.abs() * torch.exp(-self.log_range))
        return self.mlp(torch.cat([features, features * lag.sign()], dim=-1)) * (window / window.sum(0))


class BidirectionalHyena(nn.Module):
    """Mixes any number of frames of each residue; `n_frames` sets the longest range at the start of training."""

    def __init__(self, width: int, n_frames: int) -> None:
        super().__init__()
        self.in_proj = Linear(width, 3 * width)
        self.out_proj = Linear(width, width)
        self.short_filter = nn.Conv1d(3 * width, 3 * width, 3, padding=1, groups=3 * width)
        self.filter_fn = _LagFilter(width, n_frames)
        self.bias = nn.Parameter(torch.ones(width))

    def forward(self, x: Float[Tensor, "B T C"]) -> Float[Tensor, "B T C"]:
        n = x.shape[1]
        size = next_fast_len(2 * n, real=True)
        with full_precision(x.device):
            taps = self.filter_fn(n)
            kernel = torch.cat([taps[:n], taps.new_zeros(size - len(taps), taps.shape[1]), taps[n:]]).mT
            spectrum = torch.fft.rfft(kernel)
        if torch.is_grad_enabled() or x.shape[0] * n <= _FRAMES_AT_ONCE:
            return self._mixed(x, spectrum, size)
        return torch.cat([self._mixed(row, spectrum, size) for row in x.split(max(1, _FRAMES_AT_ONCE // n))])

    def _mixed(self, x: Tensor, spectrum: Tensor, size: int) -> Tensor:
        projected = self.in_proj(x)
        with full_precision(x.device):
            z = self.short_filter(projected.to(self.bias).mT)
            gate_out, gate_in, v = z.chunk(3, dim=1)  # (B, C, T) each
            v = v * gate_in
            y = torch.fft.irfft(torch.fft.rfft(v, size) * spectrum, size)[..., : x.shape[1]] + self.bias[:, None] * v
        return self.out_proj((y * gate_out).mT)
