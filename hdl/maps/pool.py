"""Pools: channel by channel the largest or the sum of a window."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped
from numpy.typing import NDArray

from ...compiler.geometry import Window
from ...compiler.schedule.parts import PoolOperation
from ..streams.stream import beat_signature, frame_beats, pack_frame, require_positive
from ..timing.frames import Cell, Collect, Lines, Pass
from .window import SlidingWindow
from .window_model import WindowParams, least_depth

__all__ = ["Pool", "PoolParams"]

Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class PoolParams:
    """A pool of unsigned numbers: codes, or an engine's counts.

    window: the geometry, without padding and dilation. largest: the largest number that comes in. lanes: numbers a
    beat, a pixel being ceil(C / lanes) beats. least: the channels, numbered as in a pixel, of which MAX takes the least
    number instead. That is how a pool of accumulators works on codes: the codes of a descending neuron fall as its
    accumulators rise, so that the code of the largest accumulator is the least code.
    """

    window: Window
    largest: int
    lanes: int
    operation: PoolOperation = PoolOperation.MAX
    least: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        if any(self.window.border) or self.window.dilation != (1, 1):
            raise ValueError(f"a pool takes windows without padding and dilation, not {self.window}")
        require_positive("largest", self.largest)
        require_positive("lanes", self.lanes)
        if self.least and (self.operation is not PoolOperation.MAX or not self.least <= set(range(self.channels))):
            raise ValueError(f"least must be channels 0..{self.channels - 1} of a maximum, not {sorted(self.least)}")

    @property
    def channels(self) -> int:
        """C."""
        return self.window.input[2]

    @property
    def taps(self) -> int:
        """Pixels of a window."""
        return self.window.kernel[0] * self.window.kernel[1]

    @property
    def bits(self) -> int:
        """Bits of a number that comes in."""
        return self.largest.bit_length()

    @property
    def output_largest(self) -> int:
        """The largest number that goes out."""
        return self.largest * self.taps if self.operation is PoolOperation.SUM else self.largest

    @property
    def output_bits(self) -> int:
        """Bits of a number that goes out."""
        return self.output_largest.bit_length()

    @property
    def pixel_beats(self) -> int:
        """Beats of a pixel."""
        return frame_beats(self.channels, self.lanes)

    @cached_property
    def sliding(self) -> WindowParams:
        """The sliding-window unit of windows that overlap: a window's beats come channel by channel."""
        return WindowParams(self.window, self.bits, self.lanes, blocks=self.pixel_beats)

    @property
    def bound(self) -> int:
        """Cycles a frame in steady state."""
        return self.sliding.bound if self.window.overlaps else self.sliding.beats_in

    def reference(self, maps: Numbers) -> list[int]:
        """The beats out for maps (B, H, W, C) of numbers."""
        patches = self.window.patches(maps)
        if self.operation is PoolOperation.SUM:
            pooled = patches.sum(axis=(3, 4), dtype=np.int64)
        else:
            least = np.isin(np.arange(self.channels), sorted(self.least))
            pooled = np.where(least, patches.min(axis=(3, 4)), patches.max(axis=(3, 4)))
        pixels = pooled.reshape(-1, self.channels).tolist()
        return [beat for pixel in pixels for beat in pack_frame(pixel, self.lanes, self.output_bits)]


