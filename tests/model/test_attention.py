"""Attention over long sequences against double precision, and rotations against their definition."""

import pytest
import torch
from torch.nn import functional as F

from openmm_mdgen.model.network import softmax
from openmm_mdgen.model.network.attention import Attention, Rotary
from openmm_mdgen.model.network.linear import _is_there
from openmm_mdgen.model.network.softmax import attend


def heads(n, m, scale=1.0, width=24):
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn(2, 3, length, width, generator=random) for length in (n, m, m))
    return scale * q, scale * k, v


@pytest.mark.parametrize("scale", [1.0, 10.0])  # logits of some 5 and of some 500
@pytest.mark.parametrize("n", [600, 1203])
def test_long_sequences_are_right_to_the_rounding_of_float32(n, scale):
    q, k, v = heads(n, n + 1, scale)
    exact = F.scaled_dot_product_attention(q.double(), k.double(), v.double())
    theirs = F.scaled_dot_product_attention(q, k, v)

    def off(x):
        return (x - exact).square().mean().sqrt() / exact.square().mean().sqrt()

    assert off(attend(q, k, v)) < max(3 * off(theirs), 2e-6)


def test_the_way_follows_size_mask_and_gradient(monkeypatch):
    if not _is_there():
        pytest.skip("this build of torch has no oneDNN")
    taken, plain = [], softmax._in_blocks
    monkeypatch.setattr(softmax, "_in_blocks", lambda q, k, v: taken.append(q.shape[-2]) or plain(q, k, v))
    q, k, v = heads(600, 601)
    expected = attend(q, k, v)
    assert taken == [600]
    attend(*heads(50, 51))
    attend(q.double(), k.double(), v.double())
    everything = torch.zeros(2, 1, 1, 601)
    torch.testing.assert_close(attend(q, k, v, everything), expected, rtol=1e-4, atol=1e-5)
    attend(q.requires_grad_(), k, v).sum().backward()
    assert taken == [600]
    with torch.no_grad():
        attend(q, k, v)
    assert taken == [600, 600]


def test_channels_i_and_i_plus_half_turn_together_by_position_times_frequency():
    rotary, width = Rotary(8), 8
    x = torch.randn(5, 1, 2, width, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    as_rows = x.flatten(2).permute(2, 0, 1)  # (heads * width, n, m): the order of a projection's rows
    given = rotary.interleaved(as_rows).permute(1, 2, 0).unflatten(-1, (2, width)).contiguous()
    with torch.enable_grad():
        turned = rotary(given, rotary.turns(5, first=3))
    assert torch.equal(given, rotary.interleaved(as_rows).permute(1, 2, 0).unflatten(-1, (2, width)))
    for n in range(5):
        for i in range(width // 2):
            angle = (n + 3) * 10000.0 ** (-2 * i / width)
            a, b = x[n, 0, :, i], x[n, 0, :, i + width // 2]
            cos, sin = torch.tensor(angle).cos(), torch.tensor(angle).sin()
            torch.testing.assert_close(turned[n, 0, :, 2 * i], a * cos - b * sin, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(turned[n, 0, :, 2 * i + 1], b * cos + a * sin, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("n_heads", [2, 4])  # four heads of two channels: the order of rows is as it was
def test_sampling_leaves_parameters_and_input_alone_and_equals_training(n_heads):
    torch.manual_seed(0)
    layer = Attention(8, n_heads, rotary=True, sink_has_position=True)
    x = torch.randn(3, 6, 8)
    before = {name: value.clone() for name, value in (*layer.state_dict().items(), ("x", x))}
    training = layer(x)
    with torch.no_grad():
        first = layer(x)
        layer.kept = {}
        second, third = layer(x), layer(x)
    assert torch.equal(second, third)
    assert torch.equal(first, second)
    torch.testing.assert_close(first, training.detach())
    assert all(torch.equal(value, before[name]) for name, value in (*layer.state_dict().items(), ("x", x)))
