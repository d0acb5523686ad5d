"""The buffer in front of an engine: two banks, so that the next vector loads while the present one is worked on."""

from amaranth.hdl import Array, Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .stream import beat_signature, require_positive

__all__ = ["InputBuffer"]


class InputBuffer(wiring.Component):
    """Two banks of `beats` beats; the reader goes through the older bank as often as it likes.

    The reader may take a beat as soon as it has arrived, so the first pass does not wait for the whole vector.
    `next` moves on to the following beat, after the last one to the first of the same bank, or, with `release`, of
    the other bank.

    Latency: a beat that arrives is `available` one cycle later; `data` is the beat of the previous cycle's position.

    Parameters
    ----------
    beats: beats of a vector.
    width: bits of a beat.

    Members
    -------
    i: In(stream).
    available: Out(1), the beat at the reader's position is there.
    last: Out(1), the reader's position is the last beat of the vector.
    next, release: In(1).
    data: Out(width).
    """

    def __init__(self, beats: int, width: int) -> None:
        self._beats = require_positive("beats", beats)
        self._width = require_positive("width", width)
        super().__init__(
            {
                "i": In(beat_signature(1, width)),
                "available": Out(1),
                "last": Out(1),
                "next": In(1),
                "release": In(1),
                "data": Out(width),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A memory of two banks and a position on either side."""
        m = Module()
        # A bank starts at a power of two, so that an address is the bank's bit above the position's.
        position_bits = (self._beats - 1).bit_length()
        m.submodules.memory = memory = Memory(shape=self._width, depth=2 << position_bits, init=())
        write, read = memory.write_port(), memory.read_port()

        full = Signal(2)
        write_bank, read_bank = Signal(), Signal()
        write_position, read_position = Signal(range(self._beats)), Signal(range(self._beats))
        accept = self.i.valid & self.i.ready
        m.d.comb += [
            self.i.ready.eq(~Array(full)[write_bank]),
            write.addr.eq(Cat(write_position, write_bank)),
            write.data.eq(self.i.payload),
            write.en.eq(accept),
        ]
        with m.If(accept):
            m.d.sync += write_position.eq(write_position + 1)
            with m.If(write_position == self._beats - 1):
                m.d.sync += [write_position.eq(0), write_bank.eq(~write_bank), full.bit_select(write_bank, 1).eq(1)]

        m.d.comb += [
            # A bank that is read and not full is the one that is being written.
            self.available.eq(Array(full)[read_bank] | (write_position > read_position)),
            self.last.eq(read_position == self._beats - 1),
            read.addr.eq(Cat(read_position, read_bank)),
            read.en.eq(1),
            self.data.eq(read.data),
        ]
        with m.If(self.next):
            m.d.sync += read_position.eq(read_position + 1)
            with m.If(self.last):
                m.d.sync += read_position.eq(0)
                with m.If(self.release):
                    m.d.sync += [read_bank.eq(~read_bank), full.bit_select(read_bank, 1).eq(0)]
        return m
