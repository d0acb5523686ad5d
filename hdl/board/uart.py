"""Asynchronous serial bytes: 8 data bits, no parity, one stop bit."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ...errors import HardwareError
from ..streams.stream import require_positive

__all__ = ["UartReceiver", "UartTransmitter", "bit_cycles"]

_MOST_OFF = 0.02  # of the baud rate: half of what a receiver that samples in the middle of the tenth bit stands
_CYCLES_LEAST = 4


def bit_cycles(clock_hz: int, baud: int) -> int:
    """Clock cycles a bit; HardwareError where no whole number of them comes within 2 % of the baud rate."""
    require_positive("clock_hz", clock_hz)
    require_positive("baud", baud)
    cycles = round(clock_hz / baud)
    if cycles < _CYCLES_LEAST or abs(clock_hz / cycles / baud - 1) > _MOST_OFF:
        raise HardwareError(
            f"a clock of {clock_hz:,} Hz makes no {baud:,} baud: a bit takes at least {_CYCLES_LEAST} cycles, a whole "
            f"number of them within 2 %; {clock_hz // max(cycles, _CYCLES_LEAST):,} baud would do"
        )
    return cycles


class UartReceiver(wiring.Component):
    """Bytes of a serial line.

    A start bit must still be there in its middle, and the stop bit high: a byte without is dropped, and the next start
    bit is looked for once the line is high again. Nobody can make a line wait: bytes go out without `ready`.

    Latency: a byte is valid for one cycle, in the middle of its stop bit and two cycles of synchronization after it.

    Parameters
    ----------
    cycles: clock cycles a bit, at least 4.

    Members
    -------
    rx: In(1), the line, high when idle; need not be synchronous.
    o: Out(stream of bytes, always ready).
    """

    def __init__(self, cycles: int) -> None:
        self._cycles = _checked(cycles)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8, always_ready=True))})

    def elaborate(self, platform: object) -> Module:
        """A counter of cycles, a counter of bits, a shift register."""
        m = Module()
        line = Signal(init=1)
        m.submodules.synchronizer = FFSynchronizer(self.rx, line, init=1)
        wait = Signal(range(self._cycles))  # cycles until the line is looked at
        bit = Signal(range(10))  # which bit comes next: 0 start, 1 to 8 data, 9 stop
        busy, broken = Signal(), Signal()
        m.d.sync += self.o.valid.eq(0)
        with m.If(broken):  # a break, or noise: begin afresh when the line is idle
            m.d.sync += broken.eq(~line)
        with m.Elif(~busy):
            m.d.sync += [busy.eq(~line), bit.eq(0), wait.eq((self._cycles - 1) // 2)]
        with m.Elif(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Else():
            m.d.sync += [wait.eq(self._cycles - 1), bit.eq(bit + 1)]
            with m.If(bit == 0):
                m.d.sync += busy.eq(~line)
            with m.Elif(bit == 9):
                m.d.sync += [busy.eq(0), self.o.valid.eq(line), broken.eq(~line)]
            with m.Else():
                m.d.sync += self.o.payload.eq(Cat(self.o.payload[1:], line))
        return m


class UartTransmitter(wiring.Component):
    """Bytes to a serial line.

    Latency: the start bit begins the cycle after a byte is taken; a byte takes 10 bits, and they follow without a gap.

    Parameters
    ----------
    cycles: clock cycles a bit, at least 4.

    Members
    -------
    i: In(stream of bytes).
    tx: Out(1), the line, high when idle; a register.
    """

    def __init__(self, cycles: int) -> None:
        self._cycles = _checked(cycles)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: object) -> Module:
        """A counter of cycles, a counter of bits, a shift register."""
        m = Module()
        wait = Signal(range(self._cycles))  # cycles of the present bit that are left
        left = Signal(range(10))  # bits after the present one
        bits = Signal(9, init=0x1FF)
        m.d.comb += self.i.ready.eq((wait == 0) & (left == 0))
        with m.If(wait != 0):
            m.d.sync += wait.eq(wait - 1)
        with m.Elif(left != 0):
            m.d.sync += [wait.eq(self._cycles - 1), left.eq(left - 1), self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 1))]
        with m.Elif(self.i.valid):
            m.d.sync += [
                wait.eq(self._cycles - 1),
                left.eq(9),
                self.tx.eq(0),
                bits.eq(Cat(self.i.payload, 1)),
            ]
        return m


def _checked(cycles: int) -> int:
    if require_positive("cycles", cycles) < _CYCLES_LEAST:
        raise ValueError(f"cycles must be at least {_CYCLES_LEAST}, not {cycles}")
    return cycles
