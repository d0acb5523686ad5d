"""Counts to codes by comparing with all thresholds: as few comparators as keep up, each row's thresholds in rounds."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import Memory
from ..dot.arithmetic import adder_tree
from ..dot.rom import Rom, memories_of
from .params import ThresholdParams

__all__ = ["Directions", "ThresholdUnit"]


class ThresholdUnit(wiring.Component):
    """code[r] = #{i : count[r] >= threshold[fold, r, i]} for PE rows at once; T minus that where a row descends.

    Where beats of counts come every SF cycles at the soonest, ceil(T / SF) comparators a row, each used in `rounds`
    successive cycles, keep up with them. All rows read the same word of one wide memory in each round; a binary search
    (`SearchUnit`) needs fewer comparators but a memory of its own for every row and level.

    Folds come in order: the unit counts them itself. Neither side can stall.

    Latency: `rounds` + 1 clock cycles. A new beat is accepted every `rounds` cycles.

    Parameters
    ----------
    params: thresholds, PE, folds and comparators.
    memory: the kind of memory for the thresholds.
    lut6: whether the target has LUT6_2, for a few words of thresholds.
    writable: whether the memories have write ports.

    Members
    -------
    i: In(stream), PE counts a beat, always ready.
    o: Out(stream), PE codes a beat, always taken.
    """

    def __init__(
        self, params: ThresholdParams, memory: Memory = Memory.AUTO, *, lut6: bool = False, writable: bool = False
    ) -> None:
        self._params = params
        self._rom = Rom(params.image, memory, lut6=lut6, writable=writable)
        self._directions = Directions(params, lut6=lut6, writable=writable)
        super().__init__(
            {
                "i": In(stream.Signature(params.pe * params.count_bits, always_ready=True)),
                "o": Out(stream.Signature(params.pe * params.code_bits, always_ready=True)),
            }
        )

    @property
    def params(self) -> ThresholdParams:
        """Thresholds, PE, folds."""
        return self._params

    @property
    def interval(self) -> int:
        """Cycles between two beats at the soonest."""
        return self._params.rounds

    @property
    def latency(self) -> int:
        """Cycles from a beat's counts to its codes."""
        return self._params.rounds + 1

    @property
    def roms(self) -> tuple[Rom, ...]:
        """Thresholds, and directions where rows have them."""
        return self._rom, *self._directions.roms

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return memories_of(self.roms)

    def elaborate(self, platform: object) -> Module:
        """A memory, a beat held, and comparators."""
        m = Module()
        p = self._params
        m.submodules.rom = self._rom

        # The address names the next word to compare; it moves when a beat enters and in all its rounds but the last.
        running = Signal(p.rounds)  # bit r: round r of the beat held takes place
        moves = Signal()
        m.d.comb += moves.eq(self.i.valid | running[: p.rounds - 1].any())
        m.d.sync += [running.eq(Cat(self.i.valid, running[: p.rounds - 1])), self.o.valid.eq(running[-1])]
        with m.If(moves):
            m.d.sync += self._rom.addr.eq(Mux(self._rom.addr == p.image.depth - 1, 0, self._rom.addr + 1))

        held = Signal(p.pe * p.count_bits, reset_less=True)
        with m.If(self.i.valid):
            m.d.sync += held.eq(self.i.payload)
        thresholds = Signal(data.ArrayLayout(data.ArrayLayout(p.threshold_bits, p.comparators), p.pe))
        m.d.comb += thresholds.eq(self._rom.data)
        codes = Signal(p.pe * p.code_bits)
        for row in range(p.pe):
            count = held.word_select(row, p.count_bits)
            reached = [count >= thresholds[row][c] for c in range(p.comparators)]
            code = codes.word_select(row, p.code_bits)
            with m.If(running.any()):
                m.d.sync += code.eq(Mux(running[0], 0, code) + adder_tree(m, reached, f"reached_{row}"))
        m.d.comb += self.o.payload.eq(self._directions.applied(m, codes, self.o.valid))
        return m


class Directions:
    """Codes of rows that descend: T - code, by a bit for each row and fold. No hardware where no row does."""

    def __init__(self, params: ThresholdParams, *, lut6: bool, writable: bool) -> None:
        self._params = params
        self._rom = None if params.flags is None else Rom(params.flags, lut6=lut6, writable=writable)

    @property
    def roms(self) -> tuple[Rom, ...]:
        """The memory of the bits, if there are any."""
        return () if self._rom is None else (self._rom,)

    def applied(self, m: Module, codes: Value, valid: Value) -> Value:
        """The codes of a beat as they go out; `valid` is high in the cycle of a beat, folds come in order."""
        if self._rom is None:
            return codes
        p = self._params
        m.submodules.directions = rom = self._rom
        fold, following = Signal(range(p.folds)), Signal(range(p.folds))
        # The memory is read a cycle ahead: it shows the flags of the beat that may come.
        m.d.comb += [
            following.eq(Mux(valid, Mux(fold == p.folds - 1, 0, fold + 1), fold)),
            rom.addr.eq(following),
        ]
        m.d.sync += fold.eq(following)
        turned: list[Value] = []
        for row in range(p.pe):
            code = codes.word_select(row, p.code_bits)
            turned.append(Mux(rom.data[row], p.levels - code, code)[: p.code_bits])
        return Cat(turned)
