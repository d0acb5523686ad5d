"""Requantization: thresholds of wide activations as multiply, add and shift, equal on every reachable value.

A row of thresholds says from which accumulator on each code is reached. With a shift s, integers m and b give the same
codes, clip((m * acc + b) >> s, 0, max), exactly if for every code i

    m * t_i + b >= i * 2^s         t_i: the first reachable value, from the row's low side, whose code is i or more
    m * p_i + b <  i * 2^s         p_i: the last reachable value before it

because m * acc + b is monotone. For a given m the offsets that do are an interval, and the length of that interval,

    g(m) = min_i (i * 2^s - 1 - m * p_i) - max_i (i * 2^s - m * t_i),

is concave in m: Newton's steps from m = 0, rounded up, never pass a solution and end at the least m, or where g falls.
That is exact in integers, and all neurons take their steps at once.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .ranges import RowRanges

__all__ = ["MAX_MULTIPLIER_BITS", "MAX_SHIFT", "Affine", "find_affine"]

Integers = NDArray[np.int64]

MAX_SHIFT = 24  # with accumulators exact in float32 (2^24) and codes of 8 bits no product passes 2^57
MAX_MULTIPLIER_BITS = 18  # signed: what one DSP block of any FPGA multiplies with counts of as many bits or more
_EXTENT = 1 << 26  # of accumulators, for the same reason


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """clip((multiplier[n] * acc + offset[n]) >> shift, 0, max); multiplier, offset: int64 (N,)."""

    multiplier: Integers
    offset: Integers
    shift: int

    def codes(self, acc: Integers, max_code: int) -> Integers:
        """Codes (..., N) of accumulators (..., N)."""
        return np.clip((self.multiplier * acc + self.offset) >> self.shift, 0, max_code)


def find_affine(thresholds: Integers, descending: NDArray[np.bool_], ranges: RowRanges) -> Affine | None:
    """The numbers of least width that give the codes of `thresholds`, as `ir.Threshold` has them, on every value of
    `ranges`; None if there are none with a shift of at most MAX_SHIFT and multipliers of MAX_MULTIPLIER_BITS.

    The shift is the least that suits all neurons, a multiplier the least in size for that shift, an offset the one
    nearest to 0.
    """
    if max(int(np.abs(ranges.lo).max()), int(np.abs(ranges.hi).max())) >= _EXTENT:
        return None
    # A row that descends is one that ascends in the negated accumulator.
    sign = np.where(descending, -1, 1)
    first = np.where(descending, -ranges.hi, ranges.lo)[:, None]
    step, last = ranges.step[:, None], (ranges.counts - 1)[:, None]
    position = np.clip(-((first - sign[:, None] * thresholds) // step), 0, last + 1)
    found: tuple[Integers, Integers] | None = None
    low, high = 0, MAX_SHIFT + 1
    while low < high:  # what does with one shift does, doubled, with the next
        shift = (low + high) // 2
        solution = _solve(position, first, step, last, shift)
        if solution is None:
            low = shift + 1
        else:
            found, high = solution, shift
    if found is None:
        return None
    multiplier, offset = sign * found[0], found[1]
    if max(int(multiplier.max()).bit_length(), int(-1 - multiplier.min()).bit_length()) >= MAX_MULTIPLIER_BITS:
        return None
    return Affine(multiplier, offset, low)


def _solve(
    position: Integers, first: Integers, step: Integers, last: Integers, shift: int
) -> tuple[Integers, Integers] | None:
    """Multipliers and offsets of ascending rows (N, max) for one shift, None if a row has none.

    Value v is first + step * v, 0 <= v <= last; `position` is where each code begins, last + 1 where it never does.
    """
    level = np.arange(1, position.shape[1] + 1, dtype=np.int64) << shift
    reached, missed = position <= last, position > 0
    value, before = first + step * position, first + step * (position - 1)
    free = np.int64(1) << 61  # of an offset that nothing bounds
    rows = np.arange(len(position))
    multiplier = np.zeros(len(position), dtype=np.int64)
    while True:
        lower = np.where(reached, level - multiplier[:, None] * value, -free)
        upper = np.where(missed, level - 1 - multiplier[:, None] * before, free)
        at_least, at_most = lower.argmax(axis=1), upper.argmin(axis=1)
        least, most = lower[rows, at_least], upper[rows, at_most]
        gap = least - most
        unsolved = gap > 0
        if not unsolved.any():
            return multiplier, np.clip(0, least, most)
        closes = value[rows, at_least] - before[rows, at_most]  # by so much a step of the multiplier narrows the gap
        if (unsolved & (closes <= 0)).any():
            return None
        multiplier = np.where(unsolved, multiplier - -gap // np.maximum(closes, 1), multiplier)
