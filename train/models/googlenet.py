"""GoogLeNet (Szegedy et al., arXiv 1409.4842) with a BatchNorm behind each convolution and no auxiliary classifiers.

The BNN and QNN papers took it for ImageNet; here every convolution inside is followed by BatchNorm and the recipe's
activation, so that pools and concatenations are of codes.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..layers.modules import QuantConv2d
from ..recipe import WeightSpec
from .norms import build_norm
from .parts import activated, build_weights
from .spec import ModelSpec

__all__ = ["Inception", "googlenet_layers"]

# 1x1; 3x3 behind its 1x1; 5x5 behind its 1x1; 1x1 behind the pool. None: a pool that halves the map.
MODULES: tuple[tuple[int, int, int, int, int, int] | None, ...] = (
    (64, 96, 128, 16, 32, 32),
    (128, 128, 192, 32, 96, 64),
    None,
    (192, 96, 208, 16, 48, 64),
    (160, 112, 224, 24, 64, 64),
    (128, 128, 256, 24, 64, 64),
    (112, 144, 288, 32, 64, 64),
    (256, 160, 320, 32, 128, 128),
    None,
    (256, 160, 320, 32, 128, 128),
    (384, 192, 384, 48, 128, 128),
)


def _unit(
    spec: ModelSpec, weights: WeightSpec, channels: int, outputs: int, kernel: int, *, stride: int = 1, outside: int
) -> nn.Sequential:
    """Convolution, BatchNorm, activation."""
    conv = QuantConv2d(
        channels,
        outputs,
        kernel,
        weight=build_weights(weights),
        stride=stride,
        padding=kernel // 2,
        pad_value=outside,
    )
    behind = activated("norm", "act", spec.activation, partial(build_norm, spec.norm, outputs, maps=True))
    return nn.Sequential(OrderedDict[str, nn.Module](conv=conv) | behind)


class Inception(nn.Module):
    """Four branches side by side: (B, channels, H, W) to (B, sum of their widths, H, W).

    widths: as in `MODULES`. outside: what pads a map, a value of the activations.
    """

    def __init__(self, spec: ModelSpec, channels: int, widths: tuple[int, ...], outside: int) -> None:
        super().__init__()
        one, three_in, three, five_in, five, pooled = widths
        unit = partial(_unit, spec, spec.weights, outside=outside)
        self.one = unit(channels, one, 1)
        self.three = nn.Sequential(unit(channels, three_in, 1), unit(three_in, three, 3))
        self.five = nn.Sequential(unit(channels, five_in, 1), unit(five_in, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), unit(channels, pooled, 1))
        self.outputs = one + three + five + pooled
        self.bits = spec.activation.bits

    def forward(self, x: Tensor) -> Tensor:
        """The branches' channels one behind the other."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], 1)


def googlenet_layers(
    spec: ModelSpec, widths: tuple[int, ...], width: float, channels: int
) -> "tuple[OrderedDict[str, nn.Module], int]":
    """(B, channels, H, W) integers to (B, width, 1, 1), and that width.

    widths: of the three convolutions in front. width: what the inception modules' are multiplied by. UsageError for
    decoupled activations: the halves of a concatenation's pairs do not lie together.
    """
    if spec.activation.kind in ("decoupled", "ternary"):
        raise UsageError("googlenet has no decoupled form; its activations are those of one network")
    assert spec.network is not None  # by `network_layers`
    outside = -1 if spec.activation.kind in ("sign", "stochastic") else 0
    halves = partial(nn.MaxPool2d, 3, 2, ceil_mode=True)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["conv1"] = _unit(spec, spec.network.ends, channels, widths[0], 7, stride=2, outside=-1)
    layers["pool1"] = halves()
    layers["conv2"] = _unit(spec, spec.weights, widths[0], widths[1], 1, outside=outside)
    layers["conv3"] = _unit(spec, spec.weights, widths[1], widths[2], 3, outside=outside)
    layers["pool3"] = halves()
    channels = widths[2]
    for number, module in enumerate(MODULES, start=1):
        if module is None:
            layers[f"pool{number + 3}"] = halves()
            continue
        inception = Inception(spec, channels, tuple(max(1, round(n * width)) for n in module), outside)
        layers[f"inception{number}"] = inception
        channels = inception.outputs
    layers["mean"] = nn.AdaptiveAvgPool2d(1)
    return layers, channels
