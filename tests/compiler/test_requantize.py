import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler.ranges import RowRanges
from xnorflow.compiler.requantize import MAX_MULTIPLIER_BITS, MAX_SHIFT, find_affine


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
    thresholds, descending, ranges = row(0, 3, 1, [0, 0, 1], 1)
    assert find_affine(thresholds, descending, ranges) is not None
    wide = RowRanges(ranges.lo, np.array([1 << 26]), ranges.step)
    assert find_affine(thresholds, descending, wide) is None
    # A step from 0 to the largest code between two neighbours, and a slope before it that needs a fine grid.
    steep, flat = [0] * 40 + [255] * 40, sorted(np.linspace(0, 255, 80).astype(int).tolist())
    both = [row(0, 80, 1, codes, 255) for codes in (steep, flat)]
    ranges = RowRanges(np.zeros(2, np.int64), np.full(2, 79), np.ones(2, np.int64))
    found = find_affine(np.concatenate([b[0] for b in both]), np.array([False, False]), ranges)
    assert found is None or found.shift <= MAX_SHIFT


@pytest.mark.parametrize("levels", [15, 255])
def test_a_threshold_off_by_one_is_another_function(levels: int) -> None:
    codes = [min(levels, x * levels // 600) for x in range(800)]
    thresholds, descending, ranges = row(0, 800, 1, codes, levels)
    thresholds[0, levels // 2] += 1
    found = find_affine(thresholds, descending, ranges)
    assert found is None or found.codes(np.arange(800)[:, None], levels)[:, 0].tolist() != codes
