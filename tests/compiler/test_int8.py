"""8-bit networks: weights, requantizations, and twins with random weights."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.compiler import golden
from xnorflow.compiler.int8 import MULTIPLIER_BITS, int8_twin, int8_weights, requantize_node
from xnorflow.compiler.ir import AccType, CodeType, Conv2d, Dense, Encoding, Input, IntegerNetwork, Requantize, Weights
from xnorflow.compiler.storage.network_file import load_network, network_bytes, save_network
from xnorflow.errors import UnsupportedLayerError, UsageError

NETWORKS = Path(__file__).parents[2] / "networks"
REALS = st.floats(-100, 100, allow_subnormal=False)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(REALS, min_size=3, max_size=3), min_size=1, max_size=4))
def test_weights_are_the_nearest_integers_on_a_symmetric_grid_for_each_row(rows: list[list[float]]) -> None:
    real = np.array(rows)
    weights, scale = int8_weights(real)
    values = weights.values()
    assert (weights.bits, weights.encoding) == (8, Encoding.SIGNED)
    assert np.abs(values).max() <= 127
    for row, integers, step in zip(real, values, scale, strict=True):
        if row.any():
            assert np.abs(integers).max() == 127
        for w, q in zip(row, integers, strict=True):
            assert abs(Fraction(w) / Fraction(step) - int(q)) <= Fraction(1, 2) + Fraction(1, 1 << 40)


def test_a_row_of_zeros_has_weights_of_zero() -> None:
    weights, scale = int8_weights(np.zeros((2, 3)))
    assert not weights.values().any()
    assert scale.tolist() == [1.0, 1.0]


SOURCE = Dense("fc", ("x",), AccType((3,), -4000, 4000), Weights(np.zeros((3, 1), np.uint8), 8, Encoding.SIGNED))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-2, 2, allow_subnormal=False), min_size=3, max_size=3),
    st.lists(st.floats(-1e6, 1e6), min_size=3, max_size=3),
)
def test_a_requantization_rounds_slope_and_intercept_as_they_are(slope: list[float], intercept: list[float]) -> None:
    """Against exact fractions: off by a code only where rounding the multiplier can move the product that far."""
    node = requantize_node("act", SOURCE, np.array(slope), np.array(intercept))
    assert np.abs(node.multiplier).max() < 1 << MULTIPLIER_BITS - 1
    largest = max(map(abs, slope))
    if largest > 1e-5:  # as many of the 18 bits as there are, unless the shift has reached its limit
        assert np.abs(node.multiplier).max() >= 1 << MULTIPLIER_BITS - 2 or node.shift == 40
    accs = np.array([-4000, -1234, -1, 0, 1, 777, 4000])
    codes = golden.requantize(node, np.repeat(accs[:, None], 3, axis=1))
    for n, (a, b) in enumerate(zip(slope, intercept, strict=True)):
        for acc, code in zip(accs.tolist(), codes[:, n].tolist(), strict=True):
            exact = Fraction(a) * acc + Fraction(b) + Fraction(1, 2)
            error = Fraction(abs(acc) + 1, 1 << node.shift)
            low, high = (min(max(int((exact + e) // 1), 0), 255) for e in (-error, error))
            assert low <= code <= high


def test_halves_are_rounded_up_and_relu_clips() -> None:
    node = requantize_node("act", SOURCE, np.array([0.5, 0.5, -0.5]), np.array([0.0, 0.25, 0.0]))
    accs = np.repeat(np.array([[-3], [1], [3], [600]]), 3, axis=1)
    assert golden.requantize(node, accs).tolist() == [[0, 0, 2], [1, 1, 0], [2, 2, 0], [255, 255, 0]]


def test_offsets_beyond_all_codes_are_cut_off_without_another_code() -> None:
    node = requantize_node("act", SOURCE, np.array([1e-9, 1e-9, 1e-9]), np.array([1e12, -1e12, 3.0]))
    assert golden.requantize(node, np.array([[-4000] * 3, [4000] * 3])).tolist() == [[255, 0, 3]] * 2
    assert np.abs(node.offset).max() < 1 << 50


@pytest.mark.parametrize(
    ("slope", "intercept", "words"),
    [(1e9, 0.0, "do not fit 18 bits"), (float("nan"), 0.0, "not finite"), (1.0, float("inf"), "not finite")],
)
def test_impossible_scales_are_one_line(slope: float, intercept: float, words: str) -> None:
    with pytest.raises(UsageError, match=f"act: .*{words}"):
        requantize_node("act", SOURCE, np.full(3, slope), np.full(3, intercept))


def assert_twin(network: IntegerNetwork) -> IntegerNetwork:
    """Every layer of the same shape, every number of 8 bits; the codes of every activation are in use."""
    twin = int8_twin(network, seed=3)
    assert [(n.name, n.inputs, n.type.shape) for n in twin.nodes] == [
        (n.name, n.inputs, n.type.shape) for n in network.nodes
    ]
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 256, (8, *twin.input.type.shape), dtype=np.uint8)
    trace = golden.run(twin, codes)
    for node in twin.nodes:
        if isinstance(node, Dense | Conv2d):
            assert (node.weights.bits, node.weights.encoding) == (8, Encoding.SIGNED)
            assert np.unique(node.weights.codes).size > min(100, node.weights.codes.size // 3)
        if isinstance(node.type, CodeType):
            assert (node.type.bits, node.type.encoding) == (8, Encoding.UNSIGNED)
        if isinstance(node, Requantize):
            assert np.ptp(trace[node.name]) > 100
    assert "random int8 weights" in twin.provenance["origin"] and "data" not in twin.provenance
    return twin


def test_a_twin_has_the_layers_of_its_network(tmp_path) -> None:
    twin = assert_twin(random_network([30, 20, 10, 5]))
    save_network(twin, tmp_path / "twin.safetensors")
    assert network_bytes(load_network(tmp_path / "twin.safetensors")) == network_bytes(int8_twin(twin, seed=3))
    assert network_bytes(int8_twin(twin, seed=4)) != network_bytes(twin)


def test_twins_of_maps_and_graphs() -> None:
    assert_twin(load_network(NETWORKS / "digits-resnet.safetensors"))
    assert_twin(load_network(NETWORKS / "cifar10-cnv-w2a2.safetensors"))


def test_recurrent_layers_have_no_twin() -> None:
    network = load_network(NETWORKS / "shakespeare-lstm.safetensors")
    with pytest.raises(UnsupportedLayerError, match="lstm layers have no int8 twin"):
        int8_twin(network)


def test_the_twin_of_a_twin_keeps_its_input() -> None:
    twin = int8_twin(random_network([6, 4, 3]))
    assert isinstance(twin.nodes[0], Input) and twin.input.transform is None
