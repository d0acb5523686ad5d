"""Frames of a elements a beat to frames of b elements a beat."""

from collections.abc import Sequence
from math import lcm

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from ..timing.frames import Cell, Collect, Cut, Register
from .buffer import StreamBuffer
from .stream import beat_signature, frame_beats, pack_frame, require_positive, unpack_frame

__all__ = ["FrameWidthConverter"]


class FrameWidthConverter(wiring.Component):
    """Frames of E elements, `lanes_in` elements a beat in, `lanes_out` elements a beat out.

    Whatever the pad elements of a frame's last beat in hold is dropped; those of its last beat out are 0. Sustains
    `bound` cycles a frame, back to back. `i.ready` may follow `o.ready` combinationally; no `valid` depends on a
    `ready`.

    Beats are cut where lanes_out divides lanes_in, gathered where lanes_in divides lanes_out, and otherwise gathered
    up to the least common multiple (no further than a frame) and cut from there.

    Latency: `latency` cycles from a frame's first beat in to its first beat out, nothing stalling: 0 where beats are
    cut, the number of beats gathered (lanes_out / lanes_in, at most a frame's) where they are gathered, the beats
    gathered and one more where both are done.

    Parameters
    ----------
    elements: elements a frame.
    bits: bits an element.
    lanes_in, lanes_out: elements a beat.

    Members
    -------
    i: In(stream), o: Out(stream).
    """

    def __init__(self, elements: int, bits: int, *, lanes_in: int, lanes_out: int) -> None:
        self._elements = require_positive("elements", elements)
        self._bits = require_positive("bits", bits)
        self._lanes_in = require_positive("lanes_in", lanes_in)
        self._lanes_out = require_positive("lanes_out", lanes_out)
        super().__init__({"i": In(beat_signature(lanes_in, bits)), "o": Out(beat_signature(lanes_out, bits))})

    @property
    def bound(self) -> int:
        """Cycles a frame in steady state."""
        return max(frame_beats(self._elements, self._lanes_in), frame_beats(self._elements, self._lanes_out))

    @property
    def latency(self) -> int:
        """Cycles from a frame's first beat in to its first beat out, nothing stalling."""
        if self._cuts:
            return 0
        gathered = frame_beats(min(self._group, self._elements), self._lanes_in)
        return gathered if self._gathers else gathered + 1

    def reference(self, beats: Sequence[int]) -> list[int]:
        """The beats out for one frame's beats in."""
        codes = unpack_frame(beats, self._elements, self._lanes_in, self._bits)
        return pack_frame(codes, self._lanes_out, self._bits)

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        group = self._lanes_in if self._cuts else self._group
        groups = frame_beats(self._elements, group)
        beats_in, beats_out = (frame_beats(self._elements, lanes) for lanes in (self._lanes_in, self._lanes_out))
        gather = Collect(beats_in, beats_in if groups == 1 else group // self._lanes_in)
        cut = Cut(beats_out, beats_out if groups == 1 else group // self._lanes_out)
        if self._cuts:
            return (cut,)
        return (gather,) if self._gathers else (gather, Register(), cut)

    @property
    def _cuts(self) -> bool:
        return self._lanes_in % self._lanes_out == 0 or self._lanes_in >= self._elements

    @property
    def _gathers(self) -> bool:
        return not self._cuts and (self._lanes_out % self._lanes_in == 0 or self._lanes_out >= self._elements)

    @property
    def _group(self) -> int:
        """Elements gathered into one beat."""
        return self._lanes_out if self._gathers else min(lcm(self._lanes_in, self._lanes_out), self._elements)

    def elaborate(self, platform: object) -> Module:
        """Cut, gather, or gather - buffer - cut."""
        m = Module()
        beats = (self._elements, self._bits)
        if self._cuts:
            m.submodules.cut = cut = _Cut(*beats, self._lanes_in, self._lanes_out)
            connect(m, flipped(self.i), cut.i)
            connect(m, cut.o, flipped(self.o))
        elif self._gathers:
            m.submodules.gather = gather = _Gather(*beats, self._lanes_in, self._lanes_out)
            connect(m, flipped(self.i), gather.i)
            connect(m, gather.o, flipped(self.o))
        else:
            # Two groups of slack between the two: where a frame's last group is short, one side pauses for the other
            # although neither is over its bound.
            m.submodules.gather = gather = _Gather(*beats, self._lanes_in, self._group)
            m.submodules.buffer = buffer = StreamBuffer(self._group * self._bits)
            m.submodules.cut = cut = _Cut(*beats, self._group, self._lanes_out)
            connect(m, flipped(self.i), gather.i)
            connect(m, gather.o, buffer.i)
            connect(m, buffer.o, cut.i)
            connect(m, cut.o, flipped(self.o))
        return m


class _Cut(wiring.Component):
    """Wide beats to narrow ones: lanes_out divides lanes_in, or a beat in is a whole frame. Combinational."""

    def __init__(self, elements: int, bits: int, lanes_in: int, lanes_out: int) -> None:
        self._elements, self._bits, self._lanes_in, self._lanes_out = elements, bits, lanes_in, lanes_out
        super().__init__({"i": In(beat_signature(lanes_in, bits)), "o": Out(beat_signature(lanes_out, bits))})

    def elaborate(self, platform: object) -> Module:
        """A slice counter, and a beat counter where the frame's last beat is special."""
        m = Module()
        beats_in = frame_beats(self._elements, self._lanes_in)
        beats_out = frame_beats(self._elements, self._lanes_out)
        width = self._lanes_out * self._bits
        slices = beats_out if beats_in == 1 else self._lanes_in // self._lanes_out
        pad = beats_out * self._lanes_out - self._elements
        taken = self.o.valid & self.o.ready
        m.d.comb += self.o.valid.eq(self.i.valid)

        # The last beat of a frame is special if it is cut short or has pad elements; a one-beat frame always is.
        last: Value | None = None
        if beats_in > 1 and (pad or beats_out % slices):
            position = Signal(range(beats_out))
            last = position == beats_out - 1
            with m.If(taken):
                m.d.sync += position.eq(Mux(last, 0, position + 1))

        source = self.i.payload[: self._elements * self._bits]
        if slices == 1:
            part: Value = source
            m.d.comb += self.i.ready.eq(self.o.ready)
        else:
            index = Signal(range(slices))
            final = index == slices - 1 if last is None else (index == slices - 1) | last
            m.d.comb += self.i.ready.eq(self.o.ready & final)
            with m.If(taken):
                m.d.sync += index.eq(Mux(final, 0, index + 1))
            whole = Signal(slices * width)
            m.d.comb += whole.eq(source)
            part = whole.word_select(index, width)
        if last is None or not pad:
            m.d.comb += self.o.payload.eq(part)
        else:
            m.d.comb += self.o.payload.eq(Mux(last, part[: width - pad * self._bits], part))
        return m


class _Gather(wiring.Component):
    """Narrow beats to wide ones: lanes_in divides lanes_out, or a beat out is a whole frame. One register."""

    def __init__(self, elements: int, bits: int, lanes_in: int, lanes_out: int) -> None:
        self._elements, self._bits, self._lanes_in, self._lanes_out = elements, bits, lanes_in, lanes_out
        super().__init__({"i": In(beat_signature(lanes_in, bits)), "o": Out(beat_signature(lanes_out, bits))})

    def elaborate(self, platform: object) -> Module:
        """A slot counter, and a beat counter where the frame's last beat is special."""
        m = Module()
        beats_in = frame_beats(self._elements, self._lanes_in)
        beats_out = frame_beats(self._elements, self._lanes_out)
        width = self._lanes_in * self._bits
        slots = beats_in if beats_out == 1 else self._lanes_out // self._lanes_in
        short = beats_in - (beats_out - 1) * slots  # slots that the frame's last group fills
        kept = width - (beats_in * self._lanes_in - self._elements) * self._bits  # bits of the last beat that count

        take = Signal()
        full = Signal()
        index = Signal(range(slots))
        m.d.comb += [
            self.i.ready.eq(~full | self.o.ready),
            take.eq(self.i.valid & self.i.ready),
            self.o.valid.eq(full),
        ]
        if beats_out == 1:
            last: Value = index == slots - 1
            final = last
        elif short == slots and kept == width:
            last = Const(0)
            final = index == slots - 1
        else:
            position = Signal(range(beats_in))
            last = position == beats_in - 1
            final = (index == slots - 1) | last
            with m.If(take):
                m.d.sync += position.eq(Mux(last, 0, position + 1))

        held = [Signal(width, name=f"slot_{k}", reset_less=k < short) for k in range(slots)]
        beat = self.i.payload if kept == width else Mux(last, self.i.payload[:kept], self.i.payload)
        with m.If(take):
            m.d.sync += [index.eq(Mux(final, 0, index + 1)), full.eq(final)]
            for k, slot in enumerate(held):
                with m.If(index == k):
                    m.d.sync += slot.eq(beat if k == short - 1 else self.i.payload)
                if k >= short:
                    with m.Elif(last):
                        m.d.sync += slot.eq(0)
        with m.Elif(self.o.ready):
            m.d.sync += full.eq(0)
        m.d.comb += self.o.payload.eq(Cat(held)[: self._lanes_out * self._bits])
        return m
