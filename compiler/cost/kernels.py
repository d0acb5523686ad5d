"""Unique 2-D kernels of binary convolutions, and the operations that computing each of them once would save.

BNN (1602.02830, "Exploiting filter repetitions"): with 1-bit weights a k x k kernel is one of 2^(k k), of which a layer
with many filters has some again and again, and a kernel's inverse gives the same map but for the sign. A channel of the
input is convolved once with each of the different kernels that the filters have for it; what remains of a filter is the
sum over the channels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ir import Conv2d, Encoding, IntegerNetwork

__all__ = ["KernelRow", "kernel_row", "kernel_total", "unique_kernels"]


@dataclass(frozen=True, slots=True)
class KernelRow:
    """One convolution, or all of them.

    kernels: 2-D kernels, one for each neuron and input channel. unique: different ones among all of the layer's;
    up_to_sign: where a kernel and its inverse are one. by_channel: different ones up to sign, counted for each input
    channel by itself, which is how often a channel must be convolved. operations: XNORs and counts of a frame as they
    are. reused: the same with each channel's kernels computed once and their results added up, a result being an
    addition.
    """

    layer: str
    kernels: int
    unique: int
    up_to_sign: int
    by_channel: int
    operations: int
    reused: int

    @property
    def share(self) -> float:
        """Different kernels of all, a kernel and its inverse being two."""
        return self.unique / self.kernels

    @property
    def share_by_channel(self) -> float:
        """How much of the convolving is left where every channel's kernels are computed once."""
        return self.by_channel / self.kernels


def unique_kernels(network: IntegerNetwork) -> tuple[KernelRow, ...]:
    """A row for each convolution with 1-bit weights -1 and +1 and windows of more than one pixel, and their total.

    Empty where there is none.
    """
    return kernel_total([_node_row(node) for node in network.nodes if isinstance(node, Conv2d) and _is_counted(node)])


def kernel_total(rows: Sequence[KernelRow]) -> tuple[KernelRow, ...]:
    """The rows and the one of their sums; empty where there is none."""
    if not rows:
        return ()
    names = ("kernels", "unique", "up_to_sign", "by_channel", "operations", "reused")
    return (*rows, KernelRow("total", *(sum(getattr(row, name) for row in rows) for name in names)))


def _is_counted(node: Conv2d) -> bool:
    return node.weights.bits == 1 and node.weights.encoding is Encoding.BIPOLAR and math.prod(node.kernel) > 1


def _node_row(node: Conv2d) -> KernelRow:
    area = math.prod(node.kernel)
    neurons, columns = node.weights.codes.shape
    bits = node.weights.codes.reshape(neurons, area, columns // area).transpose(0, 2, 1)
    return kernel_row(node.name, bits, groups=node.groups, positions=math.prod(node.type.shape[:-1]))


def kernel_row(layer: str, bits: NDArray[np.uint8], *, groups: int, positions: int) -> KernelRow:
    """The row of a convolution's weight bits (neurons, a neuron's channels, pixels of a kernel), computed at so many
    positions."""
    neurons, _, area = bits.shape
    folded = bits ^ bits[:, :, :1]  # of a kernel and its inverse the one that begins with 0
    group = np.arange(neurons) * groups // neurons
    channel = group[:, None] * bits.shape[1] + np.arange(bits.shape[1])
    kernels = neurons * bits.shape[1]
    by_channel = _different(np.concatenate([_bytes(channel), folded], axis=2))
    return KernelRow(
        layer=layer,
        kernels=kernels,
        unique=_different(bits),
        up_to_sign=_different(folded),
        by_channel=by_channel,
        operations=positions * kernels * 2 * area,
        reused=positions * (by_channel * 2 * area + kernels),
    )


def _bytes(numbers: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Each number of an array as four bytes along a new last axis."""
    return numbers[..., None].astype("<u4").view(np.uint8)


def _different(kernels: NDArray[np.uint8]) -> int:
    """How many different rows there are along the last axis."""
    rows = np.ascontiguousarray(kernels.reshape(-1, kernels.shape[-1]))
    return len(np.unique(rows.view(f"V{rows.shape[1]}")))
