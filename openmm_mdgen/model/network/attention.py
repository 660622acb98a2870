"""Multi-head self-attention with rotary positions and one learned extra key (the sink)."""

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from openmm_mdgen.model.network.linear import Linear, product
from openmm_mdgen.model.network.softmax import attend


class Rotary(nn.Module):
    """Rotates the two halves of each head by position times frequency (Su et al. 2021).

    Channels that turn together stand side by side, as the real and the imaginary part of one number: see `interleaved`.
    """

    def __init__(self, head_width: int) -> None:
        super().__init__()
        inv_freq = 10000.0 ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
        self.register_buffer("inv_freq", inv_freq.float())
        self.inv_freq: Tensor

    def turns(self, n: int, first: int = 0) -> Tensor:
        """Complex (n, 1, 1, d / 2) of length one, for positions `first`, `first` + 1 and so on."""
        frequency = self.inv_freq if self.inv_freq.dtype == torch.float64 else self.inv_freq.float()
        index = torch.arange(first, first + n, device=frequency.device, dtype=frequency.dtype)
        angles = (index[:, None] * frequency)[:, None, None]
        return torch.polar(torch.ones_like(angles), angles)

    def forward(self, x: Float[Tensor, "*batch n m h d"], turns: Tensor) -> Float[Tensor, "*batch n m h d"]:
        """Turned along n; `x` itself is turned where no gradient is asked for."""
        exact = x if x.dtype in (torch.float32, torch.float64) else x.float()
        pairs = torch.view_as_complex(exact.unflatten(-1, (-1, 2)))
        turned = pairs * turns if torch.is_grad_enabled() else pairs.mul_(turns)
        return torch.view_as_real(turned).flatten(-2).to(x.dtype)

    def interleaved(self, x: Tensor) -> Tensor:
        """Rows of a projection's weight or bias, so that channels i and i + d / 2 of its heads stand side by side."""
        half = len(self.inv_freq)
        return x.unflatten(0, (-1, 2, half)).transpose(1, 2).flatten(0, 2)


class Attention(nn.Module):
    """Self-attention over the second-last axis of (..., n, C)."""

    def __init__(self, width: int, n_heads: int, *, rotary: bool, sink_has_position: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.sink_has_position = sink_has_position
        self.kept: dict[str | int, Any] | None = None  # see `VelocityNetwork.sampling`
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (Linear(width, width) for _ in range(4))
        self.bias_k, self.bias_v = (nn.Parameter(torch.randn(1, 1, width) * width**-0.5) for _ in range(2))
        if rotary:
            self.rot_emb = Rotary(width // n_heads)

    def forward(
        self, x: Float[Tensor, "*batch n C"], key_mask: Float[Tensor, "*batch n"] | None = None
    ) -> Float[Tensor, "*batch n C"]:
        """`key_mask` is 1.0 for a token that may be attended to; None when all may."""
        batch, n, width = x.shape[:-2], x.shape[-2], x.shape[-1]
        x = x.reshape(-1, n, width)
        weight, bias = self._once("rows", self._of_all)
        qkv = product(x, weight, bias).unflatten(-1, (3, self.n_heads, -1))  # one product instead of three
        sink_k, sink_v = self._heads(self._turning(self.bias_k[0, 0])), self._heads(self.bias_v)
        qk, v = qkv.split([2, 1], dim=2)
        if hasattr(self, "rot_emb"):
            qk = self.rot_emb(qk, self._once(n, lambda: self.rot_emb.turns(n)))
            if self.sink_has_position:
                sink_k = self.rot_emb(sink_k.clone(), self.rot_emb.turns(1, n))
        q, k = qk.unbind(2)
        q, k, v = q.transpose(1, 2), self._with_sink(k, sink_k), self._with_sink(v.squeeze(2), sink_v)
        out = attend(q, k, v, self._bias(key_mask, n, q))
        return self.out_proj(out.transpose(1, 2).reshape(*batch, n, width))

    def _once(self, name: str | int, compute: Callable[[], Any]) -> Any:
        """What depends on parameters and sizes alone, computed once while `kept` is a dictionary."""
        kept = self.kept
        if kept is None:
            return compute()
        if name not in kept:
            kept[name] = compute()
        return kept[name]

    def _of_all(self) -> tuple[Tensor, Tensor]:
        """Weight and bias of the three projections as one."""
        q, k, v = ((p.weight, p.bias) for p in (self.q_proj, self.k_proj, self.v_proj))
        weight, bias = (torch.cat([self._turning(a), self._turning(b), c]) for a, b, c in zip(q, k, v, strict=True))
        return weight, bias

    def _turning(self, rows: Tensor) -> Tensor:
        """Rows in the order of channels that a rotation, if there is one, asks for; logits do not depend on it."""
        return self.rot_emb.interleaved(rows) if hasattr(self, "rot_emb") else rows

    def _heads(self, sink: Tensor) -> Tensor:
        """(1, 1, 1, heads, C / heads)."""
        return sink.reshape(1, 1, 1, self.n_heads, -1)

    @staticmethod
    def _with_sink(x: Tensor, sink: Tensor) -> Tensor:
        """(B, n, heads, C / heads) and a further key to (B, heads, n + 1, C / heads)."""
        return torch.cat([x, sink.squeeze(2).expand(len(x), -1, -1, -1)], dim=1).transpose(1, 2)

    def _bias(self, key_mask: Tensor | None, n: int, like: Tensor) -> Tensor | None:
        if key_mask is None:
            return None
        mask = F.pad(key_mask.reshape(-1, 1, 1, n).to(like), (0, 1), value=1.0)
        if hasattr(self, "rot_emb"):
            return torch.zeros_like(mask).masked_fill(mask == 0, -torch.inf)
        return mask  # published checkpoints without rotary positions add the mask to the logits
