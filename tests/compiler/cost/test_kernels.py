import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import GraphBuilder

from xnorflow.compiler.cost.kernels import unique_kernels
from xnorflow.compiler.inspect import inspect
from xnorflow.compiler.ir import Conv2d, Encoding, IntegerNetwork


def network(neurons: int, channels: int, kernel: int = 2, groups: int = 1, seed: int = 0) -> IntegerNetwork:
    graph = GraphBuilder((4, 4, channels), (2, Encoding.UNSIGNED), seed=seed)
    codes = graph.threshold(graph.conv("image", neurons, kernel, groups=groups))
    return graph.finish(graph.dense(codes, 3))


def kernels_by_hand(node: Conv2d, channels: int) -> list[tuple[int, tuple[int, ...]]]:
    """(input channel, kernel) of every neuron, one pixel at a time."""
    own = channels // node.groups
    found = []
    for neuron, row in enumerate(node.weights.codes.tolist()):
        first = neuron * node.groups // len(node.weights.codes) * own
        for c in range(own):
            found.append((first + c, tuple(row[pixel * own + c] for pixel in range(node.kernel[0] * node.kernel[1]))))
    return found


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(1, 3), st.integers(2, 3), st.booleans(), st.integers(0, 99))
def test_counts_are_those_of_sets(neurons: int, channels: int, kernel: int, grouped: bool, seed: int) -> None:
    groups = channels if grouped else 1
    made = network(neurons * groups, channels, kernel, groups, seed)
    row, total = unique_kernels(made)
    node = made.node(row.layer)
    assert isinstance(node, Conv2d)
    found = kernels_by_hand(node, channels)

    def up_to_sign(bits: tuple[int, ...]) -> tuple[int, ...]:
        return min(bits, tuple(1 - bit for bit in bits))

    assert row.kernels == len(found)
    assert row.unique == len({bits for _, bits in found})
    assert row.up_to_sign == len({up_to_sign(bits) for _, bits in found})
    assert row.by_channel == len({(channel, up_to_sign(bits)) for channel, bits in found})
    positions = node.type.shape[0] * node.type.shape[1]
    assert row.operations == 2 * positions * node.weights.codes.size
    assert row.reused == positions * (row.by_channel * 2 * kernel**2 + len(found))
    assert (total.kernels, total.by_channel, total.reused) == (row.kernels, row.by_channel, row.reused)


def test_a_layer_of_one_kernel_convolves_each_channel_once() -> None:
    made = network(6, 2)
    row = made.node("conv2d0")
    assert isinstance(row, Conv2d)
    row.weights.codes[:] = np.array([0, 1, 1, 0, 1, 0, 0, 1], np.uint8)  # channel 1 has the inverse of channel 0
    row.weights.codes[3] = 1 - row.weights.codes[3]
    (counted, _) = unique_kernels(made)
    assert (counted.unique, counted.up_to_sign, counted.by_channel) == (2, 1, 2)
    assert counted.share == 2 / 12
    assert counted.share_by_channel == pytest.approx(2 / 12)


def test_windows_of_one_pixel_are_not_counted() -> None:
    made = network(6, 2, kernel=1)
    assert unique_kernels(made) == ()
    assert inspect(made).kernels == ()
    assert len(inspect(network(6, 2)).kernels) == 2
