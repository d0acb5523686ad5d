"""The sliding-window unit: a map's pixels in, the pixels of each window out."""

import numpy as np
from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...errors import HardwareError
from ..streams.stream import beat_signature, pack_frame, require_positive
from ..timing.frames import Cell, Lines
from .window_model import WindowParams

__all__ = ["SlidingWindow"]

_KX, _KY, _BLOCK, _COLUMN, _ROW = 1, 2, 3, 4, 5  # of the loops over a frame's reads


class SlidingWindow(wiring.Component):
    """For every window, row by row, the beats of its pixels in the order (ky, kx): the vectors of a convolution. With
    several blocks a pixel so for one block after the other.

    One line buffer, circular, with a write and a read a cycle. Beats are written as they come while there is room;
    a window that is over makes room for what no later one reads; the next frame moves up behind the present one.
    Pixels of the padding are made up, not read. Sustains `window_model.frame_cycles(params, depth)` cycles a frame.

    Latency: 2 cycles from the beat that a read waits for to its beat at `o`. `i.ready` is a register's function, `o` is
    a register.

    Parameters
    ----------
    params: geometry and beats.
    depth: beats of the line buffer; `window_model.least_depth` says how many a rate takes.

    Members
    -------
    i: In(stream), `simd` codes a beat, ceil(C / simd) beats a pixel, pixels row by row, pad elements 0.
    o: Out(stream), `simd` codes a beat, ceil(C / simd) beats a pixel, kh * kw pixels a window, pad elements 0.
    level: Out(range(depth + 1)), beats held.
    """

    def __init__(self, params: WindowParams, *, depth: int) -> None:
        if require_positive("depth", depth) < params.least_working_depth:
            raise HardwareError(
                f"a line buffer of {depth} beats never holds a window; {params.least_working_depth} would"
            )
        self._params = params
        self._depth = depth
        signature = beat_signature(params.simd, params.bits)
        super().__init__({"i": In(signature), "o": Out(signature), "level": Out(range(depth + 1))})

    @property
    def params(self) -> WindowParams:
        """Geometry and beats."""
        return self._params

    @property
    def depth(self) -> int:
        """Beats of the line buffer."""
        return self._depth

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Lines(self._params, self._depth),)

    def elaborate(self, platform: object) -> Module:
        """A memory, the place of the next read, and two counters: beats written ahead of it, and beats kept."""
        m = Module()
        p, depth = self._params, self._depth
        m.submodules.lines = memory = Memory(shape=p.simd * p.bits, depth=depth, init=())
        write, read = memory.write_port(), memory.read_port()

        kept_range, ahead_range = p.counter_ranges(depth)
        kept = Signal(kept_range, init=-int(p.tails[0]))  # beats written less those let go
        ahead = Signal(ahead_range, init=-p.start)  # beats written less the position of the next read
        accept, issue, pad = Signal(), Signal(), Signal()
        m.d.comb += [
            self.level.eq(kept if kept_range.start >= 0 else Mux(kept < 0, 0, kept)),
            self.i.ready.eq(kept < depth),
            accept.eq(self.i.valid & self.i.ready),
            write.data.eq(self.i.payload),
            write.en.eq(accept),
            issue.eq((pad | (ahead > 0)) & (~self.o.valid | self.o.ready)),
            read.en.eq(issue),
        ]
        with m.If(accept):
            m.d.sync += write.addr.eq(Mux(write.addr == depth - 1, 0, write.addr + 1))

        # Which read is next: nested counters, each one's end passing on to the next.
        indices: list[Signal] = []
        ends: list[Value] = []
        carries: list[Value] = [Const(1)]
        for level, (count, _) in enumerate(p.loops):
            index = Signal(range(count), name=f"index_{level}")
            ends.append(index == count - 1)
            with m.If(issue & carries[-1]):
                m.d.sync += index.eq(Mux(ends[-1], 0, index + 1))
            carries.append(carries[-1] & ends[-1])
            indices.append(index)

        # Where it lies: the outermost counter that moves says how far it is to the following one.
        advance, turn = Signal(range(min(p.steps), max(p.steps) + 1)), Signal(range(depth))
        for carry, step in zip(carries, p.steps, strict=True):
            with m.If(carry):
                m.d.comb += [advance.eq(step), turn.eq(step % depth)]
        address = Signal(range(depth), init=p.start % depth)
        onward = Signal(range(2 * depth))
        m.d.comb += [read.addr.eq(address), onward.eq(address + turn)]
        with m.If(issue):
            m.d.sync += address.eq(Mux(onward >= depth, onward - depth, onward))
        over = issue & carries[_COLUMN]
        m.d.sync += [
            ahead.eq(ahead + accept - Mux(issue, advance, 0)),
            kept.eq(kept + accept - Mux(over, self._release(m, indices, ends), 0)),
        ]

        with m.If(issue):
            m.d.sync += self.o.valid.eq(1)
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        m.d.comb += self.o.payload.eq(read.data)
        if any(p.window.border):
            m.d.comb += pad.eq(self._outside(m, issue, carries, ends))
            padded, short = Signal(), Signal()
            with m.If(issue):
                m.d.sync += [padded.eq(pad), short.eq(ends[0] & ends[_BLOCK])]
            whole = pack_frame([p.pad_code] * p.window.input[2], p.simd, p.bits)
            with m.If(padded):
                m.d.comb += self.o.payload.eq(Mux(short, whole[-1], whole[0]))
        return m

    def _release(self, m: Module, indices: list[Signal], ends: list[Value]) -> Value:
        """How many beats the present window lets go when it is over: the difference of its tail and the next one's."""
        p = self._params
        rows, columns = p.window.output
        amounts = np.diff(p.tails).reshape(rows, columns)
        release = Signal(range(int(amounts.max()) + 1))
        goes = amounts[:, :-1].any(axis=1)  # rows that are let go pixel by pixel; all of them alike
        within = amounts[np.flatnonzero(goes)[0], :-1] if goes.any() else np.zeros(1, dtype=np.int64)
        pixelwise = Signal()
        _look_up(m, pixelwise, indices[_ROW], goes.astype(int).tolist())
        with m.If(ends[_COLUMN]):
            _look_up(m, release, indices[_ROW], amounts[:, -1].tolist())
        with m.Elif(pixelwise):
            _look_up(m, release, indices[_COLUMN], within.tolist())
        return release

    def _outside(self, m: Module, issue: Value, carries: list[Value], ends: list[Value]) -> Value:
        """Whether the present read lies in the padding."""
        window = self._params.window
        outside: list[Value] = []
        for axis, (inner, outer) in enumerate(((_KY, _ROW), (_KX, _COLUMN))):
            span, count = window.span[axis], window.output[axis]
            stride, dilation, padding = window.stride[axis], window.dilation[axis], window.border[axis]
            corner = Signal(range(-padding, count * stride - padding), init=-padding, name=f"corner_{axis}")
            offset = Signal(range(span), name=f"offset_{axis}")
            with m.If(issue & carries[inner]):
                m.d.sync += offset.eq(Mux(ends[inner], 0, offset + dilation))
            with m.If(issue & carries[outer]):
                m.d.sync += corner.eq(Mux(ends[outer], -padding, corner + stride))
            place = Signal(range(-padding, window.input[axis] + window.border[axis + 2]), name=f"place_{axis}")
            m.d.comb += place.eq(corner + offset)
            outside += [place < 0, place >= window.input[axis]]
        return Cat(outside).any()


def _look_up(m: Module, target: Signal, index: Signal, values: list[int]) -> None:
    """Drive `target` with values[index]: the commonest value unless a case says otherwise."""
    common = max(set(values), key=values.count)
    m.d.comb += target.eq(common)
    with m.Switch(index):
        for value in sorted(set(values) - {common}):
            with m.Case(*(place for place, other in enumerate(values) if other == value)):
                m.d.comb += target.eq(value)