class Pool(wiring.Component):
    """Channel by channel the largest number or the sum of each window, pixel by pixel.

    Windows that do not overlap take a running result for each output column, in a memory of one output row; what
    follows the last whole window is dropped. Overlapping ones go through a sliding-window unit, channel by channel.
    Sustains `params.bound` cycles a frame: the beats in, or, where windows overlap, the beats of all windows if they
    are more.

    `i.ready` may follow `o.ready` combinationally. Latency: 0 cycles from a window's last beat in to its beat out where
    windows do not overlap, 3 where they do.

    Parameters
    ----------
    params: geometry, numbers and operation.
    depth: beats of the line buffer of windows that overlap; None for the least that sustains the bound.

    Members
    -------
    i: In(stream), o: Out(stream): pixels row by row, pad elements 0.
    level: Out(range(depth + 1)), beats that the line buffer holds, where there is one.
    """

    def __init__(self, params: PoolParams, *, depth: int | None = None) -> None:
        self._params = params
        self._depth = (depth or least_depth(params.sliding)) if params.window.overlaps else 0
        level = {"level": Out(range(self._depth + 1))} if self._depth else {}
        super().__init__(
            {
                "i": In(beat_signature(params.lanes, params.bits)),
                "o": Out(beat_signature(params.lanes, params.output_bits)),
                **level,
            }
        )

    @property
    def params(self) -> PoolParams:
        """Geometry, numbers and operation."""
        return self._params

    @property
    def depth(self) -> int:
        """Beats of the line buffer, 0 where windows do not overlap."""
        return self._depth

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        p = self._params
        if p.window.overlaps:
            return Lines(p.sliding, self._depth), Collect(p.taps, p.taps)
        passes = np.zeros((p.window.input[0] * p.window.input[1], p.pixel_beats), dtype=np.int64)
        passes[p.window.pixels().max(axis=1)] = 1  # a window's last pixel
        return (Pass(passes.ravel()),)

    def elaborate(self, platform: object) -> Module:
        """One of two ways."""
        return self._fold_windows() if self._params.window.overlaps else self._fold_pixels()

    def _widened(self, numbers: Value) -> Value:
        """A beat in, each number as wide as one that goes out."""
        p = self._params
        if p.bits == p.output_bits:
            return numbers
        zeros = Const(0, p.output_bits - p.bits)
        return Cat(Cat(numbers.word_select(lane, p.bits), zeros) for lane in range(p.lanes))

    def _combined(self, a: Value, b: Value, beat: Value) -> Value:
        """Lane by lane the sum, or the larger or the smaller number; `beat`: which one of a pixel's."""
        p = self._params
        bits = p.output_bits
        pairs = [(a.word_select(lane, bits), b.word_select(lane, bits)) for lane in range(p.lanes)]
        if p.operation is PoolOperation.SUM:
            return Cat((x + y)[:bits] for x, y in pairs)
        least = self._least(beat)
        if p.bits == 1:
            return Cat(Mux(falls, x & y, x | y) for (x, y), falls in zip(pairs, least, strict=True))
        return Cat(Mux((x > y) ^ falls, x, y) for (x, y), falls in zip(pairs, least, strict=True))

    def _least(self, beat: Value) -> Value:
        """For each lane whether the least number is taken in that beat of a pixel."""
        p = self._params
        table = sum(1 << channel for channel in p.least)
        return Const(table, p.pixel_beats * p.lanes).word_select(beat, p.lanes)

    def _fold_windows(self) -> Module:
        """A register takes in the beats of a window."""
        m = Module()
        p = self._params
        m.submodules.window = unit = SlidingWindow(p.sliding, depth=self._depth)
        connect(m, flipped(self.i), unit.i)
        m.d.comb += self.level.eq(unit.level)
        tap, beat = Signal(range(p.taps)), Signal(range(p.pixel_beats))
        final = tap == p.taps - 1
        held = Signal(len(self.o.payload), reset_less=True)
        number = self._widened(unit.o.payload)
        m.d.comb += [
            self.o.payload.eq(held),
            unit.o.ready.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(unit.o.ready):
            m.d.sync += self.o.valid.eq(unit.o.valid & final)
        with m.If(unit.o.valid & unit.o.ready):
            m.d.sync += [
                tap.eq(Mux(final, 0, tap + 1)),
                held.eq(Mux(tap == 0, number, self._combined(held, number, beat))),
            ]
            with m.If(final):
                m.d.sync += beat.eq(Mux(beat == p.pixel_beats - 1, 0, beat + 1))
        return m

    def _fold_pixels(self) -> Module:
        """A word of memory for each beat of an output row takes in the beats."""
        m = Module()
        p = self._params
        beats, columns = p.pixel_beats, p.window.output[1]
        take = Signal()
        beat = Signal(range(beats))
        beat_ends = beat == beats - 1
        with m.If(take):
            m.d.sync += beat.eq(Mux(beat_ends, 0, beat + 1))
        column = _walk(m, p.window, 1, take & beat_ends)
        row = _walk(m, p.window, 0, take & beat_ends & column.ends)
        first, last, inside = column.first & row.first, column.last & row.last, column.inside & row.inside

        m.submodules.row = memory = Memory(shape=len(self.o.payload), depth=columns * beats, init=())
        write, read = memory.write_port(), memory.read_port(domain="comb")
        number = self._widened(self.i.payload)
        result = Signal.like(self.o.payload)
        place = Signal(range(columns * beats))
        m.d.comb += [
            place.eq(column.index * beats + beat),
            read.addr.eq(place),
            write.addr.eq(place),
            result.eq(Mux(first, number, self._combined(read.data, number, beat))),
            write.data.eq(result),
            write.en.eq(take & inside),
            self.o.payload.eq(result),
            self.o.valid.eq(self.i.valid & inside & last),
            self.i.ready.eq(self.o.ready | ~(inside & last)),
            take.eq(self.i.valid & self.i.ready),
        ]
        return m


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a pixel stands along one axis: which window; whether it is the window's first or last one, or between two
    windows; whether it is the map's last one."""

    index: Value
    first: Value
    last: Value
    inside: Value
    ends: Value


def _walk(m: Module, window: Window, axis: int, move: Value) -> _Place:
    """Counters along one axis of windows that do not overlap; `move` goes on to the next pixel."""
    size, kernel, count = window.input[axis], window.kernel[axis], window.output[axis]
    stride = max(kernel, window.stride[axis])  # a single window may be larger than the stride
    pixel, phase, index = (
        Signal(range(extent), name=f"{name}_{axis}")
        for name, extent in (("pixel", size), ("phase", stride), ("window", -(-size // stride)))
    )
    ends, turns = pixel == size - 1, phase == stride - 1
    with m.If(move):
        m.d.sync += [
            pixel.eq(Mux(ends, 0, pixel + 1)),
            phase.eq(Mux(ends | turns, 0, phase + 1)),
            index.eq(Mux(ends, 0, index + turns)),
        ]
    return _Place(index, phase == 0, phase == kernel - 1, (phase < kernel) & (index < count), ends)
