"""The big networks of the papers by their names, as chains that a recipe's weights and activations fill in.

AlexNet in the form of BinaryDuo's authors (one tower; pools in front of normalisations, as in XNOR-Net), ResNet-18 and
ResNet-20 (`resnet`), GoogLeNet (`googlenet`). Scales of weights, such as XNOR-Net's mean |W|, are BatchNorm's.
"""

from collections import OrderedDict
from functools import partial

import torch
from torch import nn

from ...errors import UsageError
from ..layers.dropout import Dropout
from ..layers.modules import ChannelsFirst, QuantConv2d, QuantLinear
from .googlenet import googlenet_layers
from .norms import build_norm, build_score_norm
from .parts import activated, build_weights, channel_factor
from .resnet import resnet_layers
from .spec import ModelSpec

__all__ = ["WIDTHS", "elements", "network_layers"]

WIDTHS: dict[str, tuple[int, ...]] = {
    "alexnet": (96, 256, 384, 384, 256, 4096, 4096),
    "googlenet": (64, 64, 192),
    "resnet18": (64, 128, 256, 512, 512),
    "resnet20": (16, 32, 64, 64),
}
"""Channels: of AlexNet's layers; of GoogLeNet's layers in front of its inception modules; of a ResNet's stages and of
its very last convolution."""


def network_layers(spec: ModelSpec, shape: tuple[int, ...], classes: int) -> "OrderedDict[str, nn.Module]":
    """Quantized raw images (B, H, W, C) to scores (B, classes): channels, ..., scores.

    UsageError where the widths are not as many as the network's, or images of this shape are too small for it.
    """
    network = spec.network
    assert network is not None  # the caller's reason to come here
    usual = WIDTHS[network.name]
    widths = network.widths or tuple(max(1, round(width * network.width)) for width in usual)
    if len(widths) != len(usual):
        raise UsageError(f"network {network.name} has {len(usual)} widths such as {usual}, not {len(widths)}")
    channels = shape[2] if len(shape) == 3 else 1
    layers: OrderedDict[str, nn.Module] = OrderedDict(channels=ChannelsFirst())
    match network.name:
        case "alexnet":
            return layers | _alexnet(spec, widths, shape, channels, classes)
        case "googlenet":
            body, width = googlenet_layers(spec, widths, network.width, channels)
        case "resnet18":
            body, width = resnet_layers(spec, widths, (2, 2, 2, 2), channels, imagenet=True)
        case "resnet20":
            body, width = resnet_layers(spec, widths, (3, 3, 3), channels, imagenet=False)
    layers |= body
    layers["flatten"] = nn.Flatten()
    elements(nn.Sequential(layers), shape)
    return layers | _last(spec, width, classes)


def _alexnet(
    spec: ModelSpec, widths: tuple[int, ...], shape: tuple[int, ...], channels: int, classes: int
) -> "OrderedDict[str, nn.Module]":
    """conv1 to conv5 and fc6 to fc8; kernels 11, 5, 3, 3, 3, pools behind the first, second and fifth convolution."""
    network = spec.network
    assert network is not None  # by `network_layers`
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    kernels, paddings, pooled = (11, 5, 3, 3, 3), (2, 2, 1, 1, 1), (1, 2, 5)
    factor = channel_factor(spec.activation)
    outside = -1 if spec.activation.kind in ("sign", "stochastic") else 0
    for i, (width, kernel, padding) in enumerate(zip(widths[:5], kernels, paddings, strict=True), start=1):
        weights = build_weights(network.ends if i == 1 else spec.weights)
        layers[f"conv{i}"] = QuantConv2d(
            channels,
            width,
            kernel,
            weight=weights,
            stride=4 if i == 1 else 1,
            padding=padding,
            pad_value=-1 if i == 1 else outside,
        )
        if i in pooled:
            layers[f"pool{i}"] = nn.MaxPool2d(3, 2)
        layers |= activated(f"norm{i}", f"act{i}", spec.activation, partial(build_norm, spec.norm, width, maps=True))
        channels = width * factor
    layers["flatten"] = nn.Flatten()
    inputs = elements(nn.Sequential(OrderedDict(turn=ChannelsFirst()) | layers), shape)
    layers["fc6"] = QuantLinear(inputs, widths[5], weight=build_weights(spec.weights))
    layers |= activated("norm6", "act6", spec.activation, partial(build_norm, spec.norm, widths[5]))
    layers |= _dropout("drop6", spec)
    layers["fc7"] = QuantLinear(widths[5] * factor, widths[6], weight=build_weights(spec.weights))
    layers["norm7"] = build_norm(spec.norm, widths[6])
    layers["act7"] = nn.ReLU()
    layers |= _dropout("drop7", spec)
    return layers | _last(spec, widths[6], classes, "fc8")


def _dropout(name: str, spec: ModelSpec) -> "OrderedDict[str, nn.Module]":
    return OrderedDict({name: Dropout(spec.dropout_hidden)}) if spec.dropout_hidden else OrderedDict()


def _last(spec: ModelSpec, width: int, classes: int, name: str = "fc") -> "OrderedDict[str, nn.Module]":
    assert spec.network is not None  # by `network_layers`
    last = QuantLinear(width, classes, weight=build_weights(spec.network.ends))
    return OrderedDict({name: last, "scores": build_score_norm(spec.norm, classes)})


def elements(layers: nn.Sequential, shape: tuple[int, ...]) -> int:
    """How many elements a sample has behind the layers, which are run on one in eval mode; UsageError if none are."""
    layers.eval()
    try:
        with torch.no_grad():
            width: int = layers(torch.zeros(1, *shape)).shape[1]
    except RuntimeError as error:
        raise UsageError(f"model: the convolutions do not fit images of shape {shape}: {error}") from error
    layers.train()
    return width
