"""Quantizers with a zero and of powers of two: against their formulas in exact arithmetic, codes, gradients."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler.types import Encoding, code_values
from xnorflow.errors import UsageError
from xnorflow.train.layers.activations import LinearQuant, LogQuant
from xnorflow.train.layers.modules import QuantConv2d, QuantLinear
from xnorflow.train.layers.qnn import LogWeights, SignedWeights, TernaryWeights, quantize_linear, quantize_log

FLOATS = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=30)
QUANTIZERS = [TernaryWeights(), *(SignedWeights(bits) for bits in range(2, 9)), *(LogWeights(b) for b in range(1, 6))]


def gradient(function, x, upstream):
    x = x.clone().requires_grad_()
    function(x).backward(upstream)
    return x.grad


@pytest.mark.parametrize("quantizer", QUANTIZERS, ids=lambda q: f"{q.encoding}{q.bits}")
def test_values_are_those_of_the_codes(quantizer):
    weights = torch.randn(400, generator=torch.Generator().manual_seed(1)) / 2
    weights[:5] = torch.tensor([0.0, -0.0, 1.0, -1.0, -1e-40])
    table = torch.from_numpy(code_values(quantizer.bits, Encoding(quantizer.encoding)).copy())
    codes = quantizer.codes(weights)
    assert codes.dtype == torch.uint8
    assert torch.equal(quantizer(weights), table[codes.long()].float())
    assert torch.equal(quantizer(weights.double()), table[quantizer.codes(weights.double()).long()].double())
    if quantizer.bits <= 4:
        assert len(codes.unique()) == len(table)


@pytest.mark.parametrize("quantizer", [*(SignedWeights(bits) for bits in (2, 3, 4)), *(LogWeights(b) for b in (2, 4))])
def test_a_wide_layer_begins_with_every_code(quantizer):
    for layer in (QuantLinear(2000, 400, weight=quantizer), QuantConv2d(512, 64, 3, weight=quantizer)):
        shares = torch.bincount(quantizer.codes(layer.weight).flatten().long(), minlength=1 << quantizer.bits)
        assert layer.weight.abs().max() > 0.999
        assert shares.count_nonzero() == 1 << quantizer.bits


def test_other_weights_begin_as_glorot_has_them():
    layer = QuantLinear(1000, 500, weight=TernaryWeights(), bias=True)
    bound = (6 / 1500) ** 0.5
    assert 0.999 * bound < layer.weight.abs().max() <= bound and not layer.bias.any()


@settings(deadline=None, max_examples=50)
@given(FLOATS, st.integers(2, 8))
def test_signed_weights_are_linear_quant(values, bits):
    scale = 2.0 ** (bits - 1)
    expected = [min(max(math.floor(v * scale + 0.5), -scale), scale - 1) for v in values]
    assert SignedWeights(bits)(torch.tensor(values, dtype=torch.float64)).tolist() == expected
    assert quantize_linear(torch.tensor(values, dtype=torch.float64), bits, 1 / scale).tolist() == expected


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-40, 40), min_size=1, max_size=30), st.integers(1, 5), st.sampled_from([0.25, 1.0, 3.0]))
def test_log_quant_is_the_nearest_power(values, bits, step):
    def nearest(v: float) -> float:
        powers = [2.0**e for e in range(1 << (bits - 1))]
        magnitude = abs(v) / step
        e = sum(magnitude * magnitude >= bound * bound * 2 for bound in powers[:-1])  # bound = 2^(e + 1/2)
        return math.copysign(powers[e], 1 if v >= 0 else -1)

    safe = [v for v in values if abs((v / step) ** 2 - 2 ** round(math.log2(max((v / step) ** 2, 1e-9)))) > 1e-9]
    assert quantize_log(torch.tensor(safe, dtype=torch.float64), bits, step).tolist() == [nearest(v) for v in safe]


def test_log_relu():
    x = torch.tensor([-3.0, -0.0, 0.7, 0.71, 1.41, 1.42, 2.82, 2.83, 5.6, 5.7, 100.0])
    assert quantize_log(x, 2, 1.0, signed=False).tolist() == [0, 0, 0, 1, 1, 2, 2, 4, 4, 4, 4]
    assert quantize_log(x / 4, 2, 0.25, signed=False).tolist() == [0, 0, 0, 1, 1, 2, 2, 4, 4, 4, 4]
    assert quantize_log(x, 1, 1.0, signed=False).tolist() == [0, 0, 0, *[1] * 8]


def test_sign_of_zero_is_plus():
    zeros = torch.tensor([0.0, -0.0])
    assert quantize_log(zeros, 3, 0.5).tolist() == [1, 1]
    assert LogWeights(3)(zeros).tolist() == [1, 1]
    assert LogWeights(1)(torch.tensor([-0.2, 0.3])).tolist() == [-1, 1]


def test_ternary_threshold():
    weights = torch.tensor([[1.0, -1.0], [0.5, -0.3]])  # 0.7 of the mean magnitude is 0.49
    assert TernaryWeights()(weights).tolist() == [[1, -1], [1, 0]]
    assert TernaryWeights().codes(weights).tolist() == [[2, 0], [2, 1]]
    assert TernaryWeights()(torch.tensor([0.25, -0.25, 0.0])).tolist() == [1, -1, 0]


def test_gradients_go_straight_through():
    x = torch.tensor([-2.0, -1.0, -0.3, 0.0, 0.4, 0.75, 1.0, 2.0])
    ones = torch.ones_like(x)
    assert gradient(TernaryWeights(), x, ones).tolist() == [1] * 8
    assert gradient(SignedWeights(3), x, ones).tolist() == [4] * 8
    assert gradient(LogWeights(3), x, ones).tolist() == [8] * 8
    assert gradient(LinearQuant(3, 0.25), x, ones).tolist() == [0, 4, 4, 4, 4, 4, 0, 0]  # -4 to 3 steps
    assert gradient(LogQuant(3, 0.125), x, ones).tolist() == [0, 8, 8, 8, 8, 8, 8, 0]
    assert gradient(LogQuant(2, 0.25, signed=False), x, ones).tolist() == [0, 0, 0, 4, 4, 4, 4, 0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: SignedWeights(1), "at least 2 bits; with 1 they are the sign"),
        (lambda: SignedWeights(9), "bits of SignedWeights must be a whole number from 1 to 8, not 9"),
        (lambda: LogWeights(6), "at most 5 bits, powers up to 2\\^15, not 6"),
        (lambda: LinearQuant(1, 0.5), "at least 2 bits; with 1 it is the sign: use Sign"),
        (lambda: LinearQuant(4, 0), "step of LinearQuant must be a positive number, not 0"),
        (lambda: LogQuant(5, 1, signed=False), "at most 4 bits, powers up to 2\\^15, not 5"),
        (lambda: LogQuant(3, math.nan), "step of LogQuant must be a positive number, not nan"),
    ],
)
def test_refuses(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_what_print_shows():
    assert repr(LinearQuant(4, 0.5)) == "LinearQuant(bits=4, step=0.5)"
    assert repr(LogQuant(3, 0.5, signed=False)) == "LogQuant(bits=3, step=0.5, signed=False)"


def test_a_bound_belongs_to_the_larger_power():
    below = torch.tensor([2.0**0.5, 2.0**1.5])  # rounded to float32, down
    bounds = torch.nextafter(below, torch.full((2,), 9.0))
    assert quantize_log(bounds, 3, 1.0).tolist() == [2, 4]
    assert quantize_log(below, 3, 1.0).tolist() == [1, 2]
    assert quantize_log(bounds / 2, 2, 1.0, signed=False).tolist() == [1, 2]
    assert quantize_log(below / 2, 2, 1.0, signed=False).tolist() == [0, 1]
