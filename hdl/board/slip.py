"""SLIP framing (RFC 1055): packets as bytes in which END stands between packets alone."""

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...link.packets import END, ESC, ESC_END, ESC_ESC

__all__ = ["SlipDecoder", "SlipEncoder", "packet_layout"]


def packet_layout() -> data.StructLayout:
    """A byte of a packet's body, or, where `end` is set, its end; `byte` then means nothing."""
    return data.StructLayout({"byte": 8, "end": 1})


class SlipDecoder(wiring.Component):
    """Bytes of a line to packets.

    Nobody can make a line wait, so neither stream has a `ready`. After a wrong escape the packet goes on with that byte
    and `bad` is high at its end.

    Latency: 0 cycles.

    Members
    -------
    i: In(stream of bytes, always ready).
    o: Out(stream of packet_layout(), always ready).
    bad: Out(1), valid where `o` carries an end: the packet had a wrong escape or ended in one.
    """

    def __init__(self) -> None:
        super().__init__(
            {
                "i": In(stream.Signature(8, always_ready=True)),
                "o": Out(stream.Signature(packet_layout(), always_ready=True)),
                "bad": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """One flag for the escape, one for what went wrong."""
        m = Module()
        escaped, wrong = Signal(), Signal()
        ends = Signal()
        m.d.comb += [
            ends.eq(self.i.payload == END),
            self.o.valid.eq(self.i.valid & (ends | escaped | (self.i.payload != ESC))),
            self.o.payload.end.eq(ends),
            self.o.payload.byte.eq(Mux(escaped, Mux(self.i.payload == ESC_END, END, ESC), self.i.payload)),
            self.bad.eq(wrong | escaped),
        ]
        with m.If(self.i.valid):
            m.d.sync += escaped.eq(~ends & ~escaped & (self.i.payload == ESC))
            with m.If(ends):
                m.d.sync += wrong.eq(0)
            with m.Elif(escaped & (self.i.payload != ESC_END) & (self.i.payload != ESC_ESC)):
                m.d.sync += wrong.eq(1)
        return m


class SlipEncoder(wiring.Component):
    """Packets to bytes of a line.

    Latency: 0 cycles; an escaped byte takes two beats out.

    Members
    -------
    i: In(stream of packet_layout()).
    o: Out(stream of bytes).
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(packet_layout())), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        """One flag: the escape has gone out, the byte itself has not."""
        m = Module()
        second = Signal()
        byte, special = self.i.payload.byte, Signal()
        m.d.comb += [
            special.eq(~self.i.payload.end & ((byte == END) | (byte == ESC))),
            self.o.valid.eq(self.i.valid),
            self.i.ready.eq(self.o.ready & (second | ~special)),
        ]
        with m.If(self.i.payload.end):
            m.d.comb += self.o.payload.eq(END)
        with m.Elif(~special):
            m.d.comb += self.o.payload.eq(byte)
        with m.Elif(second):
            m.d.comb += self.o.payload.eq(Mux(byte == END, ESC_END, ESC_ESC))
        with m.Else():
            m.d.comb += self.o.payload.eq(ESC)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += second.eq(special & ~second)
        return m
