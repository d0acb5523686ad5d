from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xnorflow.compiler.ir import InputTransform
from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import BinaryLinear, InputQuantizer, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights


def trained_norm(kind, channels, seed=0):
    """A norm whose parameters and statistics are random, slopes of both signs."""
    generator = torch.Generator().manual_seed(seed)
    norm = kind(channels)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(channels, generator=generator))
        norm.bias.copy_(torch.randn(channels, generator=generator))
        norm.running_mean.copy_(50 * torch.randn(channels, generator=generator))
        norm.running_var.copy_(1000 * torch.rand(channels, generator=generator) + 1)
    return norm.eval()


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 8),
    st.sampled_from(["bipolar", "unsigned"]),
    st.sampled_from([(0.0, 255.0), (0.0, 16.0), (-1.0, 1.0), (-3.7, 11.3)]),
    st.lists(st.floats(-300, 300, width=32), min_size=1, max_size=40),
)
def test_input_quantizer_yields_the_integers_of_the_network_files_transform(bits, encoding, bounds, values):
    raw = np.array(values, dtype=np.float32)
    codes = InputTransform(*bounds).codes(raw, bits).astype(np.float32)
    expected = codes if encoding == "unsigned" else 2 * codes - (2**bits - 1)
    result = InputQuantizer(bits, encoding, *bounds)(torch.from_numpy(raw))
    assert result.dtype == torch.float32
    assert np.array_equal(result.numpy(), expected)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.float64])
def test_input_quantizer_takes_pixels_of_any_type(dtype):
    pixels = torch.arange(256)
    assert InputQuantizer(8, "unsigned")(pixels.to(dtype)).tolist() == list(range(256))
    assert InputQuantizer(8)(pixels.to(dtype)).tolist() == list(range(-255, 256, 2))
    assert InputQuantizer(1)(pixels.to(dtype)).tolist() == [-1] * 128 + [1] * 128


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0,), "bits"),
        ((9,), "bits"),
        ((1, "ternary"), "encoding"),
        ((1, "bipolar", 2.0, 2.0), "lo < hi"),
        ((1, "bipolar", 0.0, float("inf")), "finite"),
    ],
)
def test_input_quantizer_says_which_argument_is_wrong(arguments, message):
    with pytest.raises(UsageError, match=message):
        InputQuantizer(*arguments)


def test_quant_linear_multiplies_by_the_quantized_weights():
    layer = QuantLinear(5, 3, weight=BipolarWeights(2))
    x = torch.randint(-3, 4, (4, 5)).float()
    assert torch.equal(layer(x), x @ (2 * layer.weight_quantizer.codes(layer.weight).float() - 3).T)


def test_binary_linear_applies_the_binary_weights_gradient_to_the_real_ones():
    layer = BinaryLinear(3, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.9, -0.2, 0.0], [-1.0, 1.0, -0.1]]))
    x = torch.tensor([[1.0, 2.0, 3.0]])
    layer(x).backward(torch.tensor([[1.0, 10.0]]))
    assert layer.weight.grad.tolist() == [[1, 2, 3], [10, 20, 30]]  # no mask at |w| = 1


def test_stochastic_binary_linear_is_deterministic_in_eval_mode():
    layer = BinaryLinear(50, 20, stochastic=True)
    x = torch.ones(1, 50)
    assert not torch.equal(layer.train()(x), layer(x))
    assert torch.equal(layer.eval()(x), x @ torch.where(layer.weight >= 0, 1.0, -1.0).T)


def test_quant_linear_keeps_the_inputs_type_under_autocast():
    with torch.autocast("cpu", torch.bfloat16):
        assert BinaryLinear(4, 2)(torch.ones(1, 4)).dtype == torch.float32


@pytest.mark.parametrize(
    ("arguments", "message"), [((0, 3), "in_features"), ((3, -1), "out_features"), ((3, 2.5), "out_features")]
)
def test_quant_linear_refuses_widths_that_are_not_positive_integers(arguments, message):
    with pytest.raises(UsageError, match=message):
        QuantLinear(*arguments, weight=BinaryWeights())


def test_quant_linear_refuses_what_is_no_quantizer():
    with pytest.raises(UsageError, match="WeightQuantizer"):
        QuantLinear(3, 2, weight="binary")


def test_stochastic_sign_is_the_sign_in_eval_mode():
    x = torch.linspace(-1, 1, 201)
    layer = Sign(stochastic=True)
    assert not torch.equal(layer.train()(x), torch.where(x >= 0, 1.0, -1.0))
    assert torch.equal(layer.eval()(x), torch.where(x >= 0, 1.0, -1.0))


@pytest.mark.parametrize(("bits", "step"), [(0, 1.0), (9, 1.0), (4, 0.0), (4, -1.0), (4, float("nan"))])
def test_quant_relu_refuses_wrong_arguments(bits, step):
    with pytest.raises(UsageError, match="QuantReLU"):
        QuantReLU(bits, step)


