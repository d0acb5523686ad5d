"""Random networks of a published shape."""

import numpy as np
import pytest

from xnorflow.compiler.ir import IntegerNetwork, MaxPool
from xnorflow.compiler.synthetic import binary_vgg


@pytest.fixture(scope="module")
def network() -> IntegerNetwork:
    return binary_vgg()


def test_the_vgg_of_binaryconnect(network: IntegerNetwork) -> None:
    shapes = [stage.dot.type.shape for stage in network.stages()]
    assert shapes == [
        *((32, 32, 128), (32, 32, 128), (16, 16, 256), (16, 16, 256), (8, 8, 512), (8, 8, 512)),
        *((1024,), (1024,), (10,)),
    ]
    assert [node.type.shape for node in network.nodes if isinstance(node, MaxPool)] == [
        (16, 16, 128),
        (8, 8, 256),
        (4, 4, 512),
    ]
    assert sum(stage.dot.weights.codes.size for stage in network.stages()) == 14_022_016


def test_its_numbers_are_not_constant(network: IntegerNetwork) -> None:
    for stage in network.stages():
        assert 0.4 < stage.dot.weights.codes.mean() < 0.6
        if stage.sink is not None and hasattr(stage.sink, "thresholds"):
            assert len(np.unique(stage.sink.thresholds)) > 20


def test_the_seed_says_which_numbers(network: IntegerNetwork) -> None:
    first, again, other = (next(n.stages()).dot.weights.codes for n in (network, binary_vgg(0), binary_vgg(1)))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
