"""The top for boards with a processor: an accelerator between two AXI4-Streams of 64 bits, as a DMA moves them."""

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Module, Mux, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...link.frames import WORD_BYTES
from ..streams.buffer import StreamFifo
from ..streams.converter import FrameWidthConverter
from ..streams.stream import frame_beats, require_positive

__all__ = ["DmaTop"]

_FLAGS = 64  # frames inside an accelerator, beyond which it waits; more than engines, converters and FIFOs hold


class DmaTop(wiring.Component):
    """Words of a DMA transfer in, words of its results out.

    A frame is the bytes of the accelerator's input beats, lowest byte first, filled up to whole words of 8 bytes; so
    is a result. A transfer is any number of frames, and TLAST of its last word comes back with the last word of its
    last result: that ends the transfer in the other direction. TLAST anywhere else in a frame means nothing.

    Parameters
    ----------
    accelerator: an `Accelerator`, or a component that has its ports. What it has beside its two streams, AXI4-Lite
        above all, becomes this component's.
    beats: that a frame takes at its input port.

    Members
    -------
    aclk, aresetn: In(1), the clock, and a reset that is active low, as AXI has them.
    s_axis_tdata: In(64); s_axis_tvalid, s_axis_tlast: In(1); s_axis_tready: Out(1).
    m_axis_tdata: Out(64); m_axis_tkeep: Out(8), all ones; m_axis_tvalid, m_axis_tlast: Out(1); m_axis_tready: In(1).
    """

    def __init__(self, accelerator: wiring.Component, beats: int) -> None:
        self._accelerator: Any = accelerator  # its ports come from its signature
        self._beats = require_positive("beats", beats)
        self._beat_bytes = len(self._accelerator.s_axis_tdata) // 8
        self._result_bytes = len(self._accelerator.m_axis_tdata) // 8
        self._further = {
            name: member
            for name, member in accelerator.signature.members.items()
            if not name.startswith(("s_axis_t", "m_axis_t"))
        }
        super().__init__(
            {
                "aclk": In(1),
                "aresetn": In(1),
                "s_axis_tdata": In(8 * WORD_BYTES),
                "s_axis_tvalid": In(1),
                "s_axis_tready": Out(1),
                "s_axis_tlast": In(1),
                "m_axis_tdata": Out(8 * WORD_BYTES),
                "m_axis_tkeep": Out(WORD_BYTES),
                "m_axis_tvalid": Out(1),
                "m_axis_tready": In(1),
                "m_axis_tlast": Out(1),
                **self._further,
            }
        )

    def elaborate(self, platform: object) -> Module:
        """Two converters, and beside the accelerator a queue of flags: whether a frame ends its transfer."""
        m = Module()
        m.domains += ClockDomain("sync")
        m.d.comb += [ClockSignal().eq(self.aclk), ResetSignal().eq(~self.aresetn)]
        frame_bytes = self._beats * self._beat_bytes
        words_in, words_out = frame_beats(frame_bytes, WORD_BYTES), frame_beats(self._result_bytes, WORD_BYTES)
        m.submodules.accelerator = accelerator = self._accelerator
        m.submodules.narrow = source = FrameWidthConverter(
            frame_bytes, 8, lanes_in=WORD_BYTES, lanes_out=self._beat_bytes
        )
        m.submodules.widen = sink = FrameWidthConverter(
            self._result_bytes, 8, lanes_in=self._result_bytes, lanes_out=WORD_BYTES
        )
        m.submodules.flags = flags = StreamFifo(1, depth=_FLAGS)

        word, beat, answer = Signal(range(words_in)), Signal(range(self._beats)), Signal(range(words_out))
        last_word, last_beat, last_answer = word == words_in - 1, beat == self._beats - 1, answer == words_out - 1
        admitted = Signal()
        m.d.comb += [
            admitted.eq(~last_word | flags.i.ready),
            source.i.payload.eq(self.s_axis_tdata),
            source.i.valid.eq(self.s_axis_tvalid & admitted),
            self.s_axis_tready.eq(source.i.ready & admitted),
            flags.i.payload.eq(self.s_axis_tlast),
            flags.i.valid.eq(self.s_axis_tvalid & source.i.ready & last_word),
            accelerator.s_axis_tdata.eq(source.o.payload),
            accelerator.s_axis_tvalid.eq(source.o.valid),
            accelerator.s_axis_tlast.eq(last_beat),
            source.o.ready.eq(accelerator.s_axis_tready),
            sink.i.payload.eq(accelerator.m_axis_tdata),
            sink.i.valid.eq(accelerator.m_axis_tvalid),
            accelerator.m_axis_tready.eq(sink.i.ready),
            self.m_axis_tdata.eq(sink.o.payload),
            self.m_axis_tkeep.eq(~0),
            self.m_axis_tvalid.eq(sink.o.valid & flags.o.valid),
            self.m_axis_tlast.eq(last_answer & flags.o.payload),
            sink.o.ready.eq(self.m_axis_tready & flags.o.valid),
            flags.o.ready.eq(sink.o.valid & self.m_axis_tready & last_answer),
        ]
        for name, member in self._further.items():
            inner, outer = getattr(accelerator, name), getattr(self, name)
            m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        with m.If(self.s_axis_tvalid & self.s_axis_tready):
            m.d.sync += word.eq(Mux(last_word, 0, word + 1))
        with m.If(source.o.valid & source.o.ready):
            m.d.sync += beat.eq(Mux(last_beat, 0, beat + 1))
        with m.If(self.m_axis_tvalid & self.m_axis_tready):
            m.d.sync += answer.eq(Mux(last_answer, 0, answer + 1))
        return m
