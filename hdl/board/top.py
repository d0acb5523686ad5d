"""The top of a board with a UART: the clock pin, power-on reset, and an accelerator behind two pins."""

from amaranth.hdl import ClockDomain, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

from ...boards.loader import Board
from ...boards.tools import PLL_CLOCK, gowin_device
from ...errors import HardwareError
from .linked import LinkedAccelerator
from .pll import Pll
from .uart import bit_cycles

__all__ = ["RESET_CYCLES", "BoardTop"]

RESET_CYCLES = 1023
"""Cycles of reset after configuration: block RAMs of an iCE40 give nothing right for their first 3 microseconds."""


class BoardTop(wiring.Component):
    """What goes into a device: `clk` is the board's oscillator, `rx` and `tx` are its UART.

    Parameters
    ----------
    board: the clock, with the PLL that makes it, and the baud rate, which follows from the clock that it really makes.
        HardwareError for one without a UART, or whose clock makes no such baud rate.
    accelerator, beats, network_hash: as for `LinkedAccelerator`.

    Members
    -------
    clk: In(1). rx: In(1), tx: Out(1), high when idle.
    """

    def __init__(self, board: Board, accelerator: wiring.Component, beats: int, network_hash: str) -> None:
        if board.interface.baud is None:
            raise HardwareError(f"board {board.name} has no UART (interface {board.interface.kind}): no top is built")
        setting = board.pll
        self._pll = None if setting is None else Pll(setting, gowin_device(board))
        cycles = bit_cycles(board.hz, board.interface.baud)
        self._linked = LinkedAccelerator(accelerator, beats, network_hash, cycles=cycles)
        super().__init__({"clk": In(1), "rx": In(1, init=1), "tx": Out(1, init=1)})

    @property
    def linked(self) -> LinkedAccelerator:
        """The accelerator behind its pins."""
        return self._linked

    def elaborate(self, platform: object) -> Module:
        """Two domains on one clock: one counts from configuration or the PLL's lock on, the other is reset until it
        has."""
        m = Module()
        clock = Signal(name=PLL_CLOCK)
        domains = ClockDomain("sync"), ClockDomain("start", reset_less=True)
        for domain in domains:
            domain.clk = clock
            m.domains += domain
        waited = Signal(range(RESET_CYCLES + 1))
        done, runs = Signal(), Signal()
        m.submodules.linked = linked = self._linked
        m.d.comb += [
            ResetSignal("sync").eq(~done),
            linked.rx.eq(self.rx),
            self.tx.eq(linked.tx),
        ]
        if self._pll is None:
            m.d.comb += [clock.eq(self.clk), runs.eq(1)]
        else:
            m.submodules.pll = pll = self._pll
            m.submodules.locked = FFSynchronizer(pll.locked, runs, o_domain="start")
            m.d.comb += [pll.i.eq(self.clk), clock.eq(pll.o)]
        with m.If(~runs):
            m.d.start += [waited.eq(0), done.eq(0)]
        with m.Elif(waited == RESET_CYCLES):
            m.d.start += done.eq(1)
        with m.Else():
            m.d.start += waited.eq(waited + 1)
        return m
