"""Counts to codes by multiply, add and shift."""

from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import Memory
from ..dot.rom import Rom
from .params import RequantizeParams

__all__ = ["Requantizer"]


class Requantizer(wiring.Component):
    """code[r] = clip((multiplier[fold, r] * count[r] + offset[fold, r]) >> shift, 0, 2^bits - 1) for PE rows at once.

    For each row one multiplier, which synthesis puts into a DSP block or into LUTs; it has registers in front and
    behind, the sum has one too, and the shift is wires. Folds come in order: the unit counts them itself. Neither side
    can stall.

    Latency: 4 clock cycles (constants, product, sum, clamp). One beat a cycle.

    Parameters
    ----------
    params: multipliers, offsets, shift, PE, folds.
    memory: the kind of memory for the constants.
    lut6: whether the target has LUT6_2, for a few words of constants.
    writable: whether the memory has a write port.

    Members
    -------
    i: In(stream), PE counts a beat, always ready.
    o: Out(stream), PE codes a beat, always taken.
    """

    def __init__(
        self, params: RequantizeParams, memory: Memory = Memory.AUTO, *, lut6: bool = False, writable: bool = False
    ) -> None:
        self._params = params
        self._rom = Rom(params.image, memory, lut6=lut6, writable=writable)
        super().__init__(
            {
                "i": In(stream.Signature(params.pe * params.count_bits, always_ready=True)),
                "o": Out(stream.Signature(params.pe * params.code_bits, always_ready=True)),
            }
        )

    @property
    def params(self) -> RequantizeParams:
        """Multipliers, offsets, shift, PE, folds."""
        return self._params

    @property
    def interval(self) -> int:
        """Cycles between two beats at the soonest."""
        return 1

    @property
    def latency(self) -> int:
        """Cycles from a beat's counts to its codes."""
        return 4

    @property
    def roms(self) -> tuple[Rom, ...]:
        """The constants."""
        return (self._rom,)

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return self._rom.memories

    def elaborate(self, platform: object) -> Module:
        """A memory and four registers in a row."""
        m = Module()
        p = self._params
        m.submodules.rom = self._rom
        with m.If(self.i.valid):
            m.d.sync += self._rom.addr.eq(Mux(self._rom.addr == p.folds - 1, 0, self._rom.addr + 1))
        under_way = Signal(self.latency)
        m.d.sync += under_way.eq(Cat(self.i.valid, under_way))
        m.d.comb += self.o.valid.eq(under_way[-1])

        size = p.multiplier_bits + p.offset_bits
        codes: list[Value] = []
        for row in range(p.pe):
            count = Signal(p.count_bits, name=f"count_{row}", reset_less=True)
            m.d.sync += count.eq(self.i.payload.word_select(row, p.count_bits))
            constants = self._rom.data.word_select(row, size)
            product = Signal(signed(p.multiplier_bits + p.count_bits), name=f"product_{row}", reset_less=True)
            offset = Signal(signed(p.offset_bits), name=f"offset_{row}", reset_less=True)
            m.d.sync += [
                product.eq(constants[: p.multiplier_bits].as_signed() * count),
                offset.eq(constants[p.multiplier_bits :].as_signed()),
            ]
            total = Signal(signed(p.sum_bits), name=f"sum_{row}", reset_less=True)
            m.d.sync += total.eq(product + offset)
            shifted = (total >> p.shift).as_signed()
            code = Signal(p.code_bits, name=f"code_{row}", reset_less=True)
            m.d.sync += code.eq(Mux(shifted < 0, 0, Mux(shifted > (1 << p.bits) - 1, (1 << p.bits) - 1, shifted)))
            codes.append(code)
        m.d.comb += self.o.payload.eq(Cat(codes))
        return m
