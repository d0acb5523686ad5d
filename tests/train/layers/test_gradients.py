import math

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.errors import UsageError
from xnorflow.train.layers.gradients import GradientQuantizer, quantize_gradient_linear, quantize_gradient_log
from xnorflow.train.layers.modules import BinaryLinear, QuantConv2d
from xnorflow.train.layers.quantizers import FloatWeights
from xnorflow.train.layers.randomness import octets


def drawn(shape, seed):
    torch.manual_seed(seed)
    return octets(torch.device("cpu"))(shape, None).tolist()


def linear_reference(gradient, bits, byte):
    """DoReFa's formula, number by number; byte: the random numbers, as U + 1/2 = (byte + 1/2) / 256."""
    n = 2**bits - 1
    result = []
    for sample, bytes_ in zip(gradient, byte, strict=True):
        largest = max(abs(g) for g in sample)
        row = []
        for g, b in zip(sample, bytes_, strict=True):
            if largest == 0:
                row.append(0.0)
                continue
            u = min(max(g / (2 * largest) + 0.5 + ((b + 0.5) / 256 - 0.5) / n, 0.0), 1.0)
            row.append(2 * largest * (math.floor(u * n + 0.5) / n - 0.5))
        result.append(row)
    return result


def log_reference(gradient, bits, byte):
    """To a neighbour among 0 and the powers of two, with the chance that keeps the mean."""
    result = []
    for sample, bytes_ in zip(gradient, byte, strict=True):
        largest = max(abs(g) for g in sample)
        row = []
        for g, b in zip(sample, bytes_, strict=True):
            if largest == 0:
                row.append(0.0)
                continue
            top = math.ceil(math.log2(largest))
            grid = [0.0] + [2.0 ** (top - i) for i in reversed(range(2 ** (bits - 1) - 1))]
            low = max(v for v in grid if v <= abs(g))
            high = min((v for v in grid if v > low), default=2 * low)
            up = 256 * (abs(g) - low) / (high - low) >= b + 0.5
            row.append(math.copysign(high if up else low, g))
        result.append(row)
    return result


@pytest.mark.parametrize("bits", [1, 2, 4, 6, 8])
def test_linear_gradients_equal_the_formula_number_by_number(bits):
    gradient = torch.randn(9, 31, dtype=torch.float64, generator=torch.Generator().manual_seed(bits))
    gradient[3] = 0
    expected = linear_reference(gradient.tolist(), bits, drawn((9, 31), 5))
    torch.manual_seed(5)
    result = quantize_gradient_linear(gradient, bits)
    np.testing.assert_allclose(result.numpy(), expected, rtol=1e-12, atol=1e-15)
    assert all(len(row.unique()) <= 2**bits for row in result)


@pytest.mark.parametrize("bits", [2, 3, 6])
def test_log_gradients_equal_the_reference_number_by_number(bits):
    generator = torch.Generator().manual_seed(bits)
    gradient = torch.randn(9, 31, generator=generator) * torch.logspace(-12, 0, 31, base=2)
    gradient[3], gradient[4] = 0, torch.linspace(-1, 1, 31)  # the largest is a power itself
    expected = log_reference(gradient.tolist(), bits, drawn((9, 31), 6))
    torch.manual_seed(6)
    result = quantize_gradient_log(gradient, bits)
    assert result.tolist() == expected
    assert all(len(row.abs().unique()) <= 2 ** (bits - 1) for row in result)


@pytest.mark.parametrize(("kind", "bits"), [("linear", 2), ("linear", 6), ("log", 2), ("log", 6)])
def test_the_mean_is_the_gradient(kind, bits):
    torch.manual_seed(7)
    gradient = torch.tensor([[1.0, 0.6, -0.3, 0.01, -0.999, 0.0]])
    draws = 20_000
    many = GradientQuantizer(bits, kind).quantize(gradient.expand(draws, -1).contiguous()).double()
    coarse = many.std(0) / math.sqrt(draws)
    assert ((many.mean(0) - gradient[0]).abs() <= 5 * coarse + 1 / 256).all()


@pytest.mark.parametrize("quantize", [quantize_gradient_linear, quantize_gradient_log])
def test_the_range_is_each_samples_own_and_maps_are_samples(quantize):
    torch.manual_seed(8)
    gradient = torch.randn(2, 3, 4, 4)
    gradient[1] *= 1024
    torch.manual_seed(9)
    maps = quantize(gradient, 6)
    torch.manual_seed(9)
    assert torch.equal(maps, quantize(gradient.flatten(1), 6).reshape(gradient.shape))
    torch.manual_seed(9)
    gradient[0] /= 1024
    scaled = quantize(gradient, 6)
    assert torch.equal(scaled[0] * 1024, maps[0]) and torch.equal(scaled[1], maps[1])


def test_gradients_of_almost_nothing_stay_finite():
    for kind in ("linear", "log"):
        result = GradientQuantizer(6, kind).quantize(torch.tensor([[1e-38, -1e-39], [0.0, 0.0]]))
        assert bool(torch.isfinite(result).all()) and result[1].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("conv", [False, True])
def test_both_products_of_a_layer_take_the_quantized_gradient(conv):
    torch.manual_seed(10)
    layer = QuantConv2d(2, 3, 3, weight=FloatWeights()) if conv else BinaryLinear(6, 4)
    x = torch.randn(5, 2, 6, 6) if conv else torch.randn(5, 6)
    upstream = torch.randn_like(layer(x))

    def backward(quantizer, gradient):
        layer.gradient_quantizer = quantizer
        layer.zero_grad()
        inputs = x.clone().requires_grad_()
        torch.manual_seed(11)
        layer(inputs).backward(gradient)
        return inputs.grad, layer.weight.grad.clone()

    quantizer = GradientQuantizer(3).train()
    torch.manual_seed(11)
    narrow = quantizer.quantize(upstream)
    for ours, theirs in zip(backward(quantizer, upstream), backward(None, narrow), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(narrow, upstream)


def test_forward_is_the_identity_and_eval_mode_leaves_gradients_alone():
    quantizer = nn.Sequential(GradientQuantizer(2)).eval()
    x = torch.randn(4, 3, requires_grad=True)
    assert quantizer(x) is x
    assert torch.equal(quantizer.train()(x), x)


@pytest.mark.parametrize(("arguments", "message"), [((9,), "bits"), ((6, "cubic"), "kind"), ((1, "log"), "2 bits")])
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UsageError, match=message):
        GradientQuantizer(*arguments)
