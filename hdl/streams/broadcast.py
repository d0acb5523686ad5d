"""One stream to several consumers."""

from amaranth.hdl import Cat, Module, Shape, ShapeLike, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..timing.frames import Cell, Fork
from .stream import require_positive

__all__ = ["Broadcast"]


class Broadcast(wiring.Component):
    """Every beat goes to each of `consumers` streams, once; each consumer may stall alone.

    A beat is taken from the input in the cycle in which the last consumer takes it, so consumers drift apart by at
    most one beat. No `valid` depends on a `ready`.

    Latency: 0, combinational; one beat a cycle.

    Parameters
    ----------
    shape: the payload's shape.
    consumers: number of output streams.

    Members
    -------
    i: In(stream); o: Out(stream).array(consumers), in Verilog o__0__payload, ...
    """

    def __init__(self, shape: ShapeLike, *, consumers: int) -> None:
        Shape.cast(shape)
        self._consumers = require_positive("consumers", consumers)
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)).array(consumers),
            }
        )

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Fork(self._consumers),)

    def elaborate(self, platform: object) -> Module:
        """One flag a consumer: whether it has had the present beat."""
        m = Module()
        served = Signal(self._consumers)  # consumers that have taken the present beat in an earlier cycle
        done = Signal(self._consumers)
        m.d.comb += [
            done.eq(served | Cat(out.ready for out in self.o)),
            self.i.ready.eq(done.all()),
        ]
        for out, had in zip(self.o, served, strict=True):
            m.d.comb += [out.payload.eq(self.i.payload), out.valid.eq(self.i.valid & ~had)]
        with m.If(self.i.valid):
            m.d.sync += served.eq(done & ~self.i.ready.replicate(self._consumers))
        return m
