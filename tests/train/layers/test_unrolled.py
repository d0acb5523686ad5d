"""Whole sequences of integer cells: integers as documented, gradients of the smooth functions."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from xnorflow.train.layers.gradients import GradientQuantizer
from xnorflow.train.layers.quantizers import BipolarWeights
from xnorflow.train.layers.randomness import keyed
from xnorflow.train.layers.recurrent import CellSpec, QuantLSTM, QuantRecurrent, QuantRNN

WEIGHT = BipolarWeights(4)
STEPS, SEQUENCES = 5, 4


def layer_of(kind: str) -> QuantRecurrent:
    """A layer with grids so fine that its integers come near to the real functions."""
    torch.manual_seed(3)
    if kind == "rnn":
        layer: QuantRecurrent = QuantRNN(6, 3, weight=WEIGHT, bits=8, steps=STEPS)
    else:
        layer = QuantLSTM(6, 3, weight=WEIGHT, bits=8, cell=CellSpec(8, 14, 9), steps=STEPS)
    with torch.no_grad():
        layer.gain.uniform_(0.5, 1.5)
        layer.bias.uniform_(-0.5, 0.5)
    return layer


def smooth(layer: QuantRecurrent, weight: Tensor, gain: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """The states that the real functions make, on the grid's scale."""
    h = x.new_ones(SEQUENCES, 3)
    c = x.new_zeros(SEQUENCES, 3)
    states = []
    for step in x.view(SEQUENCES, STEPS, -1).unbind(1):
        z = torch.cat([step, h], 1) @ weight.t() * gain * layer.get_buffer("unit").double() + bias
        if isinstance(layer, QuantLSTM):
            i, f, o = torch.sigmoid(z[:, :9]).chunk(3, 1)
            c = f * c + i * torch.tanh(z[:, 9:])
            h = 256 * o * torch.tanh(c)
        else:
            h = 256 * torch.tanh(z)
        states.append(h)
    return torch.stack(states, 1).view(-1, 3)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_gradients_are_those_of_the_smooth_cell(kind: str, training: bool) -> None:
    layer = layer_of(kind).train(training)
    x = (torch.randint(0, 256, (STEPS * SEQUENCES, 6)) * 2.0 - 255).requires_grad_()
    wanted = torch.randn(STEPS * SEQUENCES, 3)
    states = layer(x)
    (states * wanted).sum().backward()
    real = [t.detach().double().requires_grad_() for t in (WEIGHT(layer.weight), layer.gain, layer.bias, x)]
    expected = smooth(layer, *real)
    (expected * wanted).sum().backward()
    assert (states - expected).abs().max() < 0.03 * 256
    assert layer.weight.grad is not None and real[0].grad is not None
    real[0].grad *= 15  # the slope of the 16 levels
    for ours, reference in zip((layer.weight, layer.gain, layer.bias, x), real, strict=True):
        assert ours.grad is not None and reference.grad is not None
        assert (ours.grad - reference.grad).abs().max() < 0.04 * reference.grad.abs().max()


