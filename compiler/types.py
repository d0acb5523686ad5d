"""What travels between the nodes of an integer network: codes that stand for integers, and accumulators.

A tensor of *codes* (what travels on a stream) has a `CodeType`; a tensor of *accumulators* (what a dot product or a sum
yields) has an `AccType`. Which integer a code stands for is its encoding. This module imports NumPy alone.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UsageError

__all__ = [
    "AccType",
    "CodeType",
    "Codes",
    "Encoding",
    "InputTransform",
    "Integers",
    "Weights",
    "bits_problem",
    "code_values",
]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]


class Encoding(StrEnum):
    """Which integer a code of n bits stands for. Larger codes always stand for larger integers.

    BIPOLAR: 2q - (2^n - 1), the odd integers; with n = 1 that is -1 or +1.
    UNSIGNED: q.
    SIGNED: q - 2^(n-1), which is two's complement with its top bit inverted (offset binary).
    TERNARY: q - 1 for q = 0, 1, 2; n = 2.
    LOG: powers of two with a sign and no zero: -2^(h-1), ..., -1, 1, ..., 2^(h-1) with h = 2^(n-1).
    LOG_UNSIGNED: 0, 1, 2, 4, ..., 2^(2^n - 2).
    """

    BIPOLAR = "bipolar"
    UNSIGNED = "unsigned"
    SIGNED = "signed"
    TERNARY = "ternary"
    LOG = "log"
    LOG_UNSIGNED = "log_unsigned"


MAX_BITS = {Encoding.TERNARY: 2, Encoding.LOG: 5, Encoding.LOG_UNSIGNED: 4}
"""Where not 8. Powers of two stay within 2^15, so that products of two and their sums remain small integers."""


def bits_problem(bits: int, encoding: Encoding) -> str | None:
    """What is wrong with a code width in that encoding, or None."""
    least, most = 2 if encoding is Encoding.TERNARY else 1, MAX_BITS.get(encoding, 8)
    if least <= bits <= most:
        return None
    return f"{encoding} codes have {least if least == most else f'{least} to {most}'} bits, not {bits}"


@lru_cache(maxsize=64)
def code_values(bits: int, encoding: Encoding) -> Integers:
    """The integer that each legal code stands for, int64, indexed by the code. Not writable.

    UsageError for a width that the encoding does not have (`bits_problem`).
    """
    problem = bits_problem(bits, encoding)
    if problem is not None:
        raise UsageError(problem)
    codes = np.arange(3 if encoding is Encoding.TERNARY else 1 << bits, dtype=np.int64)
    half = 1 << bits >> 1
    match encoding:
        case Encoding.BIPOLAR:
            table = 2 * codes - ((1 << bits) - 1)
        case Encoding.UNSIGNED:
            table = codes
        case Encoding.SIGNED:
            table = codes - half
        case Encoding.TERNARY:
            table = codes - 1
        case Encoding.LOG:
            table = np.where(codes >= half, 1 << np.maximum(codes - half, 0), -(1 << np.maximum(half - 1 - codes, 0)))
        case Encoding.LOG_UNSIGNED:
            table = np.where(codes == 0, 0, 1 << np.maximum(codes - 1, 0))
    table.flags.writeable = False
    return table


@dataclass(frozen=True, slots=True)
class CodeType:
    """The type of a tensor of codes: shape without the batch axis, code width in bits (1 to 8), encoding."""

    shape: tuple[int, ...]
    bits: int
    encoding: Encoding

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def max_code(self) -> int:
        """The largest code; also the number of thresholds that yield such codes."""
        return 2 if self.encoding is Encoding.TERNARY else (1 << self.bits) - 1

    @property
    def lo(self) -> int:
        """The least integer a code can stand for."""
        return int(code_values(self.bits, self.encoding).min())

    @property
    def hi(self) -> int:
        """The largest integer a code can stand for."""
        return int(code_values(self.bits, self.encoding).max())

    def values(self, codes: NDArray[np.integer]) -> Integers:
        """The integers that legal `codes` (any shape) stand for, as int64."""
        match self.encoding:
            case Encoding.BIPOLAR:  # arithmetic is quicker than a table
                return 2 * codes.astype(np.int64) - self.max_code
            case Encoding.UNSIGNED:
                return codes.astype(np.int64)
        values: Integers = code_values(self.bits, self.encoding)[codes]
        return values


@dataclass(frozen=True, slots=True)
class AccType:
    """The type of a tensor of accumulators or scores: shape without the batch axis, inclusive range."""

    shape: tuple[int, ...]
    lo: int
    hi: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, slots=True)
class InputTransform:
    """How a raw sample becomes input codes: uniform quantization of [lo, hi] with 2^bits levels.

    code = clip(floor((x - lo) * (2^bits - 1) / (hi - lo) + 0.5), 0, 2^bits - 1), evaluated in float64 from left to
    right, so that NumPy and torch give the same codes. One bit is a threshold at (lo + hi) / 2, inclusive; eight
    bits on [0, 255] is the pixel itself.
    """

    lo: float
    hi: float

    def codes(self, raw: NDArray[np.generic], bits: int) -> Codes:
        """Codes of the raw samples (any shape and real dtype), uint8 of the same shape; DataError if one is NaN."""
        levels = (1 << bits) - 1
        scaled = (raw.astype(np.float64) - self.lo) * levels / (self.hi - self.lo) + 0.5
        if raw.dtype.kind == "f" and np.isnan(scaled).any():
            raise DataError("a raw sample holds NaN, which has no code")
        return np.clip(np.floor(scaled), 0, levels).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A weight matrix as codes: uint8 (N, K), code width in bits, encoding."""

    codes: Codes
    bits: int
    encoding: Encoding

    @property
    def type(self) -> CodeType:
        """The codes' type, shape included."""
        return CodeType(tuple(self.codes.shape), self.bits, self.encoding)

    def values(self) -> Integers:
        """The integers the weights stand for, int64 (N, K)."""
        return self.type.values(self.codes)
