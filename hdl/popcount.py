"""The XNOR-popcount unit: how many of `width` weight bits agree with their activation bits."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from amaranth.hdl import Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..compiler.folding import Popcount as PopcountKind
from .lut6 import Terms, absorb, add_up, compress, plan
from .stream import require_positive

__all__ = ["XnorPopcount"]


class XnorPopcount(wiring.Component):
    """count = popcount(xnor(x, w)), pipelined.

    The pipeline runs free: a pair (x, w) a cycle goes in, its count comes out `latency` cycles later. Registers have
    no reset; what comes out in the first `latency` cycles means nothing.

    Latency: `stages` clock cycles.

    Parameters
    ----------
    width: number of bit pairs.
    kind: ADDERS, for any technology (an instance of hdl/verilog/xnorflow_popcount.v for every slice); LUT6,
        compressors of explicit Xilinx primitives (modelled for simulation in hdl/verilog/xnorflow_lut6.v).
    stages: register stages, spread evenly over the tree's delay. With one or more the count is registered.

    Members
    -------
    x, w: In(width), the activation bits and the weight bits.
    count: Out(range(width + 1)).
    """

    def __init__(self, width: int, *, kind: PopcountKind = PopcountKind.ADDERS, stages: int = 0) -> None:
        self._width = require_positive("width", width)
        if not isinstance(kind, PopcountKind):
            raise TypeError(f"kind must be a Popcount, not {kind!r}")
        if not isinstance(stages, int) or stages < 0:
            raise ValueError(f"stages must be an integer of at least 0, not {stages!r}")
        self._kind = kind
        self._stages = stages
        super().__init__({"x": In(width), "w": In(width), "count": Out(range(width + 1))})

    @property
    def latency(self) -> int:
        """Clock cycles from (x, w) to their count."""
        return self._stages

    @staticmethod
    def reference(x: int, w: int, width: int) -> int:
        """The count for bit vectors held as integers."""
        return (~(x ^ w) & ((1 << width) - 1)).bit_count()

    def elaborate(self, platform: object) -> Module:
        """Levels of a tree, registers between them."""
        m = Module()
        levels = self._lut6_levels(m) if self._kind is PopcountKind.LUT6 else self._adder_levels(m)
        terms: Terms = {}
        for number, (level, registers) in enumerate(zip(levels, _spread(levels, self._stages), strict=True)):
            terms = level.build(terms)
            for register in range(registers):
                terms = _hold(m, terms, f"level_{number}_{register}")
        m.d.comb += self.count.eq(terms[0][0])
        return m

    def _adder_levels(self, m: Module) -> "list[_Level]":
        """Slices of a power of two, counted by `xnorflow_popcount`, then pairs of sums.

        All that lies before the first register is in the slices: a synthesis tool finds better adders for one sum of
        many bits than for a tree of sums.
        """
        depth = (self._width - 1).bit_length()  # levels of a tree of pairs
        sliced = -(-depth // self._stages) if self._stages else depth
        size = 1 << sliced

        def count_slices(_: Terms) -> Terms:
            counts = []
            for index, start in enumerate(range(0, self._width, size)):
                width = min(size, self._width - start)
                part = Signal(range(width + 1), name=f"slice_{index}")
                m.submodules[f"slice_{index}"] = Instance(
                    "xnorflow_popcount",
                    p_WIDTH=width,
                    p_COUNT_WIDTH=len(part),
                    i_x=self.x[start : start + width],
                    i_w=self.w[start : start + width],
                    o_count=part,
                )
                counts.append(part)
            return {0: counts}

        def add_pairs(terms: Terms, *, level: int) -> Terms:
            sums = []
            for index, start in enumerate(range(0, len(terms[0]), 2)):
                pair = terms[0][start : start + 2]
                most = min(size << level, self._width - index * (size << level))
                total = Signal(range(most + 1), name=f"sum_{level}_{index}")
                m.d.comb += total.eq(pair[0] + pair[1] if len(pair) == 2 else pair[0])
                sums.append(total)
            return {0: sums}

        pairs = [_Level(1, partial(add_pairs, level=level)) for level in range(1, depth - sliced + 1)]
        return [_Level(max(1, sliced), count_slices), *pairs]

    def _lut6_levels(self, m: Module) -> "list[_Level]":
        top = self._width.bit_length()
        first = absorb(m, self.x, self.w)
        rounds = plan({j: len(bits) for j, bits in first.items()}, top - 1)
        # Delays in LUT levels; a carry chain is about as quick again as the LUT in front of it.
        levels = [_Level(3, lambda _: first)]
        for number, blocks in enumerate(rounds):
            levels.append(_Level(2, partial(compress, m, blocks=blocks, prefix=f"compress_{number}")))
        levels.append(_Level(2, lambda terms: {0: [add_up(m, terms, top)]}))
        return levels


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of a tree: its delay against the others', and what makes the next terms of the present ones."""

    delay: int
    build: Callable[[Terms], Terms]


def _spread(levels: Sequence[_Level], stages: int) -> list[int]:
    """Register stages behind each level: the last behind the last level, the others at even parts of the delay."""
    ends = [sum(level.delay for level in levels[: k + 1]) for k in range(len(levels))]
    registers = [0] * len(levels)
    for stage in range(1, stages + 1):
        wanted = ends[-1] * stage / stages
        registers[min(range(len(levels)), key=lambda k: abs(ends[k] - wanted))] += 1
    return registers


def _hold(m: Module, terms: Terms, prefix: str) -> Terms:
    """All terms, one clock cycle later."""
    held: Terms = {}
    for j, bits in terms.items():
        held[j] = [Signal(bit.shape(), name=f"{prefix}_{j}_{n}", reset_less=True) for n, bit in enumerate(bits)]
        m.d.sync += [q.eq(bit) for q, bit in zip(held[j], bits, strict=True)]
    return held
