"""Multi-head self-attention with rotary positions and one learned extra key (the sink)."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class Rotary(nn.Module):
    """Rotates the two halves of each head by position times frequency (Su et al. 2021)."""

    def __init__(self, head_width: int) -> None:
        super().__init__()
        inv_freq = 10000.0 ** (-torch.arange(0, head_width, 2, dtype=torch.float64) / head_width)
        self.register_buffer("inv_freq", inv_freq.float())
        self.inv_freq: Tensor

    def forward(self, x: Float[Tensor, "*batch n d"]) -> Float[Tensor, "*batch n d"]:
        """Positions are 0 to n - 1."""
        angles = torch.arange(x.shape[-2], device=x.device, dtype=x.dtype)[:, None] * self.inv_freq.to(x.dtype)
        cos, sin = angles.cos(), angles.sin()
        first, second = x.chunk(2, dim=-1)
        return torch.cat([first * cos - second * sin, second * cos + first * sin], dim=-1)


class Attention(nn.Module):
    """Self-attention over the second-last axis of (..., n, C)."""

    def __init__(self, width: int, n_heads: int, *, rotary: bool, sink_has_position: bool) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.sink_has_position = sink_has_position
        self.q_proj, self.k_proj, self.v_proj, self.out_proj = (nn.Linear(width, width) for _ in range(4))
        self.bias_k, self.bias_v = (nn.Parameter(torch.randn(1, 1, width) * width**-0.5) for _ in range(2))
        if rotary:
            self.rot_emb = Rotary(width // n_heads)

    def forward(
        self, x: Float[Tensor, "*batch n C"], key_mask: Float[Tensor, "*batch n"] | None = None
    ) -> Float[Tensor, "*batch n C"]:
        """`key_mask` is 1.0 for a token that may be attended to; None when all may."""
        batch, n, width = x.shape[:-2], x.shape[-2], x.shape[-1]
        x = x.reshape(-1, n, width)
        q, k, v = (self._split(p(x)) for p in (self.q_proj, self.k_proj, self.v_proj))
        sink_k, sink_v = (self._split(b).expand(x.shape[0], -1, -1, -1) for b in (self.bias_k, self.bias_v))
        if not hasattr(self, "rot_emb"):
            k = torch.cat([k, sink_k], dim=-2)
        elif self.sink_has_position:
            q, k = self.rot_emb(q), self.rot_emb(torch.cat([k, sink_k], dim=-2))
        else:
            q, k = self.rot_emb(q), torch.cat([self.rot_emb(k), sink_k], dim=-2)
        v = torch.cat([v, sink_v], dim=-2)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=self._bias(key_mask, n, q))
        return self.out_proj(out.transpose(1, 2).reshape(*batch, n, width))

    def _split(self, x: Tensor) -> Tensor:
        """(B, n, C) to (B, heads, n, C / heads)."""
        return x.unflatten(-1, (self.n_heads, -1)).transpose(1, 2)

    def _bias(self, key_mask: Tensor | None, n: int, like: Tensor) -> Tensor | None:
        if key_mask is None:
            return None
        mask = F.pad(key_mask.reshape(-1, 1, 1, n).to(like), (0, 1), value=1.0)
        if hasattr(self, "rot_emb"):
            return torch.zeros_like(mask).masked_fill(mask == 0, -torch.inf)
        return mask  # published checkpoints without rotary positions add the mask to the logits
