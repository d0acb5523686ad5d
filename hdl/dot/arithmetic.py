"""Sums of many terms as balanced trees."""

from collections.abc import Sequence

from amaranth.hdl import Module, Signal, Value

__all__ = ["adder_tree"]


def adder_tree(m: Module, terms: Sequence[Value], name: str) -> Value:
    """The unsigned sum of `terms` as a balanced tree in `m`'s combinational domain.

    Every partial sum is a signal of its own: an expression tree is elaborated once for every place it is used in,
    and a chain (Python's `sum`) costs quadratic time.
    """
    level = list(terms)
    depth = 0
    while len(level) > 1:
        sums: list[Value] = []
        for index in range(0, len(level) - 1, 2):
            total = level[index] + level[index + 1]
            partial = Signal(total.shape(), name=f"{name}_{depth}_{index // 2}")
            m.d.comb += partial.eq(total)
            sums.append(partial)
        level = sums + level[2 * len(sums) :]
        depth += 1
    return level[0]