@pytest.mark.parametrize("gate_bits", [2, 4, 6])
def test_training_and_evaluation_make_the_integers_of_the_documentation(gate_bits: int) -> None:
    """Against a slow reference: sums in int64, codes from float64."""
    torch.manual_seed(gate_bits)
    spec = CellSpec(gate_bits, 9, 6)
    layer = QuantLSTM(8, 5, weight=WEIGHT, bits=min(4, 2 * gate_bits - 2), cell=spec, steps=STEPS)
    with torch.no_grad():
        layer.gain.mul_(2.3)
    n, s = layer.bits, spec.shift
    x = torch.randint(0, 1 << n, (STEPS * SEQUENCES, 8)) * 2 - ((1 << n) - 1)
    weight = WEIGHT(layer.weight.detach()).long().numpy()
    unit = (layer.gain * layer.get_buffer("unit")).detach().double().numpy()
    bias = layer.bias.detach().double().numpy()
    h, c = np.ones((SEQUENCES, 5), np.int64), np.zeros((SEQUENCES, 5), np.int64)
    states = []
    for step in x.view(SEQUENCES, STEPS, -1).numpy().transpose(1, 0, 2):
        z = np.concatenate([step, h], 1) @ weight.T * unit + bias
        z[:, 15:] *= 2
        codes = np.floor((1 << s) / (1 + np.exp(-z)) + 0.5).astype(np.int64)
        i, f, o, g = np.split(codes, 4, 1)
        c = ((f * c) + (i * (g - (1 << s - 1)) << spec.lift) + (1 << s - 1)) >> s
        c = np.clip(c, -256, 255)
        t = np.floor((1 << s - 1) * np.tanh(c / 64) + 0.5).astype(np.int64)
        code = np.clip((o * t >> 2 * s - n) + (1 << n - 1), 0, (1 << n) - 1)
        h = 2 * code - ((1 << n) - 1)
        states.append(h)
    expected = np.stack(states, 1).reshape(-1, 5)
    assert len(np.unique(expected)) > 2  # the test says something
    for training in (True, False):
        assert np.array_equal(layer.train(training)(x.float()).detach().numpy(), expected)


def test_no_gradient_passes_a_cell_at_its_limit() -> None:
    layer = QuantLSTM(2, 1, weight=WEIGHT, bits=4, cell=CellSpec(4, 5, 4), steps=3)  # |c| is 1 at most
    with torch.no_grad():
        layer.bias.copy_(torch.tensor([2.0, 2.0, 0.0, 2.0]))  # i, f and g are large: c is cut from the second step on
        layer.gain.zero_()
    layer(torch.ones(3, 2))[2].sum().backward()
    assert layer.bias.grad is not None
    assert layer.bias.grad[[0, 1, 3]].tolist() == [0, 0, 0] and float(layer.bias.grad[2]) != 0


def test_narrow_products_stay_near() -> None:
    layer = layer_of("lstm")
    x = torch.randint(0, 256, (STEPS * 64, 6)) * 2.0 - 255
    wide = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        narrow = layer(x)
    assert narrow.dtype == torch.float32 and 0 < (narrow - wide).abs().max() < 16
    narrow.sum().backward()
    assert layer.weight.grad is not None and bool(torch.isfinite(layer.weight.grad).all())


class _Rounded(torch.autograd.Function):
    """Integers forward; backward the smooth numbers that they stand for."""

    @staticmethod
    def forward(ctx: Any, smooth: Tensor, integers: Tensor) -> Tensor:
        return integers.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


def rounded(smooth: Tensor, integers: Tensor) -> Tensor:
    result: Tensor = _Rounded.apply(smooth, integers.detach())
    return result


