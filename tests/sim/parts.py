"""Small Amaranth components for the tests of the drivers: a right one and ones that break the protocol."""

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

__all__ = ["Slice"]


class Slice(wiring.Component):
    """One register between `i` and `o`. `fault`: None, "retract" (valid falls again), "change" (the payload does),
    "drop" (every seventh beat vanishes), "hang" (never ready after five beats)."""

    def __init__(self, width: int, fault: str | None = None) -> None:
        super().__init__({"i": In(stream.Signature(width)), "o": Out(stream.Signature(width))})
        self._width = width
        self._fault = fault

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        full, held, count = Signal(), Signal(self._width), Signal(8)
        m.d.comb += [self.i.ready.eq(~full | self.o.ready), self.o.valid.eq(full), self.o.payload.eq(held)]
        with m.If(self.i.ready):
            m.d.sync += [full.eq(self.i.valid), held.eq(self.i.payload)]
            with m.If(self.i.valid):
                m.d.sync += count.eq(count + 1)
                if self._fault == "drop":
                    with m.If(count % 7 == 6):
                        m.d.sync += full.eq(0)
        if self._fault == "hang":
            with m.If(count == 5):
                m.d.comb += self.i.ready.eq(0)
                with m.If(self.o.ready):
                    m.d.sync += full.eq(0)
        with m.If(full & ~self.o.ready):
            if self._fault == "retract":
                m.d.sync += full.eq(0)
            if self._fault == "change":
                m.d.sync += held.eq(~held)
        return m
