"""Parameters of what turns counts into codes: thresholds, or multiply, add, shift. Shared by hardware and reference.

All numbers are in the popcount domain (docs/architecture.md). `hdl.constants` makes them from an integer network.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ...errors import HardwareError
from ..dot.rom import MemoryImage

__all__ = ["ActivationParams", "RequantizeParams", "ThresholdParams", "signed_bits"]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]

_SUM_BITS = 62  # references compute in int64; no multiplier that fits an FPGA comes near


def signed_bits(low: int, high: int) -> int:
    """Bits of a two's complement number that holds low..high."""
    return 1 + max(high.bit_length() if high > 0 else 0, (-low - 1).bit_length() if low < 0 else 0)


@dataclass(frozen=True, eq=False)
class ThresholdParams:
    """One or more thresholds per row.

    values: int64 (N, T), nondecreasing rows, each in 0..p_max + 1; code = #{i : P >= values[i]}, or, for a row that
    descends, T - #{i : P >= values[i]}. descending: bool (N,), None where no row does.
    folds: beats in which the N rows come, PE at a time.
    interval: the least number of cycles between two beats; the units take as long as that allows.
    """

    name: str
    values: Integers
    p_max: int
    pe: int
    folds: int
    interval: int = 1
    descending: NDArray[np.bool_] | None = None

    @property
    def levels(self) -> int:
        """T, the largest code."""
        return int(self.values.shape[1])

    @property
    def count_bits(self) -> int:
        """Bits of a count."""
        return self.p_max.bit_length()

    @property
    def threshold_bits(self) -> int:
        """Bits of a threshold: one more value than a count, for "never"."""
        return (self.p_max + 1).bit_length()

    @property
    def code_bits(self) -> int:
        """Bits of a code."""
        return self.levels.bit_length()

    @property
    def comparators(self) -> int:
        """Thresholds of a row compared at once where all are compared."""
        return -(-self.levels // self.interval)

    @property
    def rounds(self) -> int:
        """Cycles in which these get through all of a row's thresholds."""
        return -(-self.levels // self.comparators)

    @property
    def search_stages(self) -> int:
        """Stages of a binary search that keeps up, each with a comparator for every row."""
        return -(-self.code_bits // min(self.code_bits, self.interval))

    @property
    def search_rounds(self) -> int:
        """Bits of the code that a stage finds, one a cycle; the last stage may find fewer."""
        return -(-self.code_bits // self.search_stages)

    @cached_property
    def padded(self) -> Integers:
        """`values` with rows of padding, whose thresholds no count reaches: (folds, PE, T)."""
        table = np.full((self.folds * self.pe, self.levels), self.p_max + 1, dtype=np.int64)
        table[: len(self.values)] = self.values
        return table.reshape(self.folds, self.pe, self.levels)

    @cached_property
    def image(self) -> MemoryImage:
        """Word fold * rounds + round: PE x comparators thresholds, row 0's first in the least significant bits."""
        table = np.full((self.folds, self.pe, self.rounds * self.comparators), self.p_max + 1, dtype=np.int64)
        table[:, :, : self.levels] = self.padded
        words = table.reshape(self.folds, self.pe, self.rounds, self.comparators).transpose(0, 2, 1, 3)
        return MemoryImage.of_fields(
            f"{self.name}_thresholds", words.reshape(self.folds * self.rounds, -1), self.threshold_bits
        )

    @cached_property
    def flags(self) -> MemoryImage | None:
        """Word fold: one bit a row, whether it descends; None where no row does."""
        if self.descending is None:
            return None
        bits = np.zeros(self.folds * self.pe, dtype=np.uint8)
        bits[: len(self.descending)] = self.descending
        return MemoryImage(f"{self.name}_directions", bits.reshape(self.folds, self.pe))

    def reference(self, counts: Integers) -> Codes:
        """Codes (B, N) of counts P (B, N)."""
        codes = np.sum(counts[:, :, None] >= self.values[None], axis=2)
        if self.descending is not None:
            codes = np.where(self.descending, self.levels - codes, codes)
        return codes.astype(np.uint8)


@dataclass(frozen=True, eq=False)
class RequantizeParams:
    """code = clip((multiplier[n] * P + offset[n]) >> shift, 0, 2^bits - 1), >> rounding down.

    multiplier, offset: int64 (N,). folds: beats in which the N rows come, PE at a time.
    """

    name: str
    multiplier: Integers
    offset: Integers
    shift: int
    bits: int
    p_max: int
    pe: int
    folds: int

    def __post_init__(self) -> None:
        if self.sum_bits > _SUM_BITS:
            raise HardwareError(f"{self.name}: multiply and add need {self.sum_bits} bits; at most {_SUM_BITS} fit")

    @property
    def count_bits(self) -> int:
        """Bits of a count."""
        return self.p_max.bit_length()

    @property
    def code_bits(self) -> int:
        """Bits of a code."""
        return self.bits

    @property
    def multiplier_bits(self) -> int:
        """Bits of a signed multiplier."""
        return signed_bits(int(self.multiplier.min()), int(self.multiplier.max()))

    @property
    def offset_bits(self) -> int:
        """Bits of a signed offset."""
        return signed_bits(int(self.offset.min()), int(self.offset.max()))

    @property
    def sum_bits(self) -> int:
        """Bits of a signed multiplier * P + offset, whatever P."""
        ends = [
            int(m) * p + int(b)
            for m, b in zip(self.multiplier, self.offset, strict=True)
            for p in (0, (1 << self.count_bits) - 1)
        ]
        return signed_bits(min(ends), max(ends))

    @cached_property
    def image(self) -> MemoryImage:
        """Word fold: for each row the multiplier, then the offset; rows of padding have zeros, whose code is 0."""
        pad = self.folds * self.pe - len(self.multiplier)
        parts = []
        for values, bits in ((self.multiplier, self.multiplier_bits), (self.offset, self.offset_bits)):
            padded = np.concatenate([values, np.zeros(pad, np.int64)]).reshape(self.folds, self.pe)
            parts.append(MemoryImage.of_fields("", padded, bits).bits.reshape(self.folds, self.pe, bits))
        words = np.concatenate(parts, axis=2).reshape(self.folds, -1)
        return MemoryImage(f"{self.name}_constants", words, (self.multiplier_bits, self.offset_bits, self.shift))

    def reference(self, counts: Integers) -> Codes:
        """Codes (B, N) of counts P (B, N)."""
        sums = (counts * self.multiplier + self.offset) >> self.shift
        return np.clip(sums, 0, (1 << self.bits) - 1).astype(np.uint8)


ActivationParams: TypeAlias = ThresholdParams | RequantizeParams
