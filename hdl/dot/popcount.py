"""The popcount unit: how many of `width` gates of a weight bit and an activation bit yield 1."""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby

from amaranth.hdl import Instance, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ...compiler.folds.folding import Popcount as PopcountKind
from ...compiler.planes import Gate
from ..streams.stream import require_positive
from ..verilog_text import SharedModules
from .lut6 import Terms, absorb, add_up, compress, plan

__all__ = ["XnorPopcount"]


class XnorPopcount(wiring.Component):
    """count = popcount(xnor(x, w)), pipelined; any bit may have another gate than XNOR, at no cost.

    The pipeline runs free: a pair (x, w) a cycle goes in, its count comes out `latency` cycles later. Registers have
    no reset; what comes out in the first `latency` cycles means nothing.

    Latency: `stages` clock cycles.

    Parameters
    ----------
    width: number of bit pairs.
    kind: ADDERS, for any technology (an instance of hdl/verilog/xnorflow_popcount.v for every slice); LUT6,
        compressors of explicit Xilinx primitives (modelled for simulation in hdl/verilog/xnorflow_lut6.v).
    stages: register stages, spread evenly over the tree's delay. With one or more the count is registered.
    gates: the gate of each bit, None for XNORs.

    Members
    -------
    x, w: In(width), the activation bits and the weight bits.
    count: Out(range(width + 1)).
    """

    def __init__(
        self,
        width: int,
        *,
        kind: PopcountKind = PopcountKind.ADDERS,
        stages: int = 0,
        gates: Sequence[Gate] | None = None,
    ) -> None:
        self._width = require_positive("width", width)
        self._gates = (Gate.XNOR,) * width if gates is None else tuple(gates)
        if len(self._gates) != width:
            raise ValueError(f"gates must be one for each of {width} bits, not {len(self._gates)}")
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

    def reference(self, x: int, w: int) -> int:
        """The count for bit vectors held as integers."""
        outputs = {Gate.XNOR: ~(x ^ w), Gate.AND: x & w, Gate.ANDN: ~x & w}
        return sum(outputs[gate] >> k & 1 for k, gate in enumerate(self._gates))

    @property
    def module_name(self) -> str:
        """Of the Verilog module that all such units share."""
        name = f"xnorflow_popcount_{self._kind}_{self._width}_{self._stages}"
        if set(self._gates) == {Gate.XNOR}:
            return name
        return f"{name}_{zlib.crc32(' '.join(self._gates).encode()):08x}"

    def elaborate(self, platform: object) -> Module:
        """Levels of a tree, registers between them."""
        if isinstance(platform, SharedModules):
            return platform.place(self.module_name, self)
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
        x, w = self._as_xnors(m)
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
                    i_x=x[start : start + width],
                    i_w=w[start : start + width],
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

    def _as_xnors(self, m: Module) -> tuple[Value, Value]:
        """x and w whose XNORs are the outputs of the gates: other gates' outputs stand in x, beside ones in w."""
        if all(gate is Gate.XNOR for gate in self._gates):
            return self.x, self.w
        x, w = Signal(self._width), Signal(self._width)
        start = 0
        for gate, group in groupby(self._gates):
            end = start + len(list(group))
            bits, weights = self.x[start:end], self.w[start:end]
            match gate:
                case Gate.XNOR:
                    m.d.comb += [x[start:end].eq(bits), w[start:end].eq(weights)]
                case Gate.AND:
                    m.d.comb += [x[start:end].eq(weights & bits), w[start:end].eq(~0)]
                case Gate.ANDN:
                    m.d.comb += [x[start:end].eq(weights & ~bits), w[start:end].eq(~0)]
            start = end
        return x, w

    def _lut6_levels(self, m: Module) -> "list[_Level]":
        top = self._width.bit_length()
        first = absorb(m, self.x, self.w, self._gates)
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
