import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler.ir import AccType
from xnorflow.compiler.ranges import RowRanges
from xnorflow.compiler.thresholds import Evaluate, find_thresholds
from xnorflow.errors import UsageError


def ranges_of(*rows: tuple[int, int, int]) -> tuple[RowRanges, AccType]:
    """Ranges of neurons given as (lo, count, step), and the least accumulator type around them."""
    lo, count, step = (np.array(column) for column in zip(*rows, strict=True))
    ranges = RowRanges(lo, lo + (count - 1) * step, step)
    return ranges, AccType((len(rows),), int(ranges.lo.min()), int(ranges.hi.max()))


def affine(slope: list[float], shift: list[float], levels: int) -> Evaluate:
    """code = clip(floor(slope * acc + shift), 0, levels), per neuron."""

    def evaluate(acc: np.ndarray) -> np.ndarray:
        return np.clip(np.floor(np.array(slope) * acc + np.array(shift)), 0, levels).astype(np.uint8)

    return evaluate


def codes(acc: np.ndarray, thresholds: np.ndarray, descending: np.ndarray) -> np.ndarray:
    """The definition of ir.Threshold for accumulators (B, N)."""
    wide = acc[:, :, None]
    return np.where(descending[:, None], wide <= thresholds, wide >= thresholds).sum(axis=2).astype(np.uint8)


ROWS = st.lists(st.tuples(st.integers(-50, 50), st.integers(1, 60), st.integers(1, 4)), min_size=1, max_size=6)


@settings(deadline=None, max_examples=150)
@given(ROWS, st.integers(1, 15), st.integers(0, 9999))
def test_thresholds_are_the_function_on_every_reachable_value(rows, levels: int, seed: int):
    ranges, acc = ranges_of(*rows)
    rng = np.random.default_rng(seed)
    slope = rng.normal(0, 2, len(rows)) * rng.integers(0, 2, len(rows))
    evaluate = affine(slope.tolist(), rng.normal(0, 20, len(rows)).tolist(), levels)
    thresholds, descending = find_thresholds(evaluate, ranges, levels, acc, "act")
    assert thresholds.shape == (len(rows), levels) and thresholds.dtype == np.int64 and descending.dtype == np.bool_
    for neuron, (lo, count, step) in enumerate(rows):
        values = np.repeat(lo + step * np.arange(count)[:, None], len(rows), axis=1)
        assert np.array_equal(codes(values, thresholds, descending)[:, neuron], evaluate(values)[:, neuron])
        reachable = set(values[:, neuron].tolist())
        never = acc.lo - 1 if descending[neuron] else acc.hi + 1
        assert set(thresholds[neuron].tolist()) <= reachable | {never}
    assert acc.lo - 1 <= thresholds.min() and thresholds.max() <= acc.hi + 1


def test_each_kind_of_neuron():
    ranges, acc = ranges_of(*[(-10, 11, 2)] * 6)
    slope = [1.0, -1.0, 0.0, 0.0, 100.0, 1.0]
    shift = [0.0, 0.0, 3.0, -1.0, 0.5, 50.0]
    thresholds, descending = find_thresholds(affine(slope, shift, 3), ranges, 3, acc, "act")
    assert thresholds.tolist() == [
        [2, 2, 4],  # rising; 1 and 3 are not reachable, so the first two levels share the value 2
        [-2, -2, -4],  # falling
        [-10, -10, -10],  # slope 0, always
        [11, 11, 11],  # slope 0, never
        [2, 2, 2],  # a step: repeated thresholds
        [-10, -10, -10],  # saturated over the whole range: thresholds at its end
    ]
    assert descending.tolist() == [False, True, False, False, False, False]


@pytest.mark.parametrize(
    ("sign", "bound", "expected"),
    [
        (1, 3, 3),  # only the largest value fires
        (1, -1, -1),
        (-1, 3, -3),  # falling: only the least value fires
        (-1, -1, 1),
        (1, -3, -3),  # always
        (-1, -3, -3),  # always as well: constant neurons count as ascending
        (1, 4, 4),  # never: one above the range
        (-1, 4, 4),
    ],
)
def test_thresholds_at_both_ends_of_the_range(sign: int, bound: int, expected: int):
    ranges, acc = ranges_of((-3, 4, 2))
    thresholds, descending = find_thresholds(lambda a: (sign * a >= bound).astype(np.uint8), ranges, 1, acc, "act")
    assert thresholds.tolist() == [[expected]]
    assert descending.tolist() == [sign < 0 and -3 < bound < 4]


@pytest.mark.parametrize("limit", [1 << 15, 4], ids=["exhaustive", "sampled"])
@pytest.mark.parametrize("bump", [1, 57, 99])
def test_a_function_that_is_not_monotone_is_refused_by_name(limit: int, bump: int):
    ranges, acc = ranges_of((0, 100, 1), (0, 100, 1))

    def evaluate(acc: np.ndarray) -> np.ndarray:
        rising = acc >= 50
        rising[:, 1] ^= acc[:, 1] == bump
        return rising.astype(np.uint8)

    with pytest.raises(UsageError, match=r"blocks\.act: .* neuron 1 is not a monotone.*\(1 of 2 neurons"):
        find_thresholds(evaluate, ranges, 1, acc, "blocks.act", limit)


def test_wide_ranges_are_sampled_and_still_exact():
    ranges, acc = ranges_of((-200_000, 400_001, 1), (-100_000, 150_000, 2))
    thresholds, descending = find_thresholds(affine([1e-4, -1e-4], [3.3, 5.0], 15), ranges, 15, acc, "act")
    for neuron in range(2):
        values = np.arange(ranges.lo[neuron], ranges.hi[neuron] + 1, ranges.step[neuron])
        both = np.stack([values, values], axis=1)
        expected = affine([1e-4, -1e-4], [3.3, 5.0], 15)(both)[:, neuron]
        falls = bool(descending[neuron])
        assert falls == (neuron == 1)
        counted = sum((values <= t if falls else values >= t) for t in thresholds[neuron].tolist())
        assert np.array_equal(counted, expected)