def step_by_step(layer: QuantRecurrent, weight: Tensor, gain: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """The layer as a graph of torch's own operations, a `GradientQuantizer` behind each step's dot product."""
    quantizer, width, n = layer.gradient_quantizer, x.shape[1], layer.bits
    assert quantizer is not None
    rows, half, top = len(x) // STEPS, 1 << n - 1, (1 << n) - 1
    h, c = x.new_ones(rows, 3), x.new_zeros(rows, 3)
    states = []
    for step in x.view(rows, STEPS, -1).unbind(1):
        acc = quantizer(F.linear(step, weight[:, :width]) + F.linear(h, weight[:, width:]))
        z = acc * (gain * layer.get_buffer("unit")) + bias
        if isinstance(layer, QuantLSTM):
            spec, s = layer.cell, layer.cell.shift
            smooth = torch.cat([torch.sigmoid(z[:, :9]), torch.sigmoid(2 * z[:, 9:])], 1) * (1 << s)
            i, f, o, g = rounded(smooth, (smooth + 0.5).floor()).chunk(4, 1)
            real = (f * c + i * (g - (1 << s - 1)) * (1 << spec.lift)) * 2.0**-s
            whole, limit = (real + 0.5).floor(), 1 << spec.cell_bits - 1
            c = rounded(real, whole).clamp(-limit, limit - 1)
            curve = torch.tanh(c * 2.0**-spec.cell_point) * (1 << s - 1)
            product = o * rounded(curve, (curve + 0.5).floor()) * 2.0 ** (n - 2 * s)
            h = rounded(2 * product, (2 * product.floor() + 1).clamp(max=top))
        else:
            smooth = torch.tanh(z) * half
            h = rounded(2 * smooth, 2 * (smooth.floor() + half).clamp(max=top) - top)
        states.append(h)
    return torch.stack(states, 1).view(-1, 3)


def quantized(kind: str, quantizer: GradientQuantizer) -> tuple[QuantRecurrent, Tensor, Tensor]:
    """A layer in float64 that quantizes gradients, inputs, and what its states are multiplied with."""
    layer = layer_of(kind).double()
    layer.gradient_quantizer = quantizer
    torch.manual_seed(4)
    x = torch.randint(0, 256, (STEPS * SEQUENCES, 6)).double() * 2 - 255
    return layer, x, torch.randn(STEPS * SEQUENCES, 3).double()


@pytest.mark.parametrize(("form", "bits"), [("log", 4), ("linear", 3), ("linear", 6)])
@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_gradients_of_few_bits_are_those_of_a_quantizer_behind_each_steps_product(
    kind: str, form: Any, bits: int
) -> None:
    """Sums of powers of two times integers are exact in float64, in any order: equal. Scale and bias are sums of real
    numbers."""
    layer, x, wanted = quantized(kind, GradientQuantizer(bits, form))
    x.requires_grad_()
    weight = WEIGHT(layer.weight)
    real = [t.detach().clone().requires_grad_() for t in (weight, layer.gain, layer.bias, x)]
    states, expected = layer(x), step_by_step(layer, *real)
    assert torch.equal(states, expected)
    for out in (states, expected):
        torch.manual_seed(12)
        (out * wanted).sum().backward()
    (through,) = torch.autograd.grad((WEIGHT(layer.weight) * real[0].grad).sum(), layer.weight)
    references = (through, *(t.grad for t in real[1:]))
    for ours, reference in zip((layer.weight, layer.gain, layer.bias, x), references, strict=True):
        assert ours.grad is not None and reference is not None and bool(reference.any())
        if form == "log" and ours is not layer.gain and ours is not layer.bias:
            assert torch.equal(ours.grad, reference)
        else:
            assert (ours.grad - reference).abs().max() <= 1e-12 * reference.abs().max()


@pytest.mark.parametrize("kind", ["rnn", "lstm"])
def test_parts_of_a_batch_have_the_gradients_of_the_whole(kind: str) -> None:
    """Numbers are drawn by key, step of the sequence, and sequence."""

    def gradients(part: int, parts: int) -> tuple[Tensor, Tensor]:
        layer, x, wanted = quantized(kind, GradientQuantizer(4, "log"))
        mine = slice(part * len(x) // parts, (part + 1) * len(x) // parts)
        x = x[mine].requires_grad_()
        with keyed(3, 1, part=part, parts=parts):
            (layer(x) * wanted[mine]).sum().backward()
        assert x.grad is not None and layer.weight.grad is not None
        return x.grad, layer.weight.grad

    by_input, by_weight = gradients(0, 1)
    halves = [gradients(part, 2) for part in range(2)]
    assert torch.equal(torch.cat([half[0] for half in halves]), by_input)
    assert torch.equal(halves[0][1] + halves[1][1], by_weight)


def test_in_eval_mode_gradients_stay_as_they_are() -> None:
    layer, x, wanted = quantized("rnn", GradientQuantizer(2))
    found = []
    for quantizer in (layer.gradient_quantizer, None):
        layer.gradient_quantizer = quantizer
        layer.zero_grad()
        (layer.eval()(x) * wanted).sum().backward()
        assert layer.weight.grad is not None
        found.append(layer.weight.grad)
    assert torch.equal(*found)
