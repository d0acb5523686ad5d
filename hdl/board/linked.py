"""An accelerator behind a serial line: two pins, and the packets of `link.packets` on them."""

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...link.packets import Identity
from ..streams.buffer import StreamFifo
from ..streams.converter import FrameWidthConverter
from .packets import PacketReceiver, PacketSender
from .slip import SlipDecoder, SlipEncoder
from .uart import UartReceiver, UartTransmitter

__all__ = ["LinkedAccelerator"]


class LinkedAccelerator(wiring.Component):
    """Packets with frames in at `rx`, packets with results out at `tx`.

    A frame's payload are the beats of the accelerator's input port, a result's the TDATA of its output port, lowest
    byte first. Whatever happens on the line, an answer that carries a right CRC is the result of a frame that came in
    with a right CRC, under the sequence number of that frame.

    Parameters
    ----------
    accelerator: what works: an `Accelerator`, or a component that has its ports.
    beats: that a frame takes at its input port.
    network_hash: of the network file, 64 hexadecimal digits.
    cycles: clock cycles a bit (`uart.bit_cycles`).
    buffers: frames that can wait for the accelerator.

    Members
    -------
    rx: In(1); tx: Out(1): serial lines, high when idle.
    """

    def __init__(
        self, accelerator: wiring.Component, beats: int, network_hash: str, *, cycles: int, buffers: int = 2
    ) -> None:
        self._accelerator: Any = accelerator  # its ports come from its signature
        self._beat_bytes = len(self._accelerator.s_axis_tdata) // 8
        self._beats = beats
        self._cycles = cycles
        self._identity = Identity(
            network=bytes.fromhex(network_hash)[:8],
            frame_bytes=self._beats * self._beat_bytes,
            result_bytes=len(self._accelerator.m_axis_tdata) // 8,
            buffers=buffers,
        )
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    @property
    def identity(self) -> Identity:
        """What it answers to a HELLO."""
        return self._identity

    def elaborate(self, platform: object) -> Module:
        """A chain from pin to pin; sequence numbers go beside the accelerator."""
        m = Module()
        identity, accelerator = self._identity, self._accelerator
        m.submodules.uart_receiver = uart_in = UartReceiver(self._cycles)
        m.submodules.slip_decoder = decoder = SlipDecoder()
        m.submodules.packet_receiver = receiver = PacketReceiver(identity.frame_bytes, buffers=identity.buffers)
        m.submodules.sequences = sequences = StreamFifo(8, depth=max(2, identity.buffers))
        m.submodules.accelerator = accelerator
        m.submodules.packet_sender = sender = PacketSender(identity)
        m.submodules.slip_encoder = encoder = SlipEncoder()
        m.submodules.uart_transmitter = uart_out = UartTransmitter(self._cycles)

        wiring.connect(m, uart_in.o, decoder.i)
        wiring.connect(m, decoder.o, receiver.i)
        wiring.connect(m, receiver.sequence, sequences.i)
        wiring.connect(m, sequences.o, sender.sequence)
        wiring.connect(m, sender.o, encoder.i)
        wiring.connect(m, encoder.o, uart_out.i)
        m.d.comb += [
            uart_in.rx.eq(self.rx),
            receiver.bad.eq(decoder.bad),
            sender.hello.eq(receiver.hello),
            sender.hello_sequence.eq(receiver.hello_sequence),
            self.tx.eq(uart_out.tx),
        ]

        beats = receiver.o
        if self._beat_bytes > 1:
            m.submodules.beats = widen = FrameWidthConverter(
                identity.frame_bytes, 8, lanes_in=1, lanes_out=self._beat_bytes
            )
            wiring.connect(m, receiver.o, widen.i)
            beats = widen.o
        beat = Signal(range(self._beats))
        last = beat == self._beats - 1
        m.d.comb += [
            accelerator.s_axis_tdata.eq(beats.payload),
            accelerator.s_axis_tvalid.eq(beats.valid),
            accelerator.s_axis_tlast.eq(last),
            beats.ready.eq(accelerator.s_axis_tready),
            sender.i.payload.eq(accelerator.m_axis_tdata),
            sender.i.valid.eq(accelerator.m_axis_tvalid),
            accelerator.m_axis_tready.eq(sender.i.ready),
        ]
        with m.If(beats.valid & beats.ready):
            m.d.sync += beat.eq(Mux(last, 0, beat + 1))
        return m
