import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_graphs import random_graph, residual_network
from random_networks import random_network
from uniform_thresholds import with_uniform_thresholds

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Encoding, IntegerNetwork, Requantize, Threshold
from xnorflow.compiler.ranges import RowRanges
from xnorflow.compiler.reach import value_ranges
from xnorflow.compiler.requantize import MAX_MULTIPLIER_BITS, find_affine, requantized


def row(lo: int, count: int, step: int, codes: list[int], levels: int) -> tuple[np.ndarray, np.ndarray, RowRanges]:
    """Thresholds, direction and ranges of one neuron with those codes at its reachable values."""
    values = lo + step * np.arange(count)
    descending = codes[0] > codes[-1]
    order = values[::-1] if descending else values
    ordered = np.array(codes[::-1] if descending else codes)
    never = values[0] - 1 if descending else values[-1] + 1
    thresholds = [next((v for v, c in zip(order, ordered, strict=True) if c >= i), never) for i in range(1, levels + 1)]
    ranges = RowRanges(*(np.array([x]) for x in (lo, values[-1], step)))
    return np.array([thresholds]), np.array([descending]), ranges


def exists(values: np.ndarray, codes: np.ndarray, levels: int, shift: int) -> bool:
    """Whether some multiplier and offset give the codes, by trying all that could."""
    most = (levels + 2) << shift
    span = int(np.abs(values).max()) * most + (levels + 1 << shift)
    for multiplier in range(-most, most + 1):
        # The interval of the offset, from both sides of each code; the least and the largest have one side alone.
        lower = [(int(c) << shift) - multiplier * int(x) for x, c in zip(values, codes, strict=True) if c > 0]
        upper = [
            (int(c) + 1 << shift) - 1 - multiplier * int(x) for x, c in zip(values, codes, strict=True) if c < levels
        ]
        if max(lower, default=-span) <= min(upper, default=span):
            return True
    return False


CODES = st.integers(1, 6).flatmap(
    lambda levels: st.tuples(
        st.just(levels),
        st.lists(st.integers(0, levels), min_size=1, max_size=9).map(sorted),
        st.booleans(),
        st.integers(-20, 20),
        st.integers(1, 3),
    )
)


@settings(deadline=None, max_examples=250)
@given(CODES)
def test_the_least_shift_of_all_or_none(case: tuple[int, list[int], bool, int, int]) -> None:
    levels, codes, falls, lo, step = case
    codes = codes[::-1] if falls else codes
    found = find_affine(*row(lo, len(codes), step, codes, levels))
    values = lo + step * np.arange(len(codes))
    if found is None:
        assert not any(exists(values, np.array(codes), levels, shift) for shift in range(6))
        return
    assert found.codes(values[:, None], levels)[:, 0].tolist() == codes
    assert found.shift == 0 or not exists(values, np.array(codes), levels, min(found.shift - 1, 5))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 9999), st.sampled_from([15, 255]), st.integers(1, 12))
def test_an_affine_function_is_found_again(seed: int, levels: int, rows: int) -> None:
    """All neurons at once, on every reachable value, with a shift no larger than the one it was made with."""
    rng = np.random.default_rng(seed)
    count, step = rng.integers(1, 3000, rows), rng.integers(1, 3, rows)
    lo = -rng.integers(0, 3000, rows)
    ranges = RowRanges(lo, lo + (count - 1) * step, step)
    shift = int(rng.integers(4, 13))
    multiplier = np.rint(rng.normal(0, 1, rows) * levels / (count * step) * (1 << shift)).astype(np.int64)
    offset = rng.integers(-(levels << shift), 2 * levels << shift, rows)
    thresholds, descending = np.empty((rows, levels), dtype=np.int64), np.empty(rows, dtype=np.bool_)
    for n in range(rows):
        values = lo[n] + step[n] * np.arange(count[n])
        codes = np.clip((multiplier[n] * values + offset[n]) >> shift, 0, levels)
        thresholds[n : n + 1], descending[n : n + 1], _ = row(int(lo[n]), count[n], step[n], codes.tolist(), levels)
    found = find_affine(thresholds, descending, ranges)
    assert found is not None and found.shift <= shift
    assert found.shift < shift or (np.abs(found.multiplier) <= np.abs(multiplier)).all()
    assert np.abs(found.multiplier).max() < 1 << MAX_MULTIPLIER_BITS - 1
    for n in range(rows):
        values = np.broadcast_to((lo[n] + step[n] * np.arange(count[n]))[:, None], (count[n], rows))
        expected = np.clip((multiplier[n] * values[:, 0] + offset[n]) >> shift, 0, levels)
        assert np.array_equal(found.codes(values, levels)[:, n], expected)


def test_what_is_no_straight_line_has_none() -> None:
    assert find_affine(*row(0, 6, 1, [0, 1, 1, 1, 1, 2], 2)) is not None
    assert find_affine(*row(0, 8, 1, [0, 1, 2, 3, 3, 3, 3, 4], 5)) is None


