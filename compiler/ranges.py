"""Which accumulator values a dot product can reach, neuron by neuron."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .types import AccType, CodeType, Weights, code_values

__all__ = ["RowRanges", "acc_type", "row_ranges"]


@dataclass(frozen=True, slots=True, eq=False)
class RowRanges:
    """For each neuron the least and the largest accumulator and the spacing between: int64 (N,) each.

    Every reachable value of neuron n is lo[n] + i * step[n] <= hi[n]. With 1-bit weights each of these is reached;
    with wider ones some in between may not be.
    """

    lo: NDArray[np.int64]
    hi: NDArray[np.int64]
    step: NDArray[np.int64]

    @property
    def counts(self) -> NDArray[np.int64]:
        """How many values each neuron's range has, int64 (N,)."""
        return (self.hi - self.lo) // self.step + 1


def row_ranges(weights: Weights, source: CodeType) -> RowRanges:
    """Ranges over all input codes of `source`, independent of each other."""
    values = weights.values()
    ends = np.stack([values * source.lo, values * source.hi])
    spacing = int(np.gcd.reduce(np.diff(code_values(source.bits, source.encoding))))  # between the codes' integers
    step = spacing * np.gcd.reduce(values, axis=1)
    return RowRanges(ends.min(axis=0).sum(axis=1), ends.max(axis=0).sum(axis=1), np.maximum(step, 1))


def acc_type(weights: Weights, source: CodeType, positions: tuple[int, ...] = ()) -> AccType:
    """The least accumulator type that holds every reachable value of every neuron.

    positions: (H', W') of a convolution, whose padding takes codes of `source` too and so widens nothing.
    """
    ranges = row_ranges(weights, source)
    return AccType((*positions, weights.codes.shape[0]), int(ranges.lo.min()), int(ranges.hi.max()))
