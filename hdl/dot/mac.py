"""The multiply-accumulate unit of a row: the sum of SIMD products."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..activations.params import signed_bits
from ..streams.stream import require_positive
from ..verilog_text import SharedModules

__all__ = ["MacUnit"]


class MacUnit(wiring.Component):
    """total = sum of w[k] * x[k], pipelined: a multiplier for each column and a balanced tree of adders.

    The pipeline runs free: x and w go in every cycle, their total comes out `latency` cycles later. What comes
    out in the first `latency` cycles means nothing. A product is a plain `*` of signed numbers with a register behind
    it, which synthesis puts into a DSP block where the family has one (and into LUTs otherwise).

    Latency: `stages` + 1 clock cycles; the last register stands behind the tree.

    Parameters
    ----------
    columns: SIMD.
    word_bits: bits of a weight, two's complement.
    level_bits: bits of a level, not negative.
    stages: registers in front of the last one: the first behind the products, the others between levels of the tree.

    Members
    -------
    x: In, the levels, column 0 in the least significant bits.
    w: In, the weights likewise.
    total: Out, signed.
    """

    def __init__(self, columns: int, *, word_bits: int, level_bits: int, stages: int = 1) -> None:
        self._columns = require_positive("columns", columns)
        self._word_bits = require_positive("word_bits", word_bits)
        self._level_bits = require_positive("level_bits", level_bits)
        if not isinstance(stages, int) or stages < 0:
            raise ValueError(f"stages must be an integer of at least 0, not {stages!r}")
        self._stages = stages
        super().__init__(
            {
                "x": In(columns * level_bits),
                "w": In(columns * word_bits),
                "total": Out(signed(self._sum_bits(columns))),
            }
        )

    @property
    def latency(self) -> int:
        """Clock cycles from x and w to their total."""
        return self._stages + 1

    @property
    def module_name(self) -> str:
        """Of the Verilog module that all such units share."""
        return f"xnorflow_mac_{self._columns}_{self._word_bits}_{self._level_bits}_{self._stages}"

    def reference(self, x: int, w: int) -> int:
        """The total for bit vectors held as integers."""
        level, word = (1 << self._level_bits) - 1, (1 << self._word_bits) - 1
        total = 0
        for _ in range(self._columns):
            weight = w & word
            total += (weight - (weight >> self._word_bits - 1 << self._word_bits)) * (x & level)
            x, w = x >> self._level_bits, w >> self._word_bits
        return total

    def elaborate(self, platform: object) -> Module:
        """Products, and pairs of sums with registers between."""
        if isinstance(platform, SharedModules):
            return platform.place(self.module_name, self)
        m = Module()
        terms: list[tuple[int, Value]] = []  # how many products each is the sum of
        for column in range(self._columns):
            weight = self.w.word_select(column, self._word_bits).as_signed()
            product = Signal(signed(self._sum_bits(1)), name=f"product_{column}")
            m.d.comb += product.eq(weight * self.x.word_select(column, self._level_bits))
            terms.append((1, product))
        depth = (self._columns - 1).bit_length()
        registers = [stage * depth // self._stages for stage in range(self._stages)]
        for level in range(depth + 1):
            if level:
                terms = self._paired(m, terms, level)
            for number in range(registers.count(level)):
                # Yosys 0.70's ice40_dsp takes the register of a sum's other operand into the SB_MAC16, even if that
                # is the register of another product, which it then takes a second time: the operand is lost. A
                # product with a reset stays outside, and of each pair one is enough. No other family minds.
                apart = level == 0 and number == 0
                terms = [
                    (n, self._held(m, value, f"held_{level}_{number}_{k}", reset=apart and k % 2 == 1))
                    for k, (n, value) in enumerate(terms)
                ]
        ((_, total),) = terms
        m.d.comb += self.total.eq(self._held(m, total, "sum"))
        return m

    def _paired(self, m: Module, terms: Sequence[tuple[int, Value]], level: int) -> list[tuple[int, Value]]:
        """Sums of two terms each; one that is left over goes on."""
        sums: list[tuple[int, Value]] = []
        for index in range(0, len(terms) - 1, 2):
            (n, one), (k, other) = terms[index : index + 2]
            total = Signal(signed(self._sum_bits(n + k)), name=f"sum_{level}_{index // 2}")
            m.d.comb += total.eq(one + other)
            sums.append((n + k, total))
        return sums + list(terms[2 * len(sums) :])

    def _held(self, m: Module, value: Value, name: str, *, reset: bool = False) -> Value:
        """The value of the cycle before."""
        held = Signal(value.shape(), name=name, reset_less=not reset)
        m.d.sync += held.eq(value)
        return held

    def _sum_bits(self, columns: int) -> int:
        """Bits of a signed sum of so many products."""
        most = columns * ((1 << self._level_bits) - 1)
        return signed_bits(-most << self._word_bits - 1, most * ((1 << self._word_bits - 1) - 1))
