"""The XNOR-popcount unit: how many of `width` weight bits agree with their activation bits."""

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..compiler.folding import Popcount as PopcountKind
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
    kind: ADDERS, a balanced adder tree for any technology; LUT6, compressors of explicit Xilinx primitives.
    stages: register stages, spread evenly over the tree's levels. With one or more the count is registered.

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
        """A balanced tree."""
        m = Module()
        agree = Signal(self._width)
        m.d.comb += agree.eq(~(self.x ^ self.w))
        level = [agree[k] for k in range(self._width)]
        levels = max(1, (self._width - 1).bit_length())
        # Register stage s stands behind level ceil(s * levels / stages); several may share a level of a small tree.
        behind = [-(-s * levels // self._stages) for s in range(1, self._stages + 1)]
        for depth in range(1, levels + 1):
            pairs = [level[k : k + 2] for k in range(0, len(level), 2)]
            sums = []
            for index, pair in enumerate(pairs):
                total = Signal(range(min(1 << depth, self._width - (index << depth)) + 1), name=f"sum_{depth}_{index}")
                m.d.comb += total.eq(pair[0] + pair[1] if len(pair) == 2 else pair[0])
                sums.append(total)
            for stage in range(behind.count(depth)):
                held = [Signal.like(s, name=f"{s.name}_q{stage}", reset_less=True) for s in sums]
                m.d.sync += [q.eq(s) for q, s in zip(held, sums, strict=True)]
                sums = held
            level = sums
        m.d.comb += self.count.eq(level[0])
        return m
