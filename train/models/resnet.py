"""ResNet-18 and ResNet-20 with a stream of real numbers past every convolution (Bi-Real Net, arXiv 1808.00278).

As BinaryDuo's authors have them: y = BN(conv3x3(act(x))) + x'. x' is x, or where a stage begins with more channels and
half the map BN(conv1x1(avgpool2x2(x))) with the weights of `ends`. Where `activation: decoupled` doubles the channels
of the stream, x' is doubled as it is, a stage's first convolution carries the shifts of its pair, and what reads the
stream itself reads the mean of each pair. A real stream has no integer form; `residual` has one of codes.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..duo.twins import TwinMean, Twins
from ..layers.modules import QuantConv2d
from ..recipe import ActivationSpec, WeightSpec
from .norms import build_norm
from .parts import build_activation, build_weights, channel_factor
from .spec import ModelSpec

__all__ = ["StreamBlock", "resnet_layers"]


class Twice(nn.Module):
    """(B, N, H, W) to (B, 2N, H, W): each channel in both halves."""

    def forward(self, x: Tensor) -> Tensor:
        """The pair."""
        return torch.cat([x, x], 1)


class Grown(nn.Module):
    """More channels: zeros behind those that are there."""

    def __init__(self, more: int) -> None:
        super().__init__()
        self.more = more

    def forward(self, x: Tensor) -> Tensor:
        """(B, N + more, H, W)."""
        return F.pad(x, (0, 0, 0, 0, 0, self.more))

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"more={self.more}"


class StreamBlock(nn.Module):
    """One convolution and what passes it: (B, N, H, W) to (B, outputs, H / stride, W / stride).

    spec: the weights, activation, norm. opens: a stage begins, with a convolution on the shortcut. last: the pairs of a
    decoupled network end here, and new channels are zeros on the shortcut.
    """

    def __init__(
        self, spec: ModelSpec, ends: WeightSpec, channels: int, outputs: int, *, stride: int, opens: bool, last: bool
    ) -> None:
        super().__init__()
        twins = spec.activation.kind == "decoupled"
        normalise = partial(build_norm, spec.norm, outputs, maps=True)
        outside = -1 if spec.activation.kind in ("sign", "stochastic") else 0
        self.act = build_activation(spec.activation)
        self.conv = QuantConv2d(
            channels * channel_factor(spec.activation),
            outputs,
            3,
            weight=build_weights(spec.weights),
            stride=stride,
            padding=1,
            pad_value=outside,
        )
        shift = spec.activation.step / 4 if opens else 0.0
        self.norm = Twins(normalise, shift=shift) if twins and not last else normalise()
        past: OrderedDict[str, nn.Module] = OrderedDict()
        if twins and (opens or last):
            past["mean"] = TwinMean()
        if opens:
            if stride > 1:
                past["pool"] = nn.AvgPool2d(stride)
            past["conv"] = QuantConv2d(channels, outputs, 1, weight=build_weights(ends))
            past["norm"] = normalise()
            if twins:
                past["twice"] = Twice()
        elif outputs != channels:
            past["grown"] = Grown(outputs - channels)
        self.past = nn.Sequential(past)

    def forward(self, x: Tensor) -> Tensor:
        """The stream behind the convolution."""
        branch: Tensor = self.norm(self.conv(self.act(x)))
        past: Tensor = self.past(x)
        return branch + past


def resnet_layers(
    spec: ModelSpec, widths: tuple[int, ...], blocks: tuple[int, ...], channels: int, *, imagenet: bool
) -> "tuple[OrderedDict[str, nn.Module], int]":
    """(B, channels, H, W) integers to (B, width, 1, 1), and the width.

    widths: of the stages, and of the last convolution. blocks: in each stage, of two convolutions. imagenet: the stem
    is a 7x7 convolution with stride 2, BatchNorm, ReLU and a 3x3 pool; else a 3x3 convolution.
    """
    network = spec.network
    assert network is not None  # by `network_layers`
    activation: ActivationSpec = spec.activation
    twins = activation.kind == "decoupled"
    first = build_weights(network.ends)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if imagenet:
        layers["conv"] = QuantConv2d(channels, widths[0], 7, weight=first, stride=2, padding=3, pad_value=-1)
        layers["conv_norm"] = build_norm(spec.norm, widths[0], maps=True)
        layers["relu"] = nn.ReLU()
        layers["pool"] = nn.MaxPool2d(3, 2, 1)
    else:
        layers["conv"] = QuantConv2d(channels, widths[0], 3, weight=first, padding=1, pad_value=-1)
    stem = partial(build_norm, spec.norm, widths[0], maps=True)
    layers["stream"] = Twins(stem, shift=activation.step / 4) if twins else stem()
    width = widths[0]
    for stage, (outputs, count) in enumerate(zip(widths, blocks, strict=False)):
        for unit in range(2 * count):
            opens = stage > 0 and unit == 0
            last = stage == len(blocks) - 1 and unit == 2 * count - 1
            grown = widths[-1] if last else outputs
            block = StreamBlock(spec, network.ends, width, grown, stride=2 if opens else 1, opens=opens, last=last)
            layers[f"stage{stage + 1}_{unit + 1}"] = block
            width = grown
    layers["last_relu"] = nn.ReLU()
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    return layers, width
