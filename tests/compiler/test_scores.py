import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler.ranges import RowRanges
from xnorflow.compiler.scores import find_scores, keeps_order, reduced
from xnorflow.errors import UsageError


def beats(a: float, class_a: int, b: float, class_b: int) -> bool:
    """Whether value a of class_a wins over value b of class_b: the first largest."""
    return a > b or (a == b and class_a < class_b)


def keeps_order_by_pairs(scores: np.ndarray, outputs: np.ndarray) -> bool:
    """Every two entries of different classes, one by one."""
    rows, classes = scores.shape
    entries = [(row, column) for row in range(rows) for column in range(classes)]
    return all(
        beats(scores[p], p[1], scores[q], q[1]) == beats(outputs[p], p[1], outputs[q], q[1])
        for p in entries
        for q in entries
        if p[1] != q[1]
    )


@settings(deadline=None, max_examples=200)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 9999), st.integers(1, 6))
def test_sorting_decides_like_comparing_every_pair(rows: int, classes: int, seed: int, spread: int):
    rng = np.random.default_rng(seed)
    values = np.sort(rng.integers(-3, 4, (rows, classes)), axis=0)
    slope, offset = rng.integers(-2, 3, classes), rng.integers(-2, 3, classes)
    outputs = np.round((slope * values + offset) / spread)  # monotone in the values, with ties
    scores = rng.integers(0, 3, classes) * np.sign(slope) * values + rng.integers(-1, 2, classes)
    sound = [len(set(outputs[scores[:, c] == s, c])) == 1 for c in range(classes) for s in scores[:, c]]
    if all(sound):
        assert keeps_order(scores, outputs) == keeps_order_by_pairs(scores, outputs)
    elif keeps_order(scores, outputs):  # a class with one score for two outputs: may be refused, never wrongly taken
        assert keeps_order_by_pairs(scores, outputs)
    assert keeps_order(outputs.astype(np.int64), outputs)


def ranges_of(count: int, classes: int) -> RowRanges:
    lo = np.full(classes, -(count - 1))
    return RowRanges(lo, -lo, np.full(classes, 2))


def all_values(ranges: RowRanges) -> np.ndarray:
    return ranges.lo + ranges.step * np.arange(ranges.counts[0])[:, None]


@settings(deadline=None, max_examples=50)
@given(st.integers(1, 6), st.integers(1, 40), st.integers(0, 9999))
def test_scores_order_all_reachable_values_like_float32(classes: int, count: int, seed: int):
    rng = np.random.default_rng(seed)
    slope = rng.normal(0, 1, classes).astype(np.float32) * rng.integers(0, 2, classes)
    shift = rng.normal(0, 5, classes).astype(np.float32)
    ranges = ranges_of(count, classes)

    def evaluate(acc: np.ndarray) -> np.ndarray:
        return (acc.astype(np.float32) * slope.astype(np.float32) + shift).astype(np.float64)

    multiplier, offset = find_scores(evaluate, slope.astype(float), shift.astype(float), ranges, "norm")
    values = all_values(ranges)[:8]
    assert keeps_order_by_pairs(multiplier * values + offset, evaluate(values))
    assert keeps_order(multiplier * all_values(ranges) + offset, evaluate(all_values(ranges)))


def test_a_common_scale_takes_one_bit():
    multiplier, offset = find_scores(lambda acc: acc * 0.37, np.full(3, 0.37), np.zeros(3), ranges_of(1024, 3), "out")
    assert multiplier.tolist() == [1, 1, 1] and offset.tolist() == [0, 0, 0]


def test_constant_outputs_have_scores():
    constant = np.array([0.5, 2.25, 2.25])
    multiplier, offset = find_scores(lambda acc: 0 * acc + constant, np.zeros(3), constant, ranges_of(9, 3), "out")
    assert multiplier.tolist() == [0, 0, 0]
    assert offset[1] == offset[2] > offset[0]


def test_an_order_that_no_line_has_is_refused_with_advice():
    def crossing(acc: np.ndarray) -> np.ndarray:
        return np.where(acc % 4 == 0, acc, -acc) * np.array([1.0, 2.0])

    with pytest.raises(UsageError, match=r"head\.norm: no integer scores of up to 40 bits.*use ScoreNorm"):
        find_scores(crossing, np.array([1.0, 2.0]), np.zeros(2), ranges_of(9, 2), "head.norm")


def test_too_many_values_are_refused_not_sampled():
    with pytest.raises(UsageError, match="out: 4000000 accumulator values a class are too many to sort; use ScoreNorm"):
        find_scores(lambda acc: acc, np.ones(10), np.zeros(10), ranges_of(4_000_000, 10), "out")


def test_reduction_divides_by_the_common_divisor():
    multiplier, offset, divisor = reduced(np.array([12, -8, 0]), np.array([20, 4, -4]))
    assert (multiplier.tolist(), offset.tolist(), divisor) == ([3, -2, 0], [5, 1, -1], 4)
    assert reduced(np.zeros(2, np.int64), np.zeros(2, np.int64))[2] == 1
