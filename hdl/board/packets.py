"""The board's side of the link: packets in become frames, results become packets. The protocol is in `link.packets`."""

from amaranth.hdl import Cat, Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ...link.packets import CRC_BYTES, Identity, Kind
from ..streams.stream import require_positive
from .slip import packet_layout

__all__ = ["PacketReceiver", "PacketSender"]

_HEADER = 2  # kind and sequence number


class PacketReceiver(wiring.Component):
    """Keeps packets until their CRC is known to be right, then hands the frames over.

    A packet of another kind or length, one with a wrong CRC, and one that comes while every buffer holds a frame
    leaves no trace. Frames come out in the order in which they came in, each with its sequence number.

    Parameters
    ----------
    frame_bytes: of a frame.
    buffers: frames that can wait.

    Members
    -------
    i: In(stream of packet_layout(), always ready); bad: In(1), of `SlipDecoder`.
    o: Out(stream of bytes), the frames without a gap between them.
    sequence: Out(stream of 8 bits), one beat a frame, offered before its first byte.
    hello: Out(1), high for a cycle when a HELLO came; hello_sequence: Out(8), its sequence number then.
    """

    def __init__(self, frame_bytes: int, *, buffers: int) -> None:
        self._frame_bytes = require_positive("frame_bytes", frame_bytes)
        self._buffers = require_positive("buffers", buffers)
        super().__init__(
            {
                "i": In(stream.Signature(packet_layout(), always_ready=True)),
                "bad": In(1),
                "o": Out(stream.Signature(8)),
                "sequence": Out(stream.Signature(8)),
                "hello": Out(1),
                "hello_sequence": Out(8),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A ring of buffers that is written ahead and only then counted."""
        m = Module()
        size, depth = self._frame_bytes, self._frame_bytes * self._buffers
        body = _HEADER + size + CRC_BYTES
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=8).create()
        m.submodules.frames = memory = Memory(shape=8, depth=depth, init=())
        write, read = memory.write_port(), memory.read_port()
        m.submodules.numbers = numbers = Memory(shape=8, depth=self._buffers, init=())
        note, recall = numbers.write_port(), numbers.read_port(domain="comb")

        # In: a packet is written behind the frames that count; what becomes of it is known at its end.
        place = Signal(range(body + 2))  # bytes of the body so far; beyond the longest it stays
        kind, number = Signal(8), Signal(8)
        full = Signal(range(self._buffers + 1))
        crowded = Signal()  # no buffer was free at some byte of this packet
        slot, base, at = Signal(range(self._buffers)), Signal(range(depth)), Signal(range(depth))
        accept, release = Signal(), Signal()
        packet, ends = self.i.payload, self.i.valid & self.i.payload.end
        sound = ends & ~self.bad & crc.match_detected
        m.d.comb += [
            crc.start.eq(ends),
            crc.data.eq(packet.byte),
            crc.valid.eq(self.i.valid & ~packet.end),
            accept.eq(sound & (place == body) & (kind == Kind.FRAME) & ~crowded),
            self.hello.eq(sound & (place == _HEADER + CRC_BYTES) & (kind == Kind.HELLO)),
            self.hello_sequence.eq(number),
            write.data.eq(packet.byte),
            write.addr.eq(at),
            write.en.eq(
                self.i.valid & ~packet.end & (full != self._buffers) & (place >= _HEADER) & (place < _HEADER + size)
            ),
            note.data.eq(number),
            note.addr.eq(slot),
            note.en.eq(accept),
        ]
        with m.If(ends):
            m.d.sync += [place.eq(0), crowded.eq(0)]
            with m.If(accept):
                wraps = slot == self._buffers - 1
                m.d.sync += [slot.eq(Mux(wraps, 0, slot + 1)), base.eq(at)]
            with m.Else():
                m.d.sync += at.eq(base)
        with m.Elif(self.i.valid):
            m.d.sync += place.eq(place + (place != body + 1))
            m.d.sync += crowded.eq(crowded | (full == self._buffers))
            with m.If(place == 0):
                m.d.sync += kind.eq(packet.byte)
            with m.If(place == 1):
                m.d.sync += number.eq(packet.byte)
            with m.If(write.en):
                m.d.sync += at.eq(Mux(at == depth - 1, 0, at + 1))
        m.d.sync += full.eq(full + accept - release)

        # Out: sequence number first, then the bytes.
        reader, left = Signal(range(depth)), Signal(range(size))  # bytes after the one that is offered
        told = Signal()
        first = Signal(range(self._buffers))
        taken = self.o.valid & self.o.ready
        ahead = Signal(range(depth))
        m.d.comb += [
            recall.addr.eq(first),
            self.sequence.payload.eq(recall.data),
            self.sequence.valid.eq((full != 0) & ~told),
            ahead.eq(Mux(taken, Mux(reader == depth - 1, 0, reader + 1), reader)),
            read.addr.eq(ahead),
            self.o.payload.eq(read.data),
            release.eq(taken & (left == 0)),
        ]
        m.d.sync += reader.eq(ahead)
        with m.If(self.sequence.valid & self.sequence.ready):
            m.d.sync += [told.eq(1), left.eq(size - 1)]
        with m.If(taken):
            m.d.sync += left.eq(Mux(left == 0, 0, left - 1))
        with m.If(release):
            m.d.sync += [told.eq(0), first.eq(Mux(first == self._buffers - 1, 0, first + 1))]
        m.d.comb += self.o.valid.eq(told)  # the frame has been in the memory for cycles: the read is up to date
        return m


class PacketSender(wiring.Component):
    """Results and answers to HELLO as packets.

    Results leave in the order in which they come, each with the sequence number of its frame: an accelerator keeps the
    order. A HELLO goes out between two results.

    Parameters
    ----------
    identity: the answer to HELLO, which also says how many bytes a result has.

    Members
    -------
    i: In(stream of results, result_bytes bytes each).
    sequence: In(stream of 8 bits), one beat a frame.
    hello: In(1), hello_sequence: In(8): of `PacketReceiver`. One that comes while another waits takes its place.
    o: Out(stream of packet_layout()).
    """

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        super().__init__(
            {
                "i": In(stream.Signature(8 * require_positive("result_bytes", identity.result_bytes))),
                "sequence": In(stream.Signature(8)),
                "hello": In(1),
                "hello_sequence": In(8),
                "o": Out(stream.Signature(packet_layout())),
            }
        )

    def elaborate(self, platform: object) -> Module:
        """A shift register of the body, sent byte by byte; then the CRC, byte by byte."""
        m = Module()
        answer = self._identity.payload()
        longest = _HEADER + max(self._identity.result_bytes, len(answer))
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=8).create()
        body = Signal(8 * longest)
        left = Signal(range(longest + 1))
        crc_bytes = Signal(32)
        asked, asked_number = Signal(), Signal(8)
        moves = self.o.ready
        with m.FSM(name="sending"):
            with m.State("IDLE"):
                m.d.comb += crc.start.eq(1)
                with m.If(asked):
                    m.d.sync += [
                        body.eq(
                            Cat(
                                Const(Kind.HELLO, 8),
                                asked_number,
                                Const(int.from_bytes(answer, "little"), 8 * len(answer)),
                            )
                        ),
                        left.eq(_HEADER + len(answer)),
                        asked.eq(0),
                    ]
                    m.next = "BEGIN"
                with m.Elif(self.i.valid & self.sequence.valid):
                    m.d.comb += [self.i.ready.eq(1), self.sequence.ready.eq(1)]
                    m.d.sync += [
                        body.eq(Cat(Const(Kind.RESULT, 8), self.sequence.payload, self.i.payload)),
                        left.eq(_HEADER + self._identity.result_bytes),
                    ]
                    m.next = "BEGIN"
            with m.State("BEGIN"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.end.eq(1)]
                with m.If(moves):
                    m.next = "BODY"
            with m.State("BODY"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    self.o.payload.byte.eq(body[:8]),
                    crc.data.eq(body[:8]),
                    crc.valid.eq(moves),
                ]
                with m.If(moves):
                    m.d.sync += [body.eq(body >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "SUM"
            with m.State("SUM"):
                m.d.sync += [crc_bytes.eq(crc.crc), left.eq(CRC_BYTES)]
                m.next = "CRC"
            with m.State("CRC"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.byte.eq(crc_bytes[:8])]
                with m.If(moves):
                    m.d.sync += [crc_bytes.eq(crc_bytes >> 8), left.eq(left - 1)]
                    with m.If(left == 1):
                        m.next = "END"
            with m.State("END"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.end.eq(1)]
                with m.If(moves):
                    m.next = "IDLE"
        with m.If(self.hello):
            m.d.sync += [asked.eq(1), asked_number.eq(self.hello_sequence)]
        return m
