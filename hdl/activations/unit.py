"""Counts to codes: the unit that a layer's parameters ask for, and the same with streams around it."""

from typing import TypeAlias

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...compiler.cost.activation_cost import search_is_cheaper
from ...compiler.folds.folding import Memory
from ..dot.rom import Rom
from ..streams.buffer import StreamFifo
from ..streams.stream import beat_signature
from ..timing.frames import Cell, Work
from .params import ActivationParams, RequantizeParams
from .requantizer import Requantizer
from .search import SearchUnit
from .threshold import ThresholdUnit

__all__ = ["ActivationUnit", "StreamActivation", "activation_unit"]

ActivationUnit: TypeAlias = ThresholdUnit | SearchUnit | Requantizer


def activation_unit(
    params: ActivationParams, memory: Memory = Memory.AUTO, *, lut6: bool = False, writable: bool = False
) -> ActivationUnit:
    """The unit for `params`: multiply, add and shift, or the cheaper of comparing with all thresholds and searching."""
    if isinstance(params, RequantizeParams):
        return Requantizer(params, memory, lut6=lut6, writable=writable)
    shape = (params.levels, params.threshold_bits, params.pe, params.folds, params.interval)
    unit = SearchUnit if search_is_cheaper(*shape, memory) else ThresholdUnit
    return unit(params, memory, lut6=lut6, writable=writable)


class StreamActivation(wiring.Component):
    """Counts to codes between two streams, for what stands behind no engine: a pool of accumulators, a sum.

    The unit inside runs free; a beat enters it when the output FIFO has room for it, counting the beats under way.

    Latency: the unit's plus 1. One beat every `unit.interval` cycles.

    Parameters
    ----------
    unit: what finds the codes.

    Members
    -------
    i: In(stream), PE counts a beat, `params.folds` beats a vector.
    o: Out(stream), PE codes a beat, pad elements 0.
    """

    def __init__(self, unit: ActivationUnit) -> None:
        self._unit = unit
        params = unit.params
        super().__init__(
            {
                "i": In(beat_signature(params.pe, params.count_bits)),
                "o": Out(beat_signature(params.pe, params.code_bits)),
            }
        )

    @property
    def params(self) -> ActivationParams:
        """Thresholds, or multipliers and offsets."""
        return self._unit.params

    @property
    def latency(self) -> int:
        """Cycles from a beat at `i` to its codes at `o`, the FIFO being empty."""
        return self._unit.latency + 1

    @property
    def fifo_depth(self) -> int:
        """Beats that can be under way: a credit returns `latency` + 1 cycles after its use at the soonest."""
        return max(2, -(-(self.latency + 1) // self._unit.interval) + 1)

    @property
    def roms(self) -> tuple[Rom, ...]:
        """The unit's memories."""
        return self._unit.roms

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return self._unit.memories

    @property
    def timing(self) -> tuple[Cell, ...]:
        """Its handshakes."""
        return (Work(1, delay=self.latency - 1, depth=self.fifo_depth, interval=self._unit.interval),)

    def elaborate(self, platform: object) -> Module:
        """Credits, the unit, a FIFO."""
        m = Module()
        m.submodules.unit = unit = self._unit
        m.submodules.output = output = StreamFifo(len(self.o.payload), depth=self.fifo_depth)
        wiring.connect(m, output.o, wiring.flipped(self.o))
        credits = Signal(range(self.fifo_depth + 1), init=self.fifo_depth)
        free = Signal()  # the unit takes a beat every so many cycles
        enters = Signal()
        waits = Signal(range(unit.interval))
        m.d.comb += free.eq(~waits.any())
        with m.If(enters):
            m.d.sync += waits.eq(unit.interval - 1)
        with m.Elif(~free):
            m.d.sync += waits.eq(waits - 1)
        m.d.comb += [
            self.i.ready.eq(credits.any() & free),
            enters.eq(self.i.valid & self.i.ready),
            unit.i.valid.eq(enters),
            unit.i.payload.eq(self.i.payload),
            output.i.valid.eq(unit.o.valid),
            output.i.payload.eq(unit.o.payload),
        ]
        m.d.sync += credits.eq(credits - enters + (self.o.valid & self.o.ready))
        return m
