import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.modules import BinaryLinear
from xnorflow.train.layers.quantizers import (
    BinaryWeights,
    BipolarWeights,
    FloatWeights,
    quantize_relu,
    sign,
    sign_stochastic,
)
from xnorflow.train.layers.randomness import octets

FLOATS = st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=30)
EDGES = torch.tensor([-2.0, -1.0 - 2**-23, -1.0, -0.5, -1e-45, -0.0, 0.0, 1e-45, 0.5, 1.0, 1.0 + 2**-23, 2.0])


def gradient(function, x, upstream):
    x = x.clone().requires_grad_()
    function(x).backward(upstream)
    return x.grad


@settings(deadline=None, max_examples=50)
@given(FLOATS)
def test_sign_is_plus_one_exactly_where_x_is_not_negative(values):
    x = torch.tensor(values)
    expected = [1.0 if v >= 0 else -1.0 for v in x.tolist()]
    assert sign(x).tolist() == expected
    assert BinaryWeights()(x).tolist() == expected
    assert BinaryWeights().codes(x).tolist() == [int(v > 0) for v in expected]


def test_both_zeros_are_plus_one():
    zeros = torch.tensor([0.0, -0.0])
    assert sign(zeros).tolist() == [1.0, 1.0]
    assert BinaryWeights()(zeros).tolist() == [1.0, 1.0]
    assert BinaryWeights().codes(zeros).tolist() == [1, 1]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_sign_passes_the_gradient_where_x_is_within_one_bounds_included(dtype):
    x = EDGES.to(dtype)
    upstream = torch.arange(1.0, len(x) + 1).to(dtype)
    expected = torch.where(x.abs() <= 1, upstream, torch.zeros_like(upstream))
    assert torch.equal(gradient(sign, x, upstream), expected)
    assert torch.equal(gradient(sign_stochastic, x, upstream), expected)


def test_weights_pass_every_gradient():
    upstream = torch.arange(1.0, len(EDGES) + 1)
    for quantizer in (BinaryWeights(), BinaryWeights(stochastic=True), FloatWeights()):
        assert torch.equal(gradient(quantizer, EDGES, upstream), upstream)


def test_stochastic_sign_has_the_hard_sigmoid_as_its_probability():
    torch.manual_seed(3)
    count = 40_000
    for value, probability in ((-1.5, 0.0), (-1.0, 0.0), (-0.5, 0.25), (0.0, 0.5), (0.8, 0.9), (1.0, 1.0), (7.0, 1.0)):
        for draw in (sign_stochastic, BinaryWeights(stochastic=True).train()):
            drawn = draw(torch.full((count,), value))
            assert set(drawn.tolist()) <= {-1.0, 1.0}
            deviation = abs(float((drawn > 0).double().mean()) - probability)
            assert deviation <= 5 * math.sqrt(probability * (1 - probability) / count)  # 5 sigma; 0 at the ends


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_stochastic_signs_round_the_probability_to_a_byte(dtype):
    x = torch.linspace(-1.25, 1.25, 1001, dtype=dtype)
    levels = torch.floor(256 * ((x.double() + 1) / 2).clamp(0, 1) + 0.5)  # how many of 256 bytes make +1
    torch.manual_seed(4)
    expected = torch.where(octets(x.device)(x.shape, None) < levels, 1.0, -1.0)
    torch.manual_seed(4)
    differing = sign_stochastic(x).double() != expected
    assert int(differing.sum()) <= (4 if dtype == torch.bfloat16 else 0)  # there 127.5 + 128 x is rounded itself


def test_stochastic_weights_are_the_sign_in_eval_mode():
    weights = torch.linspace(-1, 1, 101)
    quantizer = BinaryWeights(stochastic=True).eval()
    assert torch.equal(quantizer(weights), BinaryWeights()(weights))


@settings(deadline=None, max_examples=50)
@given(FLOATS, st.integers(1, 8), st.sampled_from([0.125, 0.25, 0.3, 1.0]))
def test_relu_codes_follow_the_formula(values, bits, step):
    x = torch.tensor(values)
    levels = 2**bits - 1
    expected = torch.clamp(torch.floor(x / step + 0.5), 0, levels)
    assert torch.equal(quantize_relu(x, levels, step), expected)


def test_relu_rounds_halves_up():
    assert quantize_relu(torch.tensor([-0.5, 0.0, 0.5, 1.5, 2.5, 14.5, 99.0]), 15, 1.0).tolist() == [
        0,
        0,
        1,
        2,
        3,
        15,
        15,
    ]