def test_constant_neurons_need_no_multiplier() -> None:
    for code in (0, 2, 3):
        found = find_affine(*row(-5, 11, 1, [code] * 11, 3))
        assert found is not None and (found.multiplier[0], found.shift) == (0, 0)
        assert found.codes(np.array([[-5]]), 3)[0, 0] == code


def test_multipliers_and_accumulators_that_are_too_wide_are_left_alone() -> None:
    """A slope that needs a fine grid beside a step from the least to the largest code: the grid makes the step's
    multiplier large."""
    thresholds, descending, ranges = row(0, 3, 1, [0, 0, 1], 1)
    assert find_affine(thresholds, descending, ranges) is not None
    wide = RowRanges(ranges.lo, np.array([1 << 26]), ranges.step)
    assert find_affine(thresholds, descending, wide) is None
    count = 60_000
    fine = np.clip(np.floor(np.arange(count) * 255.3 / count), 0, 255).astype(int).tolist()
    steep = [0] * (count - 1) + [255]
    rows = [row(0, count, 1, codes, 255) for codes in (fine, steep)]
    alone = [find_affine(*row) for row in rows]
    assert all(alone) and alone[0].shift > 16 > alone[1].shift
    both = RowRanges(np.zeros(2, np.int64), np.full(2, count - 1), np.ones(2, np.int64))
    assert find_affine(np.concatenate([row[0] for row in rows]), np.array([False, False]), both) is None


@pytest.mark.parametrize("levels", [15, 255])
def test_a_threshold_off_by_one_is_another_function(levels: int) -> None:
    codes = [min(levels, x * levels // 600) for x in range(800)]
    thresholds, descending, ranges = row(0, 800, 1, codes, levels)
    thresholds[0, levels // 2] += 1
    found = find_affine(thresholds, descending, ranges)
    assert found is None or found.codes(np.arange(800)[:, None], levels)[:, 0].tolist() != codes


def every_value(network: IntegerNetwork, node: Requantize) -> np.ndarray:
    """All reachable values of what `node` reads, (values, N); shorter rows repeat their last."""
    ranges = value_ranges(network, node.inputs[0])
    places = np.minimum(np.arange(ranges.counts.max())[:, None], ranges.counts - 1)
    return ranges.lo + ranges.step * places


@pytest.mark.parametrize("bits", [4, 8])
@pytest.mark.parametrize("weights", [1, 4])
def test_the_pass_keeps_every_code(bits: int, weights: int) -> None:
    kinds = (2, Encoding.UNSIGNED), (bits, Encoding.UNSIGNED), (weights, Encoding.BIPOLAR)
    network = with_uniform_thresholds(random_network([40, 12, 9, 5], *kinds))
    smaller = requantized(network)
    replaced = [node for node in smaller.nodes if isinstance(node, Requantize)]
    assert [node.name for node in replaced] == ["act0", "act1"]
    for node in replaced:
        values, before = every_value(network, node), network.node(node.name)
        assert isinstance(before, Threshold) and before.type == node.type and before.descending.any()
        assert np.array_equal(golden.requantize(node, values), golden.threshold(before, values))
        assert signed(node.multiplier) + signed(node.offset) < node.type.max_code * signed(before.thresholds)
    codes = np.random.default_rng(0).integers(0, 4, (50, 40), dtype=np.uint8)
    before, after = golden.run(network, codes), golden.run(smaller, codes)
    assert all(np.array_equal(before[name], after[name]) for name in before)


def signed(values: np.ndarray) -> int:
    return next(bits for bits in range(1, 64) if -(1 << bits - 1) <= values.min() and values.max() < 1 << bits - 1)


def test_the_pass_leaves_what_is_narrow_or_no_straight_line() -> None:
    narrow = with_uniform_thresholds(random_network([40, 12, 5], hidden=(3, Encoding.UNSIGNED)))
    crooked = random_network([40, 12, 5], hidden=(4, Encoding.UNSIGNED))
    for network in (narrow, crooked):
        assert [type(node) for node in requantized(network).nodes] == [type(node) for node in network.nodes]


@pytest.mark.parametrize("seed", range(6))
def test_graphs_are_requantized_on_what_their_nodes_reach(seed: int) -> None:
    """Sums, pools, groups, dot products with several readers, thresholds of codes."""
    graph = random_graph(seed, codes=((4, Encoding.UNSIGNED), (5, Encoding.BIPOLAR)), requantize=False)
    network = with_uniform_thresholds(residual_network() if seed == 0 else graph)
    smaller = requantized(network)
    replaced = [node for node in smaller.nodes if isinstance(node, Requantize)]
    assert replaced
    for node in replaced:
        before, values = network.node(node.name), every_value(network, node)
        assert isinstance(before, Threshold)
        assert np.array_equal(golden.requantize(node, values), golden.threshold(before, values))
    shape = network.input.type.shape
    codes = np.random.default_rng(0).integers(0, network.input.type.max_code + 1, (20, *shape), dtype=np.uint8)
    before, after = golden.run(network, codes), golden.run(smaller, codes)
    assert all(np.array_equal(before[name], after[name]) for name in before)
