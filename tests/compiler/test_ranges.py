from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import LOGARITHMIC, kinds, random_weights

from xnorflow.compiler.ir import CodeType, Encoding, Weights
from xnorflow.compiler.ranges import acc_type, row_ranges


@settings(deadline=None, max_examples=60)
@given(
    st.integers(1, 4),
    st.sampled_from(kinds(3)),
    st.sampled_from(kinds(2)),
    st.integers(0, 999),
)
def test_ranges_are_those_of_all_inputs(
    columns: int, w_kind: tuple[int, Encoding], a_kind: tuple[int, Encoding], seed: int
):
    weights, source = random_weights(np.random.default_rng(seed), 3, columns, *w_kind), CodeType((columns,), *a_kind)
    inputs = np.array(list(product(range(source.max_code + 1), repeat=columns)), np.uint8)
    reached = source.values(inputs) @ weights.values().T
    ranges = row_ranges(weights, source)
    assert np.array_equal(ranges.lo, reached.min(axis=0)) and np.array_equal(ranges.hi, reached.max(axis=0))
    for neuron, values in enumerate(reached.T):
        grid = set(range(ranges.lo[neuron], ranges.hi[neuron] + 1, ranges.step[neuron]))
        assert set(values.tolist()) <= grid
        assert len(grid) == ranges.counts[neuron]
        if w_kind == (1, Encoding.BIPOLAR) and a_kind[1] not in LOGARITHMIC:
            assert set(values.tolist()) == grid
    assert (acc_type(weights, source).lo, acc_type(weights, source).hi) == (reached.min(), reached.max())


def test_a_neuron_that_is_always_zero_has_one_value():
    ranges = row_ranges(Weights(np.zeros((1, 3), np.uint8), 2, Encoding.UNSIGNED), CodeType((3,), 4, Encoding.BIPOLAR))
    assert (ranges.lo[0], ranges.hi[0], ranges.counts[0]) == (0, 0, 1)


def test_weights_of_one_magnitude_widen_the_step():
    codes = np.array([[0, 3, 0], [0, 3, 1]], np.uint8)  # 2-bit bipolar: -3, 3, -3 and -3, 3, -1
    ranges = row_ranges(Weights(codes, 2, Encoding.BIPOLAR), CodeType((3,), 1, Encoding.BIPOLAR))
    assert ranges.step.tolist() == [6, 2] and ranges.counts.tolist() == [4, 8]


@pytest.mark.parametrize(("encoding", "lo", "step"), [(Encoding.BIPOLAR, -784, 2), (Encoding.UNSIGNED, -784, 1)])
def test_bipolar_inputs_step_by_two(encoding: Encoding, lo: int, step: int):
    ranges = row_ranges(Weights(np.zeros((1, 784), np.uint8), 1, Encoding.BIPOLAR), CodeType((784,), 1, encoding))
    assert (ranges.lo[0], ranges.step[0]) == (lo, step)
