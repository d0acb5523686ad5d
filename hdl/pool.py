"""Maximum pooling of codes."""

from dataclasses import dataclass

import numpy as np
from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out, connect, flipped
from numpy.typing import NDArray

from ..compiler.geometry import Window
from .stream import beat_signature, pack_frame
from .window import SlidingWindow
from .window_model import WindowParams, least_depth

__all__ = ["MaxPool"]

Codes = NDArray[np.uint8]


class MaxPool(wiring.Component):
    """Channel by channel the largest code of each window, pixel by pixel.

    Windows that do not overlap take a running maximum for each output column, in a memory of one output row; what
    follows the last whole window is dropped. Overlapping ones go through a sliding-window unit, channel by channel.
    Sustains `bound` cycles a frame: the beats in, or, where windows overlap, the beats of all windows if they are more.

    `i.ready` may follow `o.ready` combinationally. Latency: 0 cycles from a window's last beat in to its beat out where
    windows do not overlap, 3 where they do.

    Parameters
    ----------
    window: the geometry, without padding.
    bits: of a code.
    lanes: codes a beat, a pixel being ceil(C / lanes) beats.
    depth: beats of the line buffer of windows that overlap; None for the least that sustains the bound.

    Members
    -------
    i: In(stream), o: Out(stream): pixels row by row, pad elements 0.
    """

    def __init__(self, window: Window, bits: int, *, lanes: int, depth: int | None = None) -> None:
        if window.padding != (0, 0) or window.dilation != (1, 1):
            raise ValueError(f"a pool takes windows without padding and dilation, not {window}")
        self._window = window
        self._params = WindowParams(window, bits, lanes, blocks=-(-window.input[2] // lanes))
        self._bits, self._lanes, self._depth = bits, lanes, depth
        signature = beat_signature(lanes, bits)
        super().__init__({"i": In(signature), "o": Out(signature)})

    @property
    def bound(self) -> int:
        """Cycles a frame in steady state."""
        return self._params.bound if self._window.overlaps else self._params.beats_in

    def reference(self, maps: Codes) -> list[int]:
        """The beats out for maps (B, H, W, C) of codes."""
        pooled = self._window.patches(maps).max(axis=(3, 4))
        pixels = pooled.reshape(-1, pooled.shape[-1]).tolist()
        return [beat for pixel in pixels for beat in pack_frame(pixel, self._lanes, self._bits)]

    def elaborate(self, platform: object) -> Module:
        """One of two ways."""
        return self._fold_windows() if self._window.overlaps else self._fold_pixels()

    def _largest(self, a: Value, b: Value) -> Value:
        """Lane by lane the larger code."""
        if self._bits == 1:
            return a | b
        pairs = ((a.word_select(lane, self._bits), b.word_select(lane, self._bits)) for lane in range(self._lanes))
        return Cat(Mux(x > y, x, y) for x, y in pairs)

    def _fold_windows(self) -> Module:
        """A register takes the maximum over the beats of a window."""
        m = Module()
        p = self._params
        m.submodules.window = unit = SlidingWindow(p, depth=self._depth or least_depth(p))
        connect(m, flipped(self.i), unit.i)
        taps = self._window.kernel[0] * self._window.kernel[1]
        tap = Signal(range(taps))
        final = tap == taps - 1
        largest = Signal(len(self.i.payload), reset_less=True)
        m.d.comb += [
            self.o.payload.eq(largest),
            unit.o.ready.eq(~self.o.valid | self.o.ready),
        ]
        with m.If(unit.o.ready):
            m.d.sync += self.o.valid.eq(unit.o.valid & final)
        with m.If(unit.o.valid & unit.o.ready):
            m.d.sync += [
                tap.eq(Mux(final, 0, tap + 1)),
                largest.eq(Mux(tap == 0, unit.o.payload, self._largest(largest, unit.o.payload))),
            ]
        return m

    def _fold_pixels(self) -> Module:
        """A word of memory for each beat of an output row takes the maximum over the beats in."""
        m = Module()
        beats, columns = self._params.pixel_beats, self._window.output[1]
        take = Signal()
        beat = Signal(range(beats))
        beat_ends = beat == beats - 1
        with m.If(take):
            m.d.sync += beat.eq(Mux(beat_ends, 0, beat + 1))
        column = _walk(m, self._window, 1, take & beat_ends)
        row = _walk(m, self._window, 0, take & beat_ends & column.ends)
        first, last, inside = column.first & row.first, column.last & row.last, column.inside & row.inside

        m.submodules.row = memory = Memory(shape=len(self.i.payload), depth=columns * beats, init=())
        write, read = memory.write_port(), memory.read_port(domain="comb")
        largest = Signal.like(self.i.payload)
        place = Signal(range(columns * beats))
        m.d.comb += [
            place.eq(column.index * beats + beat),
            read.addr.eq(place),
            write.addr.eq(place),
            largest.eq(Mux(first, self.i.payload, self._largest(read.data, self.i.payload))),
            write.data.eq(largest),
            write.en.eq(take & inside),
            self.o.payload.eq(largest),
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
