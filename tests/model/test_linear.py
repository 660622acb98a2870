"""Matrix products by oneDNN, against double precision and against torch's own layer with its gradients."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from openmm_mdgen.model.network import linear
from openmm_mdgen.model.network.linear import Linear, product

LARGE, SMALL = (3, 50, 96, 192), (1, 4, 96, 96)  # (B, n, n_in, n_out) either side of the limit


def tensors(shape, seed=0):
    n_batch, n, n_in, n_out = shape
    random = torch.Generator().manual_seed(seed)
    return (torch.randn(size, generator=random) for size in ((n_batch, n, n_in), (n_out, n_in), (n_out,)))


@pytest.mark.parametrize("shape", [LARGE, SMALL])
@pytest.mark.parametrize("has_bias", [True, False])
def test_products_are_right_to_the_rounding_of_float32(shape, has_bias):
    x, weight, bias = tensors(shape)
    bias = bias if has_bias else None
    exact = F.linear(x.double(), weight.double(), None if bias is None else bias.double())
    error = (product(x, weight, bias) - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert error < 1e-6
    layer = Linear(shape[2], shape[3])
    with torch.no_grad():
        layer.weight.copy_(weight)
        layer.bias.zero_() if bias is None else layer.bias.copy_(bias)
        torch.testing.assert_close(layer.gelu(x), F.gelu(exact).float(), rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(layer.gelu(x), F.gelu(exact).float(), rtol=1e-5, atol=1e-4)  # with gradients


@pytest.mark.parametrize("transposed", [False, True])
def test_gradients_are_those_of_torchs_layer(transposed):
    x, weight, bias = tensors(LARGE)
    ours, theirs = Linear(96, 192), nn.Linear(96, 192)
    theirs.load_state_dict(ours.state_dict())
    towards = torch.randn(3, 50, 192, generator=torch.Generator().manual_seed(1))
    gradients = []
    for layer in (ours, theirs):
        given = (x.transpose(0, 1).contiguous().transpose(0, 1) if transposed else x.clone()).requires_grad_()
        (layer(given).square() * towards).sum().backward()
        gradients.append((given.grad, layer.weight.grad, layer.bias.grad))
    for mine, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(mine, expected, rtol=1e-4, atol=1e-3)


def test_frozen_weights_pass_gradients_to_their_input_alone():
    layer = Linear(96, 192).requires_grad_(False)
    x = torch.randn(100, 96, requires_grad=True)
    layer(x).sum().backward()
    torch.testing.assert_close(x.grad, layer.weight.sum(0).expand(100, -1), rtol=1e-4, atol=1e-4)
    assert layer.weight.grad is None


def test_the_choice_follows_size_type_and_place(monkeypatch):
    taken = []
    plain = linear._onednn
    monkeypatch.setattr(linear, "_onednn", lambda x, *rest: taken.append(x.shape) or plain(x, *rest))
    if not linear._is_there():
        pytest.skip("this build of torch has no oneDNN")
    taken.clear()
    for shape, dtype in ((LARGE, torch.float32), (SMALL, torch.float32), (LARGE, torch.float64)):
        x, weight, bias = (t.to(dtype) for t in tensors(shape))
        product(x, weight, bias)
    x, weight, bias = tensors(LARGE)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert product(x, weight, bias).dtype == torch.bfloat16
    product(x.to("meta"), weight.to("meta"), bias.to("meta"))
    assert taken == [torch.Size([3, 50, 96])]


def test_without_the_operator_torchs_own_product_is_taken(monkeypatch):
    def missing(*_):
        raise AttributeError("no such operator")

    expected = product(*tensors(LARGE))
    monkeypatch.setattr(linear, "_operator", lambda: missing)
    linear._is_there.cache_clear()
    try:
        torch.testing.assert_close(product(*tensors(LARGE)), expected)
        assert not linear._is_there()
    finally:
        linear._is_there.cache_clear()


def test_equal_input_gives_equal_output():
    x, weight, bias = tensors(LARGE)
    assert all(torch.equal(product(x, weight, bias), product(x, weight, bias)) for _ in range(3))
