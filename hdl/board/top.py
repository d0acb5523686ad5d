"""The top of a board with a UART: the clock pin, power-on reset, and an accelerator behind two pins."""

from amaranth.hdl import ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...boards.loader import Board
from ...errors import HardwareError
from .linked import LinkedAccelerator
from .uart import bit_cycles

__all__ = ["RESET_CYCLES", "BoardTop"]

RESET_CYCLES = 1023
"""Cycles of reset after configuration: block RAMs of an iCE40 give nothing right for their first 3 microseconds."""


class BoardTop(wiring.Component):
    """What goes into a device: `clk` is the board's oscillator, `rx` and `tx` are its UART.

    Parameters
    ----------
    board: the clock and the baud rate. HardwareError for one without a UART, or with a clock that a PLL has to make.
    accelerator, beats, network_hash: as for `LinkedAccelerator`.

    Members
    -------
    clk: In(1). rx: In(1), tx: Out(1), high when idle.
    """

    def __init__(self, board: Board, accelerator: wiring.Component, beats: int, network_hash: str) -> None:
        if board.interface.baud is None:
            raise HardwareError(f"board {board.name} has no UART (interface {board.interface.kind}): no top is built")
        if board.clock.pll:
            raise HardwareError(f"board {board.name}: a clock of {board.clock.hz} Hz needs a PLL, which is not built")
        cycles = bit_cycles(board.clock.hz, board.interface.baud)
        self._linked = LinkedAccelerator(accelerator, beats, network_hash, cycles=cycles)
        super().__init__({"clk": In(1), "rx": In(1, init=1), "tx": Out(1, init=1)})

    @property
    def linked(self) -> LinkedAccelerator:
        """The accelerator behind its pins."""
        return self._linked

    def elaborate(self, platform: object) -> Module:
        """Two domains on one clock: one counts from configuration on, the other is reset until it has."""
        m = Module()
        m.domains += [ClockDomain("sync"), ClockDomain("start", reset_less=True)]
        waited = Signal(range(RESET_CYCLES + 1))
        done = Signal()
        m.submodules.linked = linked = self._linked
        m.d.comb += [
            ClockSignal("sync").eq(self.clk),
            ClockSignal("start").eq(self.clk),
            ResetSignal("sync").eq(~done),
            linked.rx.eq(self.rx),
            self.tx.eq(linked.tx),
        ]
        with m.If(waited == RESET_CYCLES):
            m.d.start += done.eq(1)
        with m.Else():
            m.d.start += waited.eq(waited + 1)
        return m
