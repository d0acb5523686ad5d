"""Parameters of the engine and of the score unit: one frozen object each, shared by hardware and Python reference.

All numbers are in the popcount domain (docs/architecture.md). `hdl.constants` makes them from an integer network.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from ...compiler.folds.folding import LayerFold, Popcount
from ...compiler.planes import DotForm
from ...compiler.types import CodeType, Encoding, Weights, code_values
from ...errors import HardwareError
from ..activations.params import ActivationParams, RequantizeParams, ThresholdParams, signed_bits
from .rom import MAX_WIDTH, MemoryImage

__all__ = ["EngineParams", "ScoreParams"]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]

# Beyond this the carry chain of an accumulator misses every clock a board offers; no network comes near.
MAX_COUNT_BITS = 32
MAX_SCORE_BITS = 64
# Of a score unit whose constants can be rewritten, at least: room for the scores of other networks.
WRITABLE_MULTIPLIER_BITS, WRITABLE_OFFSET_BITS = 18, 32


@dataclass(frozen=True, eq=False)
class EngineParams:
    """A matrix-vector engine: PE rows x SIMD columns a cycle, then thresholds, or the counts themselves.

    weights: codes, uint8 (N, K), of weight_bits bits; those of descending neurons negated where the encoding has the
    negatives. Activations and weights become counts as their encodings tell (`compiler/planes.py`).
    thresholds: int64 (N, T), nondecreasing rows in 0..p_max + 1; None: the engine yields the counts P.
    descending: bool (N,), the rows whose code is T less the number of thresholds reached; None where no row's is.
    requantize: what turns counts into codes where there are no thresholds; None: nothing does.
    popcount_stages: registers from the weights to a row's count, the last of them behind the popcount; from two on the
    first stands right behind the memory, where block RAMs have one of their own, and from five on the second one is for
    the way from there to the popcounts. They cost latency, not throughput.
    segments: pieces of a vector, of equal length, that start on a beat of their own: the pixels of a window.
    groups: parts of equal size of the rows, each reading its own part of every segment; K is of one group. The engine
    works on `groups_at_once` of them at a time, in `blocks` passes a vector (`compiler.folding.LayerFold`).
    """

    name: str
    weights: Codes
    activation_bits: int
    thresholds: Integers | None
    fold: LayerFold
    popcount: Popcount = Popcount.ADDERS
    popcount_stages: int = 1
    segments: int = 1
    weight_bits: int = 1
    weight_encoding: Encoding = Encoding.BIPOLAR
    activation_encoding: Encoding = Encoding.UNSIGNED
    descending: NDArray[np.bool_] | None = None
    requantize: RequantizeParams | None = None
    groups: int = 1

    def __post_init__(self) -> None:
        word = self.fold.pe * self.fold.simd * self.form.word_bits
        if word > MAX_WIDTH:
            raise HardwareError(
                f"{self.name}: PE {self.fold.pe} x SIMD {self.fold.simd} takes weights of {word} bits a cycle; "
                f"at most {MAX_WIDTH} fit in a memory word"
            )
        if self.count_bits > MAX_COUNT_BITS:
            raise HardwareError(
                f"{self.name}: {self.columns} inputs of {self.activation_bits} bits and weights of {self.weight_bits} "
                f"need an accumulator of {self.count_bits} bits; at most {MAX_COUNT_BITS} fit"
            )
        channels = self.columns // self.segments * self.groups
        problem = self.fold.planes_problem(self.form) or self.fold.groups_problem(self.rows, channels, self.groups)
        if problem is not None:
            raise HardwareError(f"{self.name}: {problem}")

    @property
    def rows(self) -> int:
        """N."""
        return int(self.weights.shape[0])

    @property
    def columns(self) -> int:
        """K."""
        return int(self.weights.shape[1])

    @property
    def groups_at_once(self) -> int:
        """Groups in a beat."""
        return self.fold.groups_at_once(self.rows, self.groups)

    @property
    def blocks(self) -> int:
        """Parts of a vector that are worked on one after the other, each by its own rows."""
        return self.fold.blocks(self.rows, self.groups)

    @property
    def lanes(self) -> int:
        """Activations a beat."""
        return self.fold.lanes(self.rows, self.groups)

    @property
    def neuron_folds(self) -> int:
        """NF: beats out a vector."""
        return self.fold.neuron_folds(self.rows)

    @property
    def block_folds(self) -> int:
        """Folds that read a block: NF where there is one."""
        return self.neuron_folds // self.blocks

    @property
    def synapse_folds(self) -> int:
        """SF: beats in a block."""
        return self.fold.synapse_folds(self.columns, self.segments)

    @cached_property
    def form(self) -> DotForm:
        """How codes become counts."""
        source = CodeType((self.columns,), self.activation_bits, self.activation_encoding)
        return self.fold.form(Weights(self.weights, self.weight_bits, self.weight_encoding), source)

    @property
    def planes_at_once(self) -> int:
        """Activation planes that a cycle works on."""
        return self.form.activation_planes // self.fold.planes_in_time

    @property
    def word_stages(self) -> int:
        """Of the popcount's stages, those between the weight memory and the first gates."""
        return (self.popcount_stages > 1) + (self.popcount_stages > 4)

    @property
    def fold_cycles(self) -> int:
        """Cycles a fold: every beat, for each group of planes."""
        return self.synapse_folds * self.fold.planes_in_time

    @property
    def passes(self) -> int:
        """How often a block's beats are gone through; where it is more than once they lie in a buffer."""
        return self.block_folds * self.fold.planes_in_time

    @property
    def cycles(self) -> int:
        """Cycles a vector occupies the engine."""
        return self.neuron_folds * self.fold_cycles

    @property
    def activation_max(self) -> int:
        """The largest activation code."""
        return len(self.form.level_table) - 1

    @property
    def step_max(self) -> int:
        """The largest count of a row in a cycle."""
        if self.fold.planes_in_time == 1:
            return self.fold.simd * self.form.column_max
        planes = sum(1 << plane.power for plane in self.form.planes)
        return self.fold.simd * planes * ((1 << self.planes_at_once) - 1)

    @property
    def p_max(self) -> int:
        """The largest count."""
        return self.form.p_max(self.columns)

    @property
    def count_bits(self) -> int:
        """Bits of a count."""
        return self.p_max.bit_length()

    @property
    def output_bits(self) -> int:
        """Bits of an element of the output stream: a code, or a count where nothing makes a code of it."""
        if self.requantize is not None:
            return self.requantize.code_bits
        return self.count_bits if self.thresholds is None else int(self.thresholds.shape[1]).bit_length()

    @property
    def unit(self) -> ActivationParams | None:
        """What finds the codes behind the accumulators; None where counts go out or a single threshold is preloaded."""
        if self.requantize is not None:
            return self.requantize
        return None if self.thresholds is None or self.single_threshold else self.threshold_unit

    @property
    def single_threshold(self) -> bool:
        """Whether one threshold a row is preloaded into the accumulator, so that no comparator is built."""
        return self.thresholds is not None and self.thresholds.shape[1] == 1

    @cached_property
    def weight_image(self) -> MemoryImage:
        """Word fold * SF + beat: PE x SIMD words of weights (`DotForm`), row 0's column 0 in the lowest bits.

        Padding columns have a word that counts nothing on a level of 0. Padding rows repeat that.
        """
        nf, sf, pe, simd = self.neuron_folds, self.synapse_folds, self.fold.pe, self.fold.simd
        padded = np.full((nf * pe, self.segments, sf // self.segments * simd), self.form.padding, dtype=np.uint8)
        weights = self.form.words(self.weights)
        padded[: self.rows, :, : self.columns // self.segments] = weights.reshape(self.rows, self.segments, -1)
        words = padded.reshape(nf, pe, sf, simd).transpose(0, 2, 1, 3)
        bits = np.unpackbits(words.reshape(nf * sf, -1, 1), axis=2, count=self.form.word_bits, bitorder="little")
        return MemoryImage(f"{self.name}_weights", bits.reshape(nf * sf, -1))

    @property
    def weight_steps(self) -> Integers:
        """The word of `weight_image` for each step of a vector, int64 (cycles,): fold by fold, each once for every
        group of planes in time."""
        words = np.arange(self.neuron_folds * self.synapse_folds).reshape(self.neuron_folds, 1, self.synapse_folds)
        return np.tile(words, (1, self.fold.planes_in_time, 1)).ravel()

    @property
    def preload_bits(self) -> int:
        """Bits of the accumulator that starts from a preload: its top bit says whether P reached the threshold."""
        return (self.p_max).bit_length() + 1

    @cached_property
    def preload_image(self) -> MemoryImage:
        """Word fold: PE start values 2^(preload_bits - 1) - threshold, with the `start` of the form, which is in P; the
        top bit of 2^(preload_bits - 1) - threshold + P is P >= threshold.

        Padding rows have the threshold p_max + 1, which no count reaches.
        """
        assert self.thresholds is not None  # single_threshold
        padded = np.full(self.neuron_folds * self.fold.pe, self.p_max + 1, dtype=np.int64)
        padded[: self.rows] = self.thresholds[:, 0]
        start = (1 << (self.preload_bits - 1)) + self.form.start - padded
        return MemoryImage.of_fields(f"{self.name}_thresholds", start.reshape(-1, self.fold.pe), self.preload_bits)

    @cached_property
    def threshold_unit(self) -> ThresholdParams:
        """Parameters of the unit that compares several thresholds: as few comparators as keep up with a fold."""
        assert self.thresholds is not None
        return ThresholdParams(
            name=self.name,
            values=self.thresholds,
            p_max=self.p_max,
            pe=self.fold.pe,
            folds=self.neuron_folds,
            interval=self.fold_cycles,
            descending=self.descending,
        )

    def counts(self, codes: Codes) -> Integers:
        """P (B, N) of activation codes (B, K), or, segment by segment the channels of all groups, (B, groups * K)."""
        values = code_values(self.weight_bits, self.weight_encoding)[self.weights]
        idle = self.form.idle(self.weights)
        segments = self.form.level_table[codes].reshape(len(codes), self.segments, self.groups, -1)
        levels = segments.transpose(2, 0, 1, 3).reshape(self.groups, len(codes), self.columns)
        counts = levels @ values.reshape(self.groups, -1, self.columns).transpose(0, 2, 1)
        return counts.transpose(1, 0, 2).reshape(len(codes), self.rows) + idle

    def reference(self, codes: Codes) -> Codes | Integers:
        """What the engine yields for activation codes as `counts` takes them: codes or counts (B, N)."""
        counts = self.counts(codes)
        if self.requantize is not None:
            return self.requantize.reference(counts)
        return counts if self.thresholds is None else self.threshold_unit.reference(counts)


@dataclass(frozen=True, eq=False)
class ScoreParams:
    """Class scores: score[c] = (multiplier[c] * P[c] << shift) + offset[c]; the class is the first largest.

    writable: whether the constants can be rewritten; there is then room for larger ones, and no shift.
    The common power of two of all multipliers is a shift, so that networks whose scores are counts need no multiplier.
    """

    name: str
    multiplier: Integers
    shift: int
    offset: Integers
    p_max: int
    lanes: int
    writable: bool = False

    def __post_init__(self) -> None:
        if self.lanes < 1:
            raise HardwareError(f"{self.name}: score lanes must be a positive integer, not {self.lanes}")
        if self.score_bits > MAX_SCORE_BITS:
            raise HardwareError(f"{self.name}: scores need {self.score_bits} bits; at most {MAX_SCORE_BITS} fit")

    @property
    def classes(self) -> int:
        """C."""
        return int(self.multiplier.shape[0])

    @property
    def beats(self) -> int:
        """Beats in a frame, cycles a frame."""
        return -(-self.classes // self.lanes)

    @property
    def count_bits(self) -> int:
        """Bits of a count."""
        return self.p_max.bit_length()

    @property
    def multiplies(self) -> bool:
        """Whether a multiplier is built."""
        return self.writable or bool(np.any(self.multiplier != 1))

    @property
    def multiplier_bits(self) -> int:
        """Bits of a signed multiplier."""
        least = WRITABLE_MULTIPLIER_BITS if self.writable else 1
        return max(least, signed_bits(int(self.multiplier.min()), int(self.multiplier.max())))

    @property
    def bounds(self) -> tuple[int, int]:
        """The least and the largest score of any class, both reachable."""
        ends = [
            (int(m) * p << self.shift) + int(b)
            for m, b in zip(self.multiplier, self.offset, strict=True)
            for p in (0, self.p_max)
        ]
        return min(ends), max(ends)

    @property
    def score_bits(self) -> int:
        """Bits of a signed score."""
        if self.writable:
            products, offsets = self.p_max << self.multiplier_bits - 1, 1 << WRITABLE_OFFSET_BITS - 1
            return max(signed_bits(-products - offsets, products + offsets), signed_bits(*self.bounds))
        return signed_bits(*self.bounds)

    @property
    def class_bits(self) -> int:
        """Bits of a class index."""
        return max(1, (self.classes - 1).bit_length())

    @cached_property
    def image(self) -> MemoryImage:
        """Word beat: for each lane the offset, then (where one is built) the multiplier.

        Lanes beyond the last class get the least score, which never beats an earlier class.
        """
        pad = self.beats * self.lanes - self.classes
        least = -1 << self.score_bits - 1 if self.writable else self.bounds[0]
        offset = np.concatenate([self.offset, np.full(pad, least)]).reshape(self.beats, self.lanes)
        parts = [MemoryImage.of_fields("", offset, self.score_bits).bits.reshape(self.beats, self.lanes, -1)]
        if self.multiplies:
            multiplier = np.concatenate([self.multiplier, np.zeros(pad, np.int64)]).reshape(self.beats, self.lanes)
            factors = MemoryImage.of_fields("", multiplier, self.multiplier_bits)
            parts.append(factors.bits.reshape(self.beats, self.lanes, -1))
        bits = np.concatenate(parts, axis=2).reshape(self.beats, -1)
        return MemoryImage(self.name, bits, (self.score_bits, self.multiplier_bits, self.shift))

    def reference(self, counts: Integers) -> tuple[Integers, Integers]:
        """Classes (B,) and scores (B, C) of counts P (B, C)."""
        scores = (self.multiplier * counts << self.shift) + self.offset
        return np.argmax(scores, axis=1), scores
