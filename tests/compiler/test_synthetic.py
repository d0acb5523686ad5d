"""Random networks of a published shape."""

import numpy as np
import pytest

from xnorflow.compiler.ir import CodeType, Encoding, IntegerNetwork, MaxPool
from xnorflow.compiler.synthetic import binary_chain, binary_vgg


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


def test_a_chain_of_any_size_and_width() -> None:
    chain = binary_chain(CodeType((8, 8, 3), 8, Encoding.UNSIGNED), (4, 6), (10, 5), bits=2)
    stages = list(chain.stages())
    assert [stage.dot.type.shape for stage in stages] == [(8, 8, 4), (8, 8, 6), (10,), (5,)]
    assert [stage.input_type.bits for stage in stages] == [8, 2, 2, 2]
    assert stages[2].dot.weights.codes.shape[1] == 4 * 4 * 6  # behind the pool
    assert any(np.any(stage.sink.descending) for stage in stages[:-1])
    vector = binary_chain(CodeType((24,), 1, Encoding.BIPOLAR), (), (3,))
    assert [stage.dot.weights.codes.shape for stage in vector.stages()] == [(3, 24)]