def test_batch_norm_trains_like_torchs():
    ours, theirs = BatchNorm1d(7), nn.BatchNorm1d(7)
    x = torch.randn(20, 7)
    assert torch.equal(ours(x), theirs(x))
    assert all(torch.equal(a, b) for a, b in zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True))


def test_batch_norm_evaluates_product_then_sum_whatever_the_batch_and_layout():
    norm = trained_norm(BatchNorm1d, 33)
    x = torch.randint(-500, 500, (64, 33)).float()
    weight, bias, mean, var = (
        t.detach().double().numpy() for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    alpha = weight * (1 / np.sqrt(var + norm.eps))
    beta = bias - mean * alpha
    expected = x.numpy() * alpha.astype(np.float32) + beta.astype(np.float32)
    with torch.no_grad():
        assert np.array_equal(norm(x).numpy(), expected)
        assert torch.equal(torch.cat([norm(row[None]) for row in x]), norm(x))
        assert torch.equal(norm(x.T.contiguous().T), norm(x))
        assert torch.equal(norm(x[:1].expand(64, 33))[5], norm(x)[0])
        assert torch.equal(norm(x[:, :, None].expand(64, 33, 2))[:, :, 1], norm(x))


def test_batch_norm_is_close_to_torchs_in_eval_mode():
    norm = trained_norm(BatchNorm1d, 9)
    theirs = nn.BatchNorm1d(9).eval()
    theirs.load_state_dict(norm.state_dict())
    x = torch.randint(-500, 500, (64, 9)).float()
    torch.testing.assert_close(norm(x), theirs(x))  # the one tolerance: torch's order of operations is another


def test_batch_norm_without_parameters_or_statistics():
    x = torch.randint(-9, 9, (16, 4)).float()
    plain = BatchNorm1d(4, affine=False).eval()
    assert torch.equal(plain(x), x * (1 / torch.sqrt(torch.ones(4).double() + plain.eps)).float() - torch.zeros(4))
    batchwise = BatchNorm1d(4, track_running_stats=False).eval()
    assert torch.equal(batchwise(x), nn.BatchNorm1d(4, track_running_stats=False).eval()(x))


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 10_000), st.integers(4, 24))
def test_score_norm_is_its_integer_affine_exactly(seed, score_bits):
    norm = trained_norm(lambda c: ScoreNorm(c, score_bits=score_bits), 10, seed)
    multiplier, offset, exponent = norm.integer_affine()
    assert 2 ** (score_bits - 1) <= int(multiplier.abs().max()) <= 2**score_bits or exponent < score_bits
    acc = torch.randint(-(2**24), 2**24, (5, 10))
    scores = norm(acc.float())
    assert scores.dtype == torch.float64
    grid = Fraction(2) ** -exponent
    for row, line in zip(acc.tolist(), scores.tolist(), strict=True):
        exact = [(m * a + b) * grid for m, a, b in zip(multiplier.tolist(), row, offset.tolist(), strict=True)]
        assert [Fraction(y) for y in line] == exact


def test_score_norm_rounds_each_slope_to_half_a_grid_step():
    norm = trained_norm(ScoreNorm, 10)
    multiplier, offset, exponent = norm.integer_affine()
    slope = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    shift = norm.bias.double() - norm.running_mean.double() * slope
    assert bool(((multiplier * 2.0**-exponent - slope).abs() <= 2.0**-exponent / 2).all())
    assert bool(((offset * 2.0**-exponent - shift).abs() <= 2.0**-exponent / 2).all())
    assert 2**15 <= int(multiplier.abs().max()) <= 2**16


def test_score_norm_with_slope_zero_or_giant_offsets_stays_exact():
    norm = trained_norm(ScoreNorm, 3)
    with torch.no_grad():
        norm.weight.zero_()
    multiplier, _, _ = norm.integer_affine()
    assert multiplier.tolist() == [0, 0, 0]
    with torch.no_grad():
        norm.weight.fill_(1e-12)
        norm.bias.fill_(1e12)
    assert int(norm.integer_affine()[1].abs().max()) <= 2**47


def test_score_norm_trains_like_batch_norm():
    x = torch.randn(20, 7)
    assert torch.equal(ScoreNorm(7)(x), nn.BatchNorm1d(7)(x))


def test_score_norm_refuses_what_is_not_finite():
    norm = trained_norm(ScoreNorm, 3)
    norm.running_mean[1] = float("nan")
    with pytest.raises(UsageError, match="not finite"):
        norm.integer_affine()


@pytest.mark.parametrize("bits", [1, 25, 16.0])
def test_score_norm_refuses_wrong_score_bits(bits):
    with pytest.raises(UsageError, match="score_bits"):
        ScoreNorm(3, score_bits=bits)