def test_relu_of_three_codes_is_binaryduos_ternary_activation():
    """t(x) in {0, 1/2, 1} with thresholds 1/4 and 3/4; its gradient is 1 on [0, 1], that of the code 2."""
    x = torch.tensor([-1.0, 0.0, 0.2499, 0.25, 0.7499, 0.75, 1.0, 1.01, 9.0])
    assert quantize_relu(x, 2, 0.5).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert gradient(lambda t: quantize_relu(t, 2, 0.5), x, torch.ones(9)).tolist() == [0, 2, 2, 2, 2, 2, 2, 0, 0]


def test_relu_passes_the_gradient_over_step_inside_its_range():
    x = torch.tensor([-0.01, 0.0, 0.1, 3.75, 3.7500005, 4.0])
    assert gradient(lambda t: quantize_relu(t, 15, 0.25), x, torch.full((6,), 3.0)).tolist() == [0, 12, 12, 12, 0, 0]


@settings(deadline=None, max_examples=50)
@given(FLOATS, st.integers(1, 8))
def test_bipolar_weights_are_the_nearest_odd_integers(values, bits):
    weights = torch.tensor(values)
    quantizer, levels = BipolarWeights(bits), 2**bits - 1
    quantized = quantizer(weights)
    assert torch.equal(quantized, 2 * quantizer.codes(weights).float() - levels)
    scaled = weights.double().clamp(-1, 1) * levels
    assert bool(((quantized - scaled).abs() <= 1 + 1e-4).all())  # the grid's pitch is 2; float32 rounds the sum
    assert int(quantizer.codes(weights).max()) <= levels


def test_one_bipolar_bit_is_the_sign():
    assert torch.equal(BipolarWeights(1)(EDGES), torch.where(EDGES >= -(2**-25), 1.0, -1.0))


def test_bipolar_gradient_is_the_slope_of_the_staircase():
    assert gradient(BipolarWeights(3), EDGES, torch.ones_like(EDGES)).tolist() == [7.0] * len(EDGES)


def test_a_second_forward_before_backward_leaves_the_first_intact():
    weight = torch.tensor([0.5, -0.5], requires_grad=True)
    quantizer = BinaryWeights()
    quantizer(weight).sum().backward()  # there is a spare buffer now
    first = quantizer(weight)
    with torch.no_grad():
        weight.neg_()
    second = quantizer(weight)
    assert first.tolist() == [1.0, -1.0]
    assert second.tolist() == [-1.0, 1.0]


def test_a_buffer_is_used_again_after_backward_and_only_then():
    layer = BinaryLinear(6, 4)
    x = torch.ones(2, 6)

    def address():
        return layer.weight_quantizer(layer.weight).data_ptr()

    one = layer.weight_quantizer(layer.weight)
    assert address() != one.data_ptr()
    torch.nn.functional.linear(x, one).sum().backward()
    assert address() == one.data_ptr()
    assert address() != one.data_ptr()


def test_a_retained_graph_is_refused_once_its_buffer_holds_other_signs():
    layer = BinaryLinear(6, 4)
    x = torch.ones(2, 6, requires_grad=True)
    total = layer(x).sum()
    total.backward(retain_graph=True)
    total.backward(retain_graph=True)  # nothing in between: as good as the first time
    assert torch.equal(x.grad, 2 * torch.where(layer.weight >= 0, 1.0, -1.0).sum(0).expand(2, 6))
    layer(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_a_quantizer_shared_by_layers_of_different_shapes_stays_right():
    quantizer = BinaryWeights()
    for shape in ((3, 4), (5, 2), (3, 4)):
        weight = torch.randn(shape, requires_grad=True)
        quantized = quantizer(weight)
        assert torch.equal(quantized, torch.where(weight >= 0, 1.0, -1.0))
        quantized.sum().backward()


@pytest.mark.parametrize("bits", [0, 9, -1, 1.5, True])
def test_code_widths_outside_one_to_eight_are_refused(bits):
    with pytest.raises(UsageError, match="whole number from 1 to 8"):
        BipolarWeights(bits)


def test_float_weights_say_that_they_have_no_codes():
    with pytest.raises(UnsupportedLayerError, match="FloatWeights have no integer codes"):
        FloatWeights().codes(EDGES)
