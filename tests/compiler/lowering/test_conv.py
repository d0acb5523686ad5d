"""Convolutional modules equal their integer networks in every code, accumulator and score."""

from collections import OrderedDict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from xnorflow.compiler import compare_with_module, compile_module
from xnorflow.compiler.ir import Conv2d, Dense, MaxPool, Threshold
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.modules import (
    BinaryLinear,
    ChannelsFirst,
    InputQuantizer,
    QuantConv2d,
    QuantLinear,
    QuantReLU,
    Sign,
)
from xnorflow.train.layers.norms import BatchNorm1d, BatchNorm2d, ScoreNorm
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights


def shake(module: nn.Module, seed: int) -> nn.Module:
    """Random statistics in every BatchNorm: slopes of both signs and 0, shifts up to the accumulators' size."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            n = norm.num_features
            with torch.no_grad():
                norm.weight.copy_(torch.randn(n, generator=generator))
                norm.weight[torch.rand(n, generator=generator) < 0.1] = 0
                norm.bias.copy_(torch.randn(n, generator=generator))
                norm.running_mean.copy_(5 * torch.randn(n, generator=generator))
                norm.running_var.copy_(30 * torch.rand(n, generator=generator) + 0.1)
    return module.eval()


def conv(c: int, n: int, kernel: int | tuple[int, int], bits: int = 1, **options) -> QuantConv2d:
    return QuantConv2d(c, n, kernel, weight=BinaryWeights() if bits == 1 else BipolarWeights(bits), **options)


def small(order: str, norm: type[nn.Module] = BatchNorm2d, activation=Sign, bits: int = 1, seed: int = 0) -> nn.Module:
    """Two convolutions, the pool of the first at the place that `order` tells, on (6, 7, 2) images."""
    torch.manual_seed(seed)
    pad = 0 if activation is not Sign else -1
    parts = {"C": conv(2, 5, (3, 2), bits), "P": nn.MaxPool2d((2, 2), (1, 2)), "B": norm(5), "A": activation()}
    return shake(
        nn.Sequential(
            InputQuantizer(2, "unsigned", 0, 3),
            ChannelsFirst(),
            *(parts[letter] for letter in order),
            conv(5, 4, 2, bits, stride=(2, 1), padding=(1, 0), dilation=(1, 2), pad_value=pad),
            BatchNorm2d(4),
            activation(),
            nn.Flatten(),
            BinaryLinear(8, 6) if order.count("P") else BinaryLinear(8 * 3, 6),
            BatchNorm1d(6),
            activation(),
            QuantLinear(6, 3, weight=BinaryWeights()),
            ScoreNorm(3),
        ),
        seed,
    )


def images(shape: tuple[int, ...], top: int, count: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, top + 1, (count, *shape)).astype(np.uint8)


ORDERS = {
    "CPBA": [Conv2d, MaxPool, Threshold],
    "CBPA": [Conv2d, Threshold, MaxPool],
    "CBAP": [Conv2d, Threshold, MaxPool],
}


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("norm", [BatchNorm2d, nn.BatchNorm2d])
@pytest.mark.parametrize(("activation", "bits"), [(Sign, 1), (lambda: QuantReLU(2, 0.7), 3)])
def test_a_pool_at_every_place(order: str, norm, activation, bits: int):
    for seed in range(5):
        module = small(order, norm, activation, bits, seed)
        raw = images((6, 7, 2), 3, seed=seed)
        network = compile_module(module, raw)
        assert [type(node) for node in network.nodes[1:4]] == ORDERS[order]
        comparison = compare_with_module(network, module, raw)
        assert comparison.disagreements == 0
        assert comparison.plain_differences == 0 or norm is nn.BatchNorm2d


def test_a_pool_of_accumulators_is_not_a_pool_of_codes():
    module = small("CPBA")
    raw = images((6, 7, 2), 3, count=50)
    network = compile_module(module, raw)
    first = network.nodes[3]
    assert isinstance(first, Threshold) and first.descending.any() and not first.descending.all()
    pooled_first = module[:6](torch.from_numpy(raw))
    pooled_last = nn.Sequential(*(module[i] for i in (0, 1, 2, 4, 5, 3)))(torch.from_numpy(raw))
    assert not torch.equal(pooled_first, pooled_last)


@settings(deadline=None, max_examples=25)
@given(
    kernel=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    stride=st.tuples(st.integers(1, 2), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padded=st.booleans(),
    bias=st.booleans(),
    grey=st.booleans(),
    seed=st.integers(0, 99),
)
def test_every_geometry(kernel, stride, dilation, padded: bool, bias: bool, grey: bool, seed: int):
    torch.manual_seed(seed)
    channels = 1 if grey else 3
    padding = (kernel[0] // 2, kernel[1] // 2) if padded else (0, 0)
    if seed % 3 == 0:
        padding = (0, *padding[1:], *padding)
    layer = conv(
        channels, 6, kernel, stride=stride, dilation=dilation, padding=padding, pad_value=-255 if seed % 2 else 255,
        groups=channels if seed % 4 < 2 else 1, bias=bias,
    )  # fmt: skip
    if bias:
        nn.init.normal_(layer.bias, std=20)
    front = nn.Sequential(InputQuantizer(8), ChannelsFirst(), layer, BatchNorm2d(6), Sign(), nn.Flatten())
    raw = images((8, 9) if grey else (8, 9, 3), 255, seed=seed)
    width = front.eval()(torch.from_numpy(raw)).shape[1]
    module = shake(nn.Sequential(*front, BinaryLinear(width, 4)), seed)
    network = compile_module(module, raw)
    assert compare_with_module(network, module, raw).disagreements == 0


def test_a_flattened_image_is_reordered_only_behind_channels_first():
    torch.manual_seed(0)
    raw = images((4, 5, 3), 255)
    for front in ((InputQuantizer(8),), (InputQuantizer(8), ChannelsFirst())):
        module = nn.Sequential(*front, nn.Flatten(), BinaryLinear(60, 5), BatchNorm1d(5), Sign(), BinaryLinear(5, 3))
        shake(module, 1)
        network = compile_module(module, raw)
        assert isinstance(network.nodes[1], Dense)
        assert compare_with_module(network, module, raw).disagreements == 0


def test_names_follow_the_qualified_paths():
    module = nn.Sequential(
        OrderedDict(
            quantize=InputQuantizer(1),
            channels=ChannelsFirst(),
            pool0=nn.MaxPool2d(2),
            conv1=conv(1, 4, 2),
            pool1=nn.MaxPool2d(2),
            norm1=BatchNorm2d(4),
            act1=Sign(),
            flatten=nn.Flatten(),
            fc=BinaryLinear(4, 2),
        )
    )
    network = compile_module(shake(module, 0), images((6, 6), 255))
    assert [node.name for node in network.nodes] == ["inputs", "pool0", "conv1", "pool1", "act1", "fc", "scores"]
    assert network.nodes[1].type.shape == (3, 3, 1)


def test_zero_padding_of_bipolar_codes_is_refused_by_name():
    module = nn.Sequential(
        InputQuantizer(1), ChannelsFirst(), conv(1, 2, 3, padding=1), Sign(), nn.Flatten(), BinaryLinear(32, 2)
    )
    with pytest.raises(UsageError, match="^conv2: pads with 0, which is no value of its 1-bit bipolar input; .* -1 or"):
        compile_module(module, images((4, 4), 255))


def test_everything_unsupported_is_listed_at_once():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.plain = nn.Conv2d(1, 2, 1)
            self.average = nn.AvgPool2d(2, divisor_override=3)
            self.padded = nn.MaxPool2d(2, padding=1)
            self.ceiled = nn.MaxPool2d(2, ceil_mode=True)
            self.act = Sign()
            self.out = BinaryLinear(8, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.out(self.act(self.ceiled(self.padded(self.average(self.plain(x))))).flatten(1))

    with pytest.raises(UnsupportedLayerError) as caught:
        compile_module(Odd(), images((8, 8), 1))
    for complaint in (
        "plain (Conv2d) has float weights; use QuantConv2d",
        "average (AvgPool2d) has a divisor_override; use SumPool2d",
        "padded (MaxPool2d) has padding, dilation or ceil_mode",
        "ceiled (MaxPool2d) has padding, dilation or ceil_mode",
    ):
        assert complaint in str(caught.value)


Q1, C1, B2, P2 = (
    (lambda: InputQuantizer(1)),
    (lambda: conv(1, 2, 2)),
    (lambda: BatchNorm2d(2)),
    (lambda: nn.MaxPool2d(2)),
)


@pytest.mark.parametrize(
    ("layers", "complaint"),
    [
        ((Q1, C1, Sign), r"1 \(QuantConv2d\) works on \(B, C, H, W\); put ChannelsFirst in front"),
        ((ChannelsFirst, Q1, C1, Sign), r"1 \(InputQuantizer\) stands behind other layers"),
        (
            (Q1, ChannelsFirst, C1, B2, P2, B2, Sign),
            r"5 \(BatchNorm2d\) follows a pool behind a normalisation",
        ),
        ((Q1, ChannelsFirst, ChannelsFirst, C1, Sign), r"2 \(ChannelsFirst\) does not stand in front"),
    ],
)
def test_misplaced_layers_are_refused(layers, complaint: str):
    module = nn.Sequential(*(layer() for layer in layers), nn.Flatten(), BinaryLinear(8, 3))
    with pytest.raises(UnsupportedLayerError, match=complaint):
        compile_module(module, images((5, 5), 255))


def test_convolutions_as_the_last_layer_or_flattened_too_early_are_refused():
    last = nn.Sequential(InputQuantizer(1), ChannelsFirst(), conv(1, 3, 3))
    with pytest.raises(UnsupportedLayerError, match="2 ends the module; the scores are of a dense layer or a pixel"):
        compile_module(last, images((4, 4), 255))
    early = nn.Sequential(
        InputQuantizer(1), ChannelsFirst(), conv(1, 3, 2), nn.Flatten(), BatchNorm1d(27), Sign(), BinaryLinear(27, 2)
    )
    with pytest.raises(UnsupportedLayerError, match=r"3 yields shape \(4, 27\) .* between a convolution and its"):
        compile_module(early, images((4, 4), 255, count=4))
