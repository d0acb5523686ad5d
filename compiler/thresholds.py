"""Exact thresholds: normalisation and activation of a neuron as integer comparisons, found by asking the module.

For a fixed neuron, code = f(acc) is monotone in the accumulator, so level i is reached from one accumulator value
on. That value is found by bisection over the reachable values, all neurons and levels at once, with f the trained
module itself; no formula for BatchNorm is written down a second time.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .ir import AccType
from .ranges import RowRanges

__all__ = ["EXHAUSTIVE", "Evaluate", "find_thresholds"]

Integers = NDArray[np.int64]
Evaluate = Callable[[Integers], NDArray[np.uint8]]
"""Codes (B, N) of accumulators (B, N): column n holds values of neuron n."""

EXHAUSTIVE = 1 << 15  # up to so many values a neuron all are checked, beyond that samples and every threshold's sides
SAMPLES = 1 << 12
ROWS = 1 << 12  # of accumulators evaluated at a time


def find_thresholds(
    evaluate: Evaluate, ranges: RowRanges, levels: int, acc: AccType, name: str, limit: int = EXHAUSTIVE
) -> tuple[Integers, NDArray[np.bool_]]:
    """Thresholds int64 (N, levels) and descending bool (N,) as `ir.Threshold` defines them.

    Each threshold is the first reachable value, coming from the neuron's low-code side, whose code is above the
    level; where there is none it is acc.hi + 1 (acc.lo - 1 if descending). A constant neuron counts as ascending.
    Raises UsageError, naming `name` and the neuron, if the function is not monotone on the values checked: all of
    them for neurons of up to `limit` values.
    """
    last = ranges.counts - 1
    ends = evaluate(np.stack([ranges.lo, ranges.hi]))
    descending = ends[0] > ends[1]
    start = np.where(descending, ranges.hi, ranges.lo)
    stride = np.where(descending, -ranges.step, ranges.step)
    level = np.arange(levels)[:, None]
    below = np.full((levels, len(last)), -1)
    above = np.broadcast_to(last + 1, below.shape)
    while (unsure := above - below > 1).any():
        middle = np.where(unsure, (below + above) // 2, 0)
        reached = evaluate(start + stride * middle) > level
        above = np.where(unsure & reached, middle, above)
        below = np.where(unsure & ~reached, middle, below)
    check(evaluate, start, stride, last, above, name, limit)
    never = np.where(descending, acc.lo - 1, acc.hi + 1)
    thresholds = np.where(above <= last, start + stride * above, never)
    return np.ascontiguousarray(thresholds.T), descending


def check(
    evaluate: Evaluate, start: Integers, stride: Integers, last: Integers, above: Integers, name: str, limit: int
) -> None:
    """Compare the thresholds with the function itself; `above` holds them as positions, (levels, N)."""
    for positions in positions_to_check(last, above, limit):
        codes = evaluate(start + stride * positions)
        expected = np.zeros(positions.shape, np.uint8)
        for position in above:
            expected += positions >= position
        wrong = np.flatnonzero((codes != expected).any(axis=0))
        if wrong.size:
            raise UsageError(
                f"{name}: the activation of neuron {wrong[0]} is not a monotone function of its accumulator "
                f"({wrong.size} of {len(last)} neurons); only monotone ones have thresholds"
            )


def positions_to_check(last: Integers, above: Integers, limit: int) -> Iterator[Integers]:
    """Positions 0..last[n] in blocks (B, N): all, or samples and both sides of every threshold."""
    longest = int(last.max())
    if longest < limit:
        for first in range(0, longest + 1, ROWS):
            yield np.minimum(np.arange(first, min(first + ROWS, longest + 1))[:, None], last)
        return
    yield last * np.arange(SAMPLES)[:, None] // (SAMPLES - 1)
    for side in (-1, 0, 1):
        yield np.clip(above + side, 0, last)
