"""Layers of -1 and +1 by integers: torch's own numbers, bit for bit, forward and backward."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from xnorflow.gpu import layers
from xnorflow.gpu.layers import sign_conv2d, sign_linear
from xnorflow.train.layers.modules import QuantConv2d, QuantLinear
from xnorflow.train.layers.quantizers import BinaryWeights

PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


def signs(*shape: int) -> Tensor:
    return torch.where(torch.rand(shape) < 0.5, -1.0, 1.0)


@pytest.fixture(autouse=True)
def _seeded(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    monkeypatch.setattr(layers, "_cpu_pays", lambda: True)  # on every CPU


def gradients(product: Callable[..., Tensor], x: Tensor, weight: Tensor) -> list[Tensor]:
    """Product and both gradients."""
    x, weight = x.clone().requires_grad_(), weight.clone().requires_grad_()
    y = product(x, weight)
    drawn = torch.randn(y.shape, generator=torch.Generator().manual_seed(1))
    return [y.detach(), *torch.autograd.grad(y, (x, weight), drawn)]


def equal(ours: list[Tensor], theirs: list[Tensor]) -> None:
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))


@given(st.integers(0, 30), st.integers(2, 40), st.integers(1, 200), st.sampled_from(["signs", "pixels", "one zero"]))
@settings(max_examples=40, deadline=None)
def test_linear(batch: int, inputs: int, outputs: int, kind: str) -> None:
    x = signs(batch, inputs) if kind != "pixels" else torch.randint(0, 256, (batch, inputs)).float()
    if kind == "one zero" and batch:
        x[-1, -1] = 0
    weight = signs(outputs, inputs)
    equal(gradients(sign_linear, x, weight), gradients(F.linear, x, weight))


@given(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9), PAIRS, PAIRS, PAIRS, st.booleans())
@settings(max_examples=40, deadline=None)
def test_conv2d(
    batch: int,
    channels: int,
    outputs: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    binary: bool,
) -> None:
    shape = batch, channels, 8, 9
    x = signs(*shape) if binary else torch.randint(-3, 4, shape).float()
    weight = signs(outputs, channels, *kernel)
    equal(
        gradients(lambda x, w: sign_conv2d(x, w, stride, dilation), x, weight),
        gradients(lambda x, w: F.conv2d(x, w, None, stride, 0, dilation), x, weight),
    )


def test_a_zero_far_behind_is_found() -> None:
    x = signs(3, layers.CHUNK)
    assert layers.holds_signs(x)
    for value in (0.0, 1.5, -3.0, float("nan")):
        changed = x.clone()
        changed[2, -1] = value
        assert not layers.holds_signs(changed)


def test_windows_of_a_large_batch_are_spread_out_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layers, "WINDOW_BYTES", 700)
    x, weight = signs(5, 3, 6, 6), signs(4, 3, 3, 3)
    assert torch.equal(sign_conv2d(x, weight, (1, 1), (1, 1)), F.conv2d(x, weight))


def test_inputs_that_are_not_contiguous() -> None:
    x, weight = signs(70, 20).t(), signs(5, 70)
    assert torch.equal(sign_linear(x, weight), F.linear(x, weight))
    maps = signs(2, 7, 8, 4).permute(0, 3, 1, 2)
    weight = signs(6, 4, 3, 3).contiguous(memory_format=torch.channels_last)
    assert torch.equal(sign_conv2d(maps, weight, (1, 1), (1, 1)), F.conv2d(maps, weight))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
def test_torch_finds_nothing_wrong() -> None:
    x, weight = signs(5, 40).requires_grad_(), signs(7, 40).requires_grad_()
    torch.library.opcheck(torch.ops.xnorflow.sign_linear.default, (x, weight))
    maps, kernels = signs(2, 3, 6, 6).requires_grad_(), signs(4, 3, 3, 3).requires_grad_()
    torch.library.opcheck(torch.ops.xnorflow.sign_conv2d.default, (maps, kernels, [1, 2], [2, 1]))


def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of the int8 products from now on."""
    made: list[tuple[int, ...]] = []
    product = layers.int8_product

    def counted(a: Tensor, b: Tensor) -> Tensor:
        made.append(tuple(a.shape))
        return product(a, b)

    monkeypatch.setattr(layers, "int8_product", counted)
    return made


def test_layers_of_a_network_take_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = calls(monkeypatch)
    layer, x = QuantLinear(100, 64, weight=BinaryWeights()), signs(32, 100)
    plain = F.linear(x, layer.weight_quantizer(layer.weight))
    for training in (True, False):
        assert torch.equal(layer.train(training)(x), plain)
    assert made == [(32, 100)] * 2
    conv, maps = QuantConv2d(128, 128, 3, weight=BinaryWeights(), padding=1, pad_value=-1), signs(2, 128, 5, 5)
    plain = F.conv2d(conv.padded(maps), conv.weight_quantizer(conv.weight))
    assert torch.equal(conv(maps), plain)
    assert made[2:] == [(2 * 25, 9 * 128)]


@pytest.mark.parametrize("why", ["pixels", "float64", "autocast", "few rows", "few outputs", "another CPU"])
def test_what_goes_torchs_way(why: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = calls(monkeypatch)
    outputs = 10 if why == "few outputs" else 64
    layer, x = QuantLinear(100, outputs, weight=BinaryWeights()), signs(3 if why == "few rows" else 32, 100)
    if why == "pixels":
        x = torch.randint(0, 256, x.shape).float()
    if why == "float64":
        layer, x = layer.double(), x.double()
    if why == "another CPU":
        monkeypatch.setattr(layers, "_cpu_pays", lambda: False)
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        assert torch.equal(layer(x), F.linear(x, layer.weight_quantizer(layer.weight)).to(x.dtype))
    assert made == []
