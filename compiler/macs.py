"""A dot product as multiplications and additions, in the numbers that hardware counts (`compiler/planes.py`).

    P[n] = start + sum_k w[n, k] * x[k]         x: the levels of the activations, 0 and up; w: the weights' integers

so that acc = scale * P + beta[n] as with popcounts, and all that stands behind the dot product (thresholds,
requantizations, scores, pools) is the same. `start` is what keeps every P at 0 or above: in two's complement it is the
offset that makes a sign bit a plain one. It is where the accumulator begins, so that it costs nothing.

Widths follow from the weights themselves where these are fixed: the accumulator holds what some row can reach, no more.
This module imports NumPy alone.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .planes import DotForm, WeightPlane
from .types import Codes, CodeType, Encoding, Integers, Weights, code_values

__all__ = ["WORD_BITS", "MacForm", "mac_problem"]

WORD_BITS = 8
"""Of a weight in two's complement, at most."""


def mac_problem(bits: int, encoding: Encoding) -> str | None:
    """Why weights of that type cannot be multiplied, or None."""
    width = _signed_bits(code_values(bits, encoding))
    if width <= WORD_BITS:
        return None
    return f"{bits}-bit {encoding} weights have {width} bits in two's complement, multipliers take {WORD_BITS}"


@dataclass(frozen=True)
class MacForm(DotForm):
    """A dot product of codes of two types, in products. A weight is stored as a word in two's complement.

    least, most: ends of what the sum of products of any row can be; least <= 0 < most - least.
    """

    least: int
    most: int

    @classmethod
    def of(cls, weights: Weights, source: CodeType, *, fixed: bool = True) -> "MacForm":
        """The form of a matrix of weights and the codes that it reads; without `fixed`, of all weights of that type."""
        levels = DotForm.of(weights, source).level_table
        values = weights.values()
        if not fixed:
            table = code_values(weights.bits, weights.encoding)
            values = np.stack([np.full(values.shape[1], end) for end in (table[0], table[-1])])
        least = int(np.minimum(values, 0).sum(axis=1).min() * levels[-1])
        most = int(np.maximum(values, 0).sum(axis=1).max() * levels[-1])
        return cls(
            weights.bits, weights.encoding, source.bits, source.encoding, least, most if most > least else least + 1
        )

    @property
    def start(self) -> int:
        """P of an input of zeros: where the accumulator begins."""
        return -self.least

    @property
    def planes(self) -> tuple[WeightPlane, ...]:
        """None: a weight is a number."""
        return ()

    @cached_property
    def word_table(self) -> Codes:
        """The word of each weight code, uint8: its integer in `word_bits` bits, two's complement."""
        words: Codes = (code_values(self.weight_bits, self.weights) & ((1 << self.word_bits) - 1)).astype(np.uint8)
        return words

    @property
    def word_bits(self) -> int:
        """Bits of a stored weight."""
        return _signed_bits(code_values(self.weight_bits, self.weights))

    @property
    def shift_bits(self) -> int:
        """None: powers of two are multiplied like other numbers."""
        return 0

    @property
    def activation_planes(self) -> int:
        """Bits of a level."""
        return self.level_bits

    @property
    def column_max(self) -> int:
        """The distance between the ends of one product."""
        values = code_values(self.weight_bits, self.weights)
        return int((values[-1] - min(int(values[0]), 0)) * self.level_table[-1])

    def idle(self, codes: Codes) -> Integers:
        """P of each row (N,) of weight codes (N, K) on levels of 0."""
        return np.full(len(codes), self.start, dtype=np.int64)

    def p_max(self, columns: int) -> int:
        """The largest P of `columns` columns: of those that the form was made of."""
        return self.most - self.least

    def adds_powers(self, planes_at_once: int) -> bool:
        """Whether a register stands behind the sum of a step: always, behind the adder tree."""
        return True


def _signed_bits(values: Integers) -> int:
    """Bits of a two's complement number that holds each of `values`, which rise."""
    return 1 + max(int(values[-1]).bit_length(), (-1 - int(values[0])).bit_length())
