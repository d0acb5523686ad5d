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

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from .ir import IntegerNetwork, Node, Requantize, Threshold
from .ranges import RowRanges
from .reach import value_ranges
from .verify import verify

__all__ = ["MAX_MULTIPLIER_BITS", "MAX_SHIFT", "Affine", "find_affine", "requantized", "wide_activations"]

Integers = NDArray[np.int64]

MAX_SHIFT = 40
MAX_MULTIPLIER_BITS = (
    25  # signed, as all operands: a DSP48 multiplies 25 by 18 bits, and takes either operand at either port
)
_NARROW_BITS = 18
_EXTENT = 1 << 26  # of accumulators: no product passes 2^51 then, no other number 2^61
_WIDE = 4  # bits of codes from which on thresholds are many


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """clip((multiplier[n] * acc + offset[n]) >> shift, 0, max); multiplier, offset: int64 (N,)."""

    multiplier: Integers
    offset: Integers
    shift: int

    @property
    def bits(self) -> int:
        """Bits of a neuron's constants."""
        return _bits(self.multiplier) + _bits(self.offset)

    def codes(self, acc: Integers, max_code: int) -> Integers:
        """Codes (..., N) of accumulators (..., N)."""
        codes: Integers = np.clip((self.multiplier * acc + self.offset) >> self.shift, 0, max_code)
        return codes


def requantized(network: IntegerNetwork) -> IntegerNetwork:
    """The network with a Requantize in place of every Threshold of 4 bits and more that has one which takes less.

    It has the Threshold's name and yields its codes on every reachable value. It takes less where a neuron's two
    constants have fewer bits than its thresholds and a multiplication takes one DSP block.
    """
    return verify(replace(network, nodes=tuple(_node(network, node) for node in network.nodes)))


def wide_activations(network: IntegerNetwork) -> tuple[str, ...]:
    """A line for each activation of 4 bits and more: the widths of its multiplication, or its thresholds."""
    lines = []
    for node in network.nodes:
        if isinstance(node, Requantize):
            widths = (
                f"multipliers of {_bits(node.multiplier)} bits, offsets of {_bits(node.offset)}, shift {node.shift}"
            )
            lines.append(f"{node.name}: {node.type.max_code} levels by multiply, add and shift: {widths}")
        elif isinstance(node, Threshold) and node.type.bits >= _WIDE:
            lines.append(f"{node.name}: {node.type.max_code} thresholds a neuron of {_bits(node.thresholds)} bits")
    return tuple(lines)


def _node(network: IntegerNetwork, node: Node) -> Node:
    if not isinstance(node, Threshold) or node.type.bits < _WIDE:
        return node
    found = find_affine(node.thresholds, node.descending, value_ranges(network, node.inputs[0]))
    if found is None or found.bits >= node.type.max_code * _bits(node.thresholds):
        return node
    return Requantize(node.name, node.inputs, node.type, found.multiplier, found.offset, found.shift)


def _bits(values: Integers) -> int:
    """Bits of a two's complement number that holds each of `values`."""
    return 1 + max(int(values.max()).bit_length(), (-1 - int(values.min())).bit_length())


def find_affine(thresholds: Integers, descending: NDArray[np.bool_], ranges: RowRanges) -> Affine | None:
    """The numbers of least width that give the codes of `thresholds`, as `ir.Threshold` has them, on every value of
    `ranges`; None if there are none with a shift of at most MAX_SHIFT whose multiplications take one DSP block each.

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
    count_bits = int((ranges.hi - ranges.lo).max()).bit_length() + 1
    if count_bits > MAX_MULTIPLIER_BITS:
        return None
    most = (1 << (MAX_MULTIPLIER_BITS if count_bits <= _NARROW_BITS else _NARROW_BITS) - 1) - 1
    found: Affine | None = None
    low, high = 0, MAX_SHIFT + 1
    while low < high:  # what does with one shift does, doubled, with the next
        shift = (low + high) // 2
        multiplier, offset, solved = _solve(position, first, step, last, shift, most)
        if not solved and multiplier.max() <= most:
            low = shift + 1
        else:  # multipliers that are too large grow with the shift
            found, high = Affine(sign * multiplier, offset, shift) if solved else None, shift
    return found


def _solve(
    position: Integers, first: Integers, step: Integers, last: Integers, shift: int, most: int
) -> tuple[Integers, Integers, bool]:
    """Multipliers and offsets of ascending rows (N, max) for one shift, and whether these solve all of them.

    If not, one row has no solution, or none with a multiplier of at most `most`: then a multiplier is larger than that.
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
        least, greatest = lower[rows, at_least], upper[rows, at_most]
        gap = least - greatest
        unsolved = gap > 0
        offset = np.clip(0, least, np.maximum(least, greatest))
        closes = value[rows, at_least] - before[rows, at_most]  # by so much a step of the multiplier narrows the gap
        if not unsolved.any() or (unsolved & (closes <= 0)).any():
            return multiplier, offset, not unsolved.any()
        multiplier = np.where(unsolved, multiplier - -gap // np.maximum(closes, 1), multiplier)
        if multiplier.max() > most:
            return multiplier, offset, False
