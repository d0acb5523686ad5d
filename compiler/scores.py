"""Exact scores: the module's outputs as `multiplier * acc + offset` per class, in integers.

What must be kept is the order: for every two classes and all their reachable accumulators the integer scores compare
as the module's outputs do, ties to the lowest index.
"""

from collections.abc import Callable
from math import floor, log2

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .ranges import RowRanges

__all__ = ["MAX_BITS", "find_scores", "keeps_order", "reduced", "rounded"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

MAX_BITS = 40  # of the largest multiplier
MAX_VALUES = 1 << 25  # (value, class) pairs that are sorted; more is refused rather than sampled
LIMIT = 1 << 61  # of scores: the verifier's bound, with room


def reduced(multiplier: Integers, offset: Integers) -> tuple[Integers, Integers, int]:
    """Both divided by their greatest common divisor, and that divisor: the order of scores stays."""
    divisor = max(int(np.gcd.reduce(np.concatenate([multiplier, offset]))), 1)
    return multiplier // divisor, offset // divisor, divisor


def find_scores(
    evaluate: Callable[[Integers], Reals], slope: Reals, intercept: Reals, ranges: RowRanges, name: str
) -> tuple[Integers, Integers]:
    """Multiplier and offset, int64 (C,) each, of the fewest bits that keep the order of the module's outputs.

    evaluate: the module's outputs (B, C) for accumulators (B, C). slope, intercept: the real affine function behind
    them, float64 (C,), which is rounded to 1, 2, ... 40 bits until sorting all reachable (value, class) pairs finds
    no two in another order. UsageError naming `name` if there is none: the outputs' own rounding then reorders
    values, as float32 does where thousands of them crowd.
    """
    longest = int(ranges.counts.max())
    if longest * len(slope) > MAX_VALUES:
        raise UsageError(f"{name}: {longest} accumulator values a class are too many to sort; {ADVICE}")
    positions = np.minimum(np.arange(longest)[:, None], ranges.counts - 1)
    values = ranges.lo + ranges.step * positions
    outputs = evaluate(values)
    for bits in range(1, MAX_BITS + 1):
        multiplier, offset = rounded(slope, intercept, bits)
        largest = int(np.abs(multiplier).max()) * int(np.abs(values).max()) + int(np.abs(offset).max())
        if largest < LIMIT and keeps_order(multiplier * values + offset, outputs):
            multiplier, offset, _ = reduced(multiplier, offset)
            return multiplier, offset
    raise UsageError(f"{name}: no integer scores of up to {MAX_BITS} bits keep the order of the outputs; {ADVICE}")


ADVICE = "use ScoreNorm, which is exact by construction, on the outputs"


def rounded(slope: Reals, intercept: Reals, bits: int) -> tuple[Integers, Integers]:
    """The affine function on the grid on which its largest slope has `bits` bits (the offset, if all slopes are 0)."""
    largest = float(np.abs(slope).max()) or float(np.abs(intercept).max()) or 1.0
    grid = 2.0 ** (bits - 1 - floor(log2(largest)))
    scaled = np.clip(np.stack([slope, intercept]) * grid, -float(LIMIT), float(LIMIT))
    multiplier, offset = np.round(scaled).astype(np.int64)
    return multiplier, offset


def keeps_order(scores: Integers, outputs: Reals) -> bool:
    """Whether every two entries of different columns compare alike in both (B, C) arrays, ties to the lower column.

    Sorted by score, then by column, the outputs must never rise, and must not repeat at a lower column; as entries of
    different columns are never equal under "value, then column", adjacent pairs decide for all.
    """
    column = np.broadcast_to(np.arange(scores.shape[1]), scores.shape).ravel()
    by_score = np.lexsort((-outputs.ravel(), column, -scores.ravel()))
    output, column = outputs.ravel()[by_score], column[by_score]
    ordered = (output[:-1] > output[1:]) | ((output[:-1] == output[1:]) & (column[:-1] <= column[1:]))
    return bool(ordered.all())
