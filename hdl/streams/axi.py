"""The accelerator's boundary: AXI4-Stream in and out, whole bytes, element 0 in the least significant bits."""

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Shape, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..timing.frames import Cell, Register
from .buffer import StreamBuffer, StreamFifo
from .stream import beat_signature, frame_beats, require_positive

__all__ = ["Admission", "InputAdapter", "OutputAdapter", "data_width", "result_layout"]


def data_width(bits: int) -> int:
    """Width of a TDATA that carries `bits` bits: the next whole number of bytes."""
    return 8 * -(-bits // 8)


def result_layout(classes: int, score_bits: int | None) -> data.StructLayout:
    """One result: `class_index`, then, unless score_bits is None, `scores`, one signed number a class."""
    require_positive("classes", classes)
    fields: dict[str, Shape | data.Layout] = {"class_index": Shape(max(1, (classes - 1).bit_length()))}
    if score_bits is not None:
        fields["scores"] = data.ArrayLayout(signed(require_positive("score_bits", score_bits)), classes)
    return data.StructLayout(fields)


@dataclass(frozen=True, slots=True)
class Admission:
    """What the input adapter makes of frames: the beats that go in, whether any was too short or too long."""

    beats: list[int]
    short_frame: bool
    long_frame: bool


class InputAdapter(wiring.Component):
    """AXI4-Stream to the stream of the first engine: whole frames, whatever comes.

    A frame has ceil(elements / lanes) beats, its last with TLAST. One that ends early is filled up with zeros, one
    that goes on is dropped up to its TLAST; both set their status bit, which stays set until reset. So every TLAST in
    yields one frame out. TDATA's bits beyond lanes * bits and the pad elements of a frame's last beat are ignored.

    With `sequences` frames are counted by their length alone, and TLAST ends the sequence that its frame is the last
    of: a frame that it cuts short is filled up with zeros, and none is too long. `ends` says of each frame whether
    TLAST came with it.

    Latency: 1 clock cycle; one beat a cycle; s_axis_tready is a register.

    Parameters
    ----------
    elements: elements a frame.
    bits: bits an element.
    lanes: elements a beat.
    sequences: whether TLAST ends sequences of frames.

    Members
    -------
    s_axis_tdata: In(data_width(lanes * bits)); s_axis_tvalid, s_axis_tlast: In(1); s_axis_tready: Out(1).
    o: Out(stream).
    short_frame, long_frame: Out(1), status.
    ends: Out(stream of 1 bit), with sequences: one a frame, a cycle after its last beat at the soonest.
    """

    def __init__(self, elements: int, bits: int, *, lanes: int, sequences: bool = False) -> None:
        self._elements = require_positive("elements", elements)
        self._bits = require_positive("bits", bits)
        self._lanes = require_positive("lanes", lanes)
        self._sequences = sequences
        super().__init__(
            {
                "s_axis_tdata": In(data_width(lanes * bits)),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "o": Out(beat_signature(lanes, bits)),
                "short_frame": Out(1),
                "long_frame": Out(1),
            }
            | ({"ends": Out(stream.Signature(1))} if sequences else {})
        )

    def reference(self, frames: Sequence[Sequence[int]]) -> Admission:
        """What comes out for frames of TDATA beats, TLAST with the last beat of each."""
        count = frame_beats(self._elements, self._lanes)
        mask = (1 << (self._lanes * self._bits)) - 1
        masks = [mask] * (count - 1) + [(1 << self._kept) - 1]
        beats = []
        for frame in frames:
            filled = [*frame, *[0] * count][:count]
            beats += [beat & kept for beat, kept in zip(filled, masks, strict=True)]
        sizes = [len(frame) for frame in frames]
        return Admission(beats, any(s < count for s in sizes), any(s > count for s in sizes))

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes while frames have the right length."""
        return (Register(),)

    def sequences_reference(self, sequences: Sequence[Sequence[int]]) -> tuple[list[int], list[int]]:
        """The beats and the flags that come out, with `sequences`, for TDATA beats, TLAST with each sequence's last."""
        count = frame_beats(self._elements, self._lanes)
        frames = [[beats[at : at + count] for at in range(0, len(beats), count)] for beats in sequences]
        flags = [int(frame is sequence[-1]) for sequence in frames for frame in sequence]
        return self.reference([frame for sequence in frames for frame in sequence]).beats, flags

    @property
    def _kept(self) -> int:
        """Bits of a frame's last beat that carry elements."""
        beats = frame_beats(self._elements, self._lanes)
        return (self._elements - (beats - 1) * self._lanes) * self._bits

    def elaborate(self, platform: object) -> Module:
        """A register slice, a beat counter, and the two ways a frame goes wrong."""
        m = Module()
        beats = frame_beats(self._elements, self._lanes)
        width = self._lanes * self._bits
        m.submodules.buffer = buffer = StreamBuffer(data.StructLayout({"data": width, "last": 1}))
        m.d.comb += [
            buffer.i.payload.data.eq(self.s_axis_tdata),
            buffer.i.payload.last.eq(self.s_axis_tlast),
            buffer.i.valid.eq(self.s_axis_tvalid),
            self.s_axis_tready.eq(buffer.i.ready),
        ]
        beat = buffer.o
        position = Signal(range(beats))
        filling = Signal()  # the frame ended early: zeros up to its length
        dropping = Signal()  # the frame goes on beyond its length: nothing up to its TLAST
        final = Signal()
        flagged = Signal(init=1)  # a frame's last beat goes on with its flag
        content = Signal(width)
        m.d.comb += [
            final.eq(position == beats - 1),
            content.eq(Mux(final, beat.payload.data[: self._kept], beat.payload.data)),
            self.o.payload.eq(Mux(filling, 0, content)),
            self.o.valid.eq((filling | (beat.valid & ~dropping)) & flagged),
            beat.ready.eq(~filling & (dropping | (self.o.ready & flagged))),
        ]
        if self._sequences:
            # Room in this queue stays until the beat is taken, so that an offered beat is not withdrawn.
            m.submodules.flags = flags = StreamFifo(1, depth=2)
            m.d.comb += [
                flagged.eq(~final | flags.i.ready),
                flags.i.valid.eq(final & self.o.valid & self.o.ready),
                flags.i.payload.eq(filling | beat.payload.last),
            ]
            wiring.connect(m, flags.o, wiring.flipped(self.ends))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += position.eq(Mux(final, 0, position + 1))
            with m.If(filling):
                m.d.sync += filling.eq(~final)
            with m.Elif(beat.payload.last & ~final):
                m.d.sync += [filling.eq(1), self.short_frame.eq(1)]
            with m.Elif(final & ~beat.payload.last & (not self._sequences)):
                m.d.sync += [dropping.eq(1), self.long_frame.eq(1)]
        with m.If(dropping & beat.valid & beat.payload.last):
            m.d.sync += dropping.eq(0)
        return m


class OutputAdapter(wiring.Component):
    """Results to AXI4-Stream: one beat a frame, TLAST = 1, or, with `sequences`, where the frame ends its sequence.

    TDATA holds the class index in the low byte (bytes, beyond 256 classes), then, unless score_bits is None, the
    score of each class in order: two's complement, little endian, sign-extended to whole bytes.

    Latency: 1 clock cycle; one beat a cycle; all outputs are registers.

    Parameters
    ----------
    classes: number of classes.
    score_bits: bits of a signed score; None where results carry the class alone.
    sequences: whether frames are steps of sequences.

    Members
    -------
    i: In(stream of result_layout(classes, score_bits)). last: In(stream of 1 bit), with sequences: one a frame.
    m_axis_tdata: Out(tdata_width); m_axis_tvalid, m_axis_tlast: Out(1); m_axis_tready: In(1).
    """

    def __init__(self, classes: int, score_bits: int | None, *, sequences: bool = False) -> None:
        layout = result_layout(classes, score_bits)
        self._layout = layout
        self._sequences = sequences
        self._classes = classes
        self._class_width = data_width(layout["class_index"].width)
        self._score_width = 0 if score_bits is None else data_width(score_bits)
        super().__init__(
            {
                "i": In(stream.Signature(layout)),
                "m_axis_tdata": Out(self._class_width + classes * self._score_width),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
            }
            | ({"last": In(stream.Signature(1))} if sequences else {})
        )

    def reference(self, class_index: int, scores: Sequence[int] = ()) -> int:
        """TDATA of one result."""
        tdata = class_index
        if self._score_width:
            for index, score in enumerate(scores):
                field = score & ((1 << self._score_width) - 1)
                tdata |= field << (self._class_width + index * self._score_width)
        return tdata

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Register(),)

    def elaborate(self, platform: object) -> Module:
        """A register slice, then the padding to bytes, which costs wires alone."""
        m = Module()
        m.submodules.buffer = buffer = StreamBuffer(data.StructLayout({"result": self._layout, "last": 1}))
        last, flagged = (self.last.payload, self.last.valid) if self._sequences else (Const(1), Const(1))
        m.d.comb += [
            buffer.i.payload.result.eq(self.i.payload),
            buffer.i.payload.last.eq(last),
            buffer.i.valid.eq(self.i.valid & flagged),
            self.i.ready.eq(buffer.i.ready & flagged),
            self.m_axis_tvalid.eq(buffer.o.valid),
            buffer.o.ready.eq(self.m_axis_tready),
            self.m_axis_tlast.eq(buffer.o.payload.last),
        ]
        if self._sequences:
            m.d.comb += self.last.ready.eq(self.i.valid & buffer.i.ready)
        result = buffer.o.payload.result
        fields = [Signal(self._class_width, name="class_field")]
        m.d.comb += fields[0].eq(result.class_index)
        if self._score_width:
            for index in range(self._classes):
                field = Signal(signed(self._score_width), name=f"score_field_{index}")
                m.d.comb += field.eq(result.scores[index])
                fields.append(field)
        m.d.comb += self.m_axis_tdata.eq(Cat(fields))
        return m
