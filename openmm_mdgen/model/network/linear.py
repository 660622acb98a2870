"""Linear layers by the quickest matrix product that the processor has for their size.

On CPUs, torch gives float32 products to a BLAS that reaches less than half of what oneDNN, which torch has on board
too, reaches on the same processor; the two agree to the rounding of float32. oneDNN's start costs some microseconds
more, so that the smallest products are quicker without it. The choice depends on sizes alone, never on timing: equal
input gives equal output.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SMALLEST = 1_000_000  # multiplications of one product, from which oneDNN was quicker in all shapes measured


class Linear(nn.Linear):
    """`torch.nn.Linear` by `product`."""

    def forward(self, x: Tensor) -> Tensor:
        return product(x, self.weight, self.bias)

    def gelu(self, x: Tensor) -> Tensor:
        """GELU of the layer's output, in one pass where no gradient is asked for."""
        if _needs_gradient(x, self.weight) or not _suits_onednn(x, self.weight):
            return F.gelu(self(x))
        return _onednn(x, self.weight, self.bias, "gelu", "none")  # "none": by the exact error function


def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``.

    Parameters
    ----------
    x : (..., n_in)
    weight : (n_out, n_in)
    bias : (n_out,), optional

    Returns
    -------
    Tensor, (..., n_out)
        Float32 on a CPU is computed by oneDNN where the product is large enough, with gradients; everything else is
        `torch.nn.functional.linear`.
    """
    if not _suits_onednn(x, weight):
        return F.linear(x, weight, bias)
    if _needs_gradient(x, weight):
        return _Differentiable.apply(x, weight, bias)
    return _onednn(x, weight, bias)


def _needs_gradient(x: Tensor, weight: Tensor) -> bool:
    return torch.is_grad_enabled() and (x.requires_grad or weight.requires_grad)


def onednn_takes(x: Tensor, weight: Tensor) -> bool:
    """Whether products of these are oneDNN's if they are large enough, and no gradient is asked for."""
    return _is_onednns(x, weight) and not _needs_gradient(x, weight)


def _suits_onednn(x: Tensor, weight: Tensor) -> bool:
    return x.numel() * weight.shape[0] >= _SMALLEST and _is_onednns(x, weight)


def _is_onednns(x: Tensor, weight: Tensor) -> bool:
    return (
        x.dtype == weight.dtype == torch.float32
        and x.device.type == weight.device.type == "cpu"
        and not torch.compiler.is_compiling()
        and not torch.is_autocast_enabled("cpu")
        and _is_there()
    )


def _onednn(x: Tensor, weight: Tensor, bias: Tensor | None, after: str = "none", algorithm: str = "") -> Tensor:
    return _operator()(x, weight, bias, after, [], algorithm)


def _operator() -> Callable[..., Tensor]:
    return torch.ops.mkldnn._linear_pointwise  # what torch.compile makes of linear layers on CPUs


@cache
def _is_there() -> bool:
    """Whether this build of torch has the operator, and it does what it is taken for."""
    if not torch.backends.mkldnn.is_available():
        return False
    x, weight = torch.linspace(-1, 1, 12).view(3, 4), torch.linspace(-2, 1, 8).view(2, 4)
    bias = torch.tensor([0.5, -0.5])
    try:
        plain, bent = _onednn(x, weight, bias), _onednn(x, weight, bias, "gelu", "none")
    except (AttributeError, RuntimeError, TypeError):
        return False
    expected = F.linear(x, weight, bias)
    return torch.allclose(plain, expected, atol=1e-5) and torch.allclose(bent, F.gelu(expected), atol=1e-5)


class _Differentiable(torch.autograd.Function):
    """The product with its gradients, which are products of the same kind."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return _onednn(x, weight, bias)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        rows = gradient.reshape(-1, gradient.shape[-1])
        of_x = _onednn(gradient, weight.t(), None) if ctx.needs_input_grad[0] else None
        of_weight = None
        if ctx.needs_input_grad[1]:
            of_weight = _onednn(rows.t(), x.reshape(-1, x.shape[-1]).t(), None)
        return of_x, of_weight, rows.sum(0) if ctx.has_bias else None
