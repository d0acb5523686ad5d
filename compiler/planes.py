"""How a dot product becomes popcounts, whatever the encodings: bit planes of weights and of activations.

*Activations.* Each encoding is affine in a binary number x >= 0, the *level* of a code: value = scale * x + offset. The
offset times the sum of a neuron's weights is a constant of the neuron. The level is the code itself, but for powers of
two: LOG_UNSIGNED has one bit for each power (one-hot), LOG the value above the least one. Such a decoder is shared by
all neurons. Bit j of the level is activation plane j.

*Weights.* A weight is a sum of *planes*, bits with a gate and a power of two. Counting the gate's outputs over the
activation planes, each worth 2^(power + j), yields a weight of

    XNOR  2b - 1   of b = 0: -x, counted as x_full - x    (x_full: all activation planes set)
    AND   b
    ANDN  -b       of b = 1: -x, counted as x_full - x

times the level x, plus x_full for each negative bit: a constant of the neuron too. So the sum of the activations, which
an offset of the weights would need, is never formed:

- BIPOLAR: XNOR planes of the code's bits.
- UNSIGNED: AND planes of the code's bits.
- SIGNED: q - 2^(n-1) = sum_{i >= 1} 2^(i-1) (2 q_i - 1) - (1 - q_0): XNOR planes of half the bipolar power, and an ANDN
  plane. As many bits as the code has, and a power of two less to add up than two's complement with a negative top
  plane would have.
- TERNARY: an AND and an ANDN plane of one power; as many LUTs as two XNOR planes, and counts half as large.
- LOG: an XNOR plane for the sign; LOG_UNSIGNED: an AND plane for "not 0". The other bits say by how far the level is
  shifted to the left, which makes activation planes of shifted bits. With n-bit exponents that is one bit to count for
  each power that a product can have, where decoded weight planes would take as many *for each activation plane*; so
  there is one dot-product core, not two. Where activations are powers of two as well their level is shifted all the
  same: the exponents add up.

BNN's first layer (1602.02830, section 1.6), s = sum_{n=1..8} 2^(n-1) (x^n . w) for bytes x and weights of -1 and +1, is
UNSIGNED activations of 8 bits with BIPOLAR weights of one: an XNOR plane, and idle counts taken off.

A level of 0 with the `padding` word counts nothing. This module imports NumPy alone.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .types import Codes, CodeType, Encoding, Integers, Weights, code_values

__all__ = ["DotForm", "Gate", "WeightPlane"]


class Gate(StrEnum):
    """What meets a weight bit b and an activation bit: XNOR, b AND a, b AND NOT a."""

    XNOR = "xnor"
    AND = "and"
    ANDN = "andn"

    @property
    def idle(self) -> int:
        """The weight bit that yields 0 on an activation bit of 0."""
        return int(self is Gate.XNOR)


@dataclass(frozen=True, slots=True)
class WeightPlane:
    """One bit of every weight: how it meets an activation bit, and the power of two that an output of 1 is worth."""

    gate: Gate
    power: int


@dataclass(frozen=True)
class DotForm:
    """A dot product of codes of two types, in popcounts.

    A weight is stored as a *word*: bit i belongs to plane i, the bits above all planes are the shift of the level.
    """

    weight_bits: int
    weights: Encoding
    activation_bits: int
    activations: Encoding

    @classmethod
    def of(cls, weights: Weights, source: CodeType) -> "DotForm":
        """The form of a matrix of weights and the codes that it reads."""
        return cls(weights.bits, weights.encoding, source.bits, source.encoding)

    @cached_property
    def planes(self) -> tuple[WeightPlane, ...]:
        """The planes of a weight, bit 0 of its word first."""
        bits = range(self.weight_bits)
        match self.weights:
            case Encoding.BIPOLAR:
                return tuple(WeightPlane(Gate.XNOR, i) for i in bits)
            case Encoding.UNSIGNED:
                return tuple(WeightPlane(Gate.AND, i) for i in bits)
            case Encoding.SIGNED:
                return (WeightPlane(Gate.ANDN, 0), *(WeightPlane(Gate.XNOR, i - 1) for i in bits[1:]))
            case Encoding.TERNARY:
                return WeightPlane(Gate.AND, 0), WeightPlane(Gate.ANDN, 0)
            case Encoding.LOG:
                return (WeightPlane(Gate.XNOR, 0),)
            case Encoding.LOG_UNSIGNED:
                return (WeightPlane(Gate.AND, 0),)

    @cached_property
    def word_table(self) -> Codes:
        """The word of each weight code, uint8."""
        codes = np.arange(len(code_values(self.weight_bits, self.weights)))
        half = 1 << self.weight_bits >> 1
        match self.weights:
            case Encoding.BIPOLAR | Encoding.UNSIGNED:
                words = codes
            case Encoding.SIGNED:
                words = codes ^ 1
            case Encoding.TERNARY:
                words = (codes == 2) | (codes == 0) << 1
            case Encoding.LOG:
                words = (codes >= half) | np.where(codes >= half, codes - half, half - 1 - codes) << 1
            case Encoding.LOG_UNSIGNED:
                words = (codes > 0) | np.maximum(codes - 1, 0) << 1
        return words.astype(np.uint8)

    @property
    def word_bits(self) -> int:
        """Bits of a stored weight."""
        return len(self.planes) + self.shift_bits

    @cached_property
    def shift_bits(self) -> int:
        """Bits of a weight's shift, 0 where weights are no powers of two."""
        return int(int(self.word_table.max()) >> len(self.planes)).bit_length()

    @property
    def padding(self) -> int:
        """The word that counts nothing on a level of 0."""
        return sum(plane.gate.idle << i for i, plane in enumerate(self.planes))

    @cached_property
    def level_table(self) -> Integers:
        """The level of each activation code, int64, rising from 0."""
        values = code_values(self.activation_bits, self.activations)
        levels: Integers = (values - values[0]) // self.scale
        return levels

    @property
    def scale(self) -> int:
        """What a level of 1 is worth."""
        return 2 if self.activations is Encoding.BIPOLAR else 1

    @property
    def offset(self) -> int:
        """The integer that a level of 0 stands for."""
        return int(code_values(self.activation_bits, self.activations)[0])

    @property
    def decodes(self) -> bool:
        """Whether a level is another number than its code."""
        return self.activations in (Encoding.LOG, Encoding.LOG_UNSIGNED)

    @cached_property
    def level_bits(self) -> int:
        """Bits of a level."""
        return int(self.level_table[-1]).bit_length()

    @cached_property
    def activation_planes(self) -> int:
        """Bits of a level, shifted where weights shift."""
        return self.level_bits + (int(self.word_table.max()) >> len(self.planes))

    @property
    def powers(self) -> int:
        """Powers of two that pairs of planes have, from 0 on."""
        return max(plane.power for plane in self.planes) + self.activation_planes

    @property
    def pairs(self) -> int:
        """Bits counted for one weight and one activation."""
        return len(self.planes) * self.activation_planes

    @property
    def column_max(self) -> int:
        """The largest count of one column."""
        values = code_values(self.weight_bits, self.weights)
        reach = self._idle_counts[self.word_table] + np.maximum(values, 0) * self.level_table[-1]
        return int(reach.max())

    @property
    def negates(self) -> bool:
        """Whether the negative of every weight is a weight."""
        return self.weights in (Encoding.BIPOLAR, Encoding.TERNARY, Encoding.LOG)

    def words(self, codes: NDArray[np.integer]) -> Codes:
        """Words of weight codes, of any shape."""
        words: Codes = self.word_table[codes]
        return words

    def negated(self, codes: NDArray[np.integer]) -> Codes:
        """Codes of the negative weights, of any shape, where `negates`."""
        return (len(self.word_table) - 1 - codes).astype(np.uint8)

    def idle_counts(self, words: NDArray[np.integer]) -> Integers:
        """What words (any shape) count on a level of 0: x_full for each negative bit."""
        counts: Integers = self._idle_counts[words]
        return counts

    @property
    def start(self) -> int:
        """Where the accumulator of a row without a preload begins."""
        return 0

    def idle(self, codes: Codes) -> Integers:
        """P of each row (N,) of weight codes (N, K) on levels of 0."""
        counts: Integers = self.idle_counts(self.words(codes)).sum(axis=1)
        return counts

    def p_max(self, columns: int) -> int:
        """The largest P of a row of that many columns."""
        return columns * self.column_max

    def adds_powers(self, planes_at_once: int) -> bool:
        """Whether pairs of planes have several powers of two, whose counts are added up, where so many activation
        planes are worked on in a cycle."""
        return self.powers - self.activation_planes + planes_at_once > 1

    @cached_property
    def _idle_counts(self) -> Integers:
        words = np.arange(1 << self.word_bits)
        full = (1 << self.activation_planes) - 1
        counts = np.zeros(len(words), dtype=np.int64)
        for i, plane in enumerate(self.planes):
            if plane.gate is not Gate.AND:
                counts += ((words >> i & 1) != plane.gate.idle) * (full << plane.power)
        return counts
