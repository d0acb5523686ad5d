"""Networks that `xnorflow bench gpu` times: LFC and CNV by their layers, and float networks of the same layers."""

import math

import torch
from torch import Tensor, nn

from ..compiler.ir import CodeType, Conv2d, Dense, Encoding, IntegerNetwork, MaxPool
from ..compiler.synthetic import binary_chain
from ..errors import UsageError

__all__ = ["default_networks", "float_twin"]


def default_networks() -> dict[str, IntegerNetwork]:
    """LFC (784-1024-1024-1024-10) and the layers of CNV, padded, with random weights: what time depends on is there."""
    digits = CodeType((784,), 1, Encoding.BIPOLAR)
    pictures = CodeType((32, 32, 3), 8, Encoding.BIPOLAR)
    return {
        "LFC": binary_chain(digits, (), (1024, 1024, 1024, 10)),
        "CNV, padded": binary_chain(pictures, (64, 64, 128, 128, 256, 256), (512, 512, 10)),
    }


class _ChannelsFirst(nn.Module):
    """(B, H, W, C) as (B, C, H, W), in the order in memory that it has."""

    def forward(self, x: Tensor) -> Tensor:
        """A view."""
        return x.permute(0, 3, 1, 2)


def float_twin(network: IntegerNetwork) -> nn.Module:
    """A float network of the same layers: products with a bias, into which BatchNorm was folded, ReLU, max-pools.

    Weights are random: time does not depend on them. UsageError for a network that is no chain.
    """
    layers: list[nn.Module] = []
    last, maps = network.input.name, len(network.input.type.shape) == 3
    if maps:
        layers.append(_ChannelsFirst())
    for node in network.nodes[1:]:
        if len(node.inputs) != 1 or node.inputs[0] != last:
            raise UsageError(f"{node.name!r}: only chains of layers have a float network to be compared with")
        last = node.name
        if isinstance(node, Dense):
            if len(network.node(node.inputs[0]).type.shape) > 1:
                layers.append(nn.Flatten())
            layers.append(nn.Linear(node.weights.codes.shape[1], node.weights.codes.shape[0]))
        elif isinstance(node, Conv2d):
            if len(node.padding) != 2:
                raise UsageError(f"{node.name!r}: torch's convolutions pad both sides alike")
            channels = node.weights.codes.shape[1] // math.prod(node.kernel)
            layers.append(
                nn.Conv2d(channels, len(node.weights.codes), node.kernel, node.stride, node.padding, node.dilation)
            )
        elif isinstance(node, MaxPool):
            layers.append(nn.MaxPool2d(node.kernel, node.stride))
        elif isinstance(node.type, CodeType):
            layers.append(nn.ReLU())
    made: nn.Module = nn.Sequential(*layers)
    for parameter in made.parameters():
        if parameter.dim() == 4:  # what cuDNN likes best in bf16
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return made
