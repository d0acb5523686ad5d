"""Buffers on a stream: a register slice that cuts every combinational path, and a FIFO."""

from amaranth.hdl import Module, Mux, Shape, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO, SyncFIFOBuffered
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import Memory
from ..timing.frames import Cell, Fifo, Register
from .stream import require_positive

__all__ = ["StreamBuffer", "StreamFifo"]


class StreamBuffer(wiring.Component):
    """A two-slot register slice: all outputs are registers, one beat a cycle passes.

    Latency: 1 clock cycle.

    Parameters
    ----------
    shape: the payload's shape.

    Members
    -------
    i: In(stream), o: Out(stream).
    """

    def __init__(self, shape: ShapeLike) -> None:
        Shape.cast(shape)
        self._shape = shape
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Register(),)

    def elaborate(self, platform: object) -> Module:
        """An output register and a spare one."""
        m = Module()
        # `spare` catches the beat that is under way while the consumer's stall becomes known to the producer.
        ready = Signal(init=1)
        spare = Signal(self._shape, reset_less=True)
        valid = Signal()
        payload = Signal(self._shape, reset_less=True)
        m.d.comb += [self.i.ready.eq(ready), self.o.valid.eq(valid), self.o.payload.eq(payload)]
        with m.If(ready):
            m.d.sync += spare.eq(self.i.payload)
        with m.If(~valid | self.o.ready):
            m.d.sync += [
                payload.eq(Mux(ready, self.i.payload, spare)),
                valid.eq(self.i.valid | ~ready),
                ready.eq(1),
            ]
        with m.Elif(self.i.valid):
            m.d.sync += ready.eq(0)
        return m


class StreamFifo(wiring.Component):
    """A FIFO of `depth` beats: one a cycle goes in while it is not full, one a cycle comes out while it is not empty.

    Latency: 1 clock cycle from an empty FIFO's input to its output with memory LUT, 2 with BLOCK.

    Parameters
    ----------
    shape: the payload's shape.
    depth: beats it holds, at least 2, with memory BLOCK at least 3.
    memory: LUT (or AUTO) reads asynchronously, as distributed RAM does; BLOCK registers the read for block RAM.

    Members
    -------
    i: In(stream), o: Out(stream).
    level: Out(range(depth + 1)), beats held.
    """

    def __init__(self, shape: ShapeLike, *, depth: int, memory: Memory = Memory.LUT) -> None:
        Shape.cast(shape)
        if not isinstance(memory, Memory):
            raise TypeError(f"memory must be a Memory, not {memory!r}")
        least = 3 if memory is Memory.BLOCK else 2  # with fewer, beats would pass every other cycle
        if require_positive("depth", depth) < least:
            raise ValueError(f"depth must be at least {least} with memory {memory}, not {depth!r}")
        self._shape = shape
        self._depth = depth
        self._memory = memory
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "level": Out(range(depth + 1)),
            }
        )

    @property
    def depth(self) -> int:
        """Beats it holds."""
        return self._depth

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Fifo(self._depth, late=self._memory is Memory.BLOCK),)

    def elaborate(self, platform: object) -> Module:
        """Amaranth's FIFO behind stream ports."""
        m = Module()
        kind = SyncFIFOBuffered if self._memory is Memory.BLOCK else SyncFIFO
        m.submodules.queue = queue = kind(width=Shape.cast(self._shape).width, depth=self._depth)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
            self.o.payload.eq(queue.r_data),
            self.o.valid.eq(queue.r_rdy),
            queue.r_en.eq(self.o.ready),
            self.level.eq(queue.level),
        ]
        return m
