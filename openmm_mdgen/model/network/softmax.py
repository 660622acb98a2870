"""Softmax attention by the quickest way that the processor has for its size.

torch's attention on CPUs is made for the wide heads of language models; with 16 to 32 channels a head most of its time
goes into exponentials and into products that are too thin for it. Over long sequences it is quicker to leave the
products to oneDNN, a block of queries at a time so that the weights stay in the cache, to take powers of two, which
processors compute four times as fast, and to let the second product sum the weights by a channel of ones. The choice
depends on sizes alone.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from openmm_mdgen.model.network.linear import onednn_takes, product

_FEWEST_KEYS = 500  # from which blocks were quicker in all shapes measured
_QUERIES_AT_ONCE = 500
_LARGEST_POWER = 64.0  # of 2: sums of a million such weights are far from the end of float32


def attend(
    q: Float[Tensor, "B H n c"],
    k: Float[Tensor, "B H m c"],
    v: Float[Tensor, "B H m c"],
    bias: Tensor | None = None,
) -> Float[Tensor, "B H n c"]:
    """softmax(q k^T / sqrt(c) + bias) v, over the m keys.

    Parameters
    ----------
    q, k, v : (B, H, n, c), (B, H, m, c), (B, H, m, c)
        Queries, keys and values of H heads.
    bias : (B, H or 1, n or 1, m), optional
        Added to the logits.
    """
    if bias is None and k.shape[-2] >= _FEWEST_KEYS and onednn_takes(q, k):
        return _in_blocks(q, k, v)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)


def _in_blocks(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    q, k = q * (math.log2(math.e) / math.sqrt(q.shape[-1])), k.contiguous()
    longest = torch.linalg.vector_norm(q, dim=-1).amax() * torch.linalg.vector_norm(k, dim=-1).amax()
    shifted = bool(longest > _LARGEST_POWER)  # by each row's largest logit, which changes nothing but the range
    ones = torch.cat([v, v.new_ones(*v.shape[:-1], 1)], dim=-1).transpose(-1, -2).contiguous()  # (B, H, c + 1, m)
    out = torch.empty_like(q.transpose(1, 2), memory_format=torch.contiguous_format).transpose(1, 2)
    for b in range(q.shape[0]):
        for h in range(q.shape[1]):
            blocks = zip(q[b, h].split(_QUERIES_AT_ONCE), out[b, h].split(_QUERIES_AT_ONCE), strict=True)
            for queries, result in blocks:
                weights = product(queries, k[b, h])
                if shifted:
                    weights -= weights.amax(-1, keepdim=True)
                summed = product(weights.exp2_(), ones[b, h])
                torch.div(summed[:, :-1], summed[:, -1:], out=result)
    return out
