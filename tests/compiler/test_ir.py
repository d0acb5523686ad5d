import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import random_network

from xnorflow.compiler.ir import CodeType, Encoding, InputTransform
from xnorflow.errors import DataError, UsageError


@pytest.mark.parametrize("bits", [1, 2, 5, 8])
def test_bipolar_codes_stand_for_odd_integers_and_unsigned_for_themselves(bits: int):
    codes = np.arange(1 << bits, dtype=np.uint8)
    bipolar, unsigned = (CodeType((1 << bits,), bits, encoding) for encoding in (Encoding.BIPOLAR, Encoding.UNSIGNED))
    top = 2**bits - 1
    assert bipolar.values(codes).tolist() == list(range(-top, top + 1, 2))
    assert unsigned.values(codes).tolist() == list(range(top + 1))
    assert (bipolar.lo, bipolar.hi, unsigned.lo, unsigned.hi) == (-top, top, 0, top)
    assert bipolar.max_code == unsigned.max_code == top


def test_size_is_the_product_of_the_shape():
    assert CodeType((3, 4, 5), 1, Encoding.BIPOLAR).size == 60
    assert CodeType((), 1, Encoding.BIPOLAR).size == 1


REAL = st.floats(-1e6, 1e6, allow_nan=False)


@settings(deadline=None, max_examples=200)
@given(REAL, REAL, st.floats(1e-3, 1e6), st.integers(1, 8))
def test_transform_is_its_formula(x: float, lo: float, width: float, bits: int):
    hi = lo + width
    levels = 2**bits - 1
    expected = min(max(math.floor((x - lo) * levels / (hi - lo) + 0.5), 0), levels)
    assert InputTransform(lo, hi).codes(np.array([x]), bits).tolist() == [expected]


def test_pixels_of_eight_bits_are_their_codes_and_one_bit_is_a_threshold():
    pixels = np.arange(256, dtype=np.uint8)
    assert np.array_equal(InputTransform(0, 255).codes(pixels, 8), pixels)
    assert np.array_equal(InputTransform(0, 255).codes(pixels, 1), pixels >= 127.5)
    assert InputTransform(0, 4).codes(np.array([1.999, 2.0, 2.001]), 1).tolist() == [0, 1, 1]


def test_infinities_are_the_ends_and_nan_is_refused():
    transform = InputTransform(0, 15)
    assert transform.codes(np.array([-np.inf, np.inf, 1e300]), 4).tolist() == [0, 15, 15]
    with pytest.raises(DataError, match="holds NaN"):
        transform.codes(np.array([1.0, np.nan]), 4)


def test_input_codes_without_a_transform_are_the_samples():
    network = random_network([6, 3], (3, Encoding.UNSIGNED))
    raw = np.random.default_rng(0).integers(0, 8, (5, 6))
    assert np.array_equal(network.input_codes(raw), raw) and network.input_codes(raw).dtype == np.uint8
    shifted = replace(network, nodes=(replace(network.input, transform=InputTransform(-7, 7)), *network.nodes[1:]))
    assert network.input.transform is None
    assert np.array_equal(shifted.input_codes(raw), np.floor((raw + 7) / 2 + 0.5))


def test_stages_pair_dot_products_with_their_sinks():
    network = random_network([6, 5, 4, 3], hidden=(2, Encoding.UNSIGNED))
    stages = [(stage.dot.name, stage.sink.name, stage.input_type.size) for stage in network.stages()]
    assert stages == [("dense0", "act0", 6), ("dense1", "act1", 5), ("dense2", "scores", 4)]
    assert [stage.input_type.bits for stage in network.stages()] == [1, 2, 2]


def test_an_unknown_node_is_refused_with_the_known_ones():
    with pytest.raises(UsageError, match=r"no node named 'fc9'; the network has .*, dense0, scores"):
        random_network([6, 3]).node("fc9")
