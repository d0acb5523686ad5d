"""Levels of activation codes as bit planes, and their shifts where weights are powers of two (`compiler/planes.py`).

A plane is a vector of one bit of every element of a beat: logic works on whole planes.
"""

from collections.abc import Sequence
from functools import reduce
from operator import and_, or_

from amaranth.hdl import Const, Module, Signal, Value

from ...compiler.planes import DotForm

__all__ = ["level_planes", "shifted_planes"]


def level_planes(m: Module, codes: Value, form: DotForm) -> list[Value]:
    """The planes of the levels of a beat of `codes`, element 0 in the least significant bits; combinational.

    Powers of two are decoded: a plane is the OR over the codes whose level has its bit. With n-bit codes that is a
    function of n bits: a LUT or two an element and plane, shared by all rows.
    """
    bits = form.activation_bits
    of_codes = [codes[bit::bits] for bit in range(bits)]
    if not form.decodes:
        return of_codes
    hits: list[Value] = []
    for code in range(len(form.level_table)):
        hit = Signal(len(of_codes[0]), name=f"code_{code}")
        m.d.comb += hit.eq(reduce(and_, (p if code >> bit & 1 else ~p for bit, p in enumerate(of_codes))))
        hits.append(hit)
    planes: list[Value] = []
    for bit in range(form.level_bits):
        plane = Signal(len(of_codes[0]), name=f"level_{bit}")
        chosen = [hit for hit, level in zip(hits, form.level_table.tolist(), strict=True) if level >> bit & 1]
        m.d.comb += plane.eq(reduce(or_, chosen, Const(0)))
        planes.append(plane)
    return planes


def shifted_planes(m: Module, planes: Sequence[Value], shift: Sequence[Value], count: int, name: str) -> list[Value]:
    """`count` planes of levels, each shifted to the left by its own amount, whose bits are the planes `shift`.

    A stage for each bit of the amount: by 2^k or not at all. What is shifted out of `count` planes is 0.
    """
    width = len(planes[0])
    zero = Const(0, width)
    stage: list[Value] = [*planes, *[zero] * (count - len(planes))]
    for k, moves in enumerate(shift):
        moved: list[Value] = []
        for index in range(count):
            below = stage[index - (1 << k)] if index >= 1 << k else zero
            plane = Signal(width, name=f"{name}_{k}_{index}")
            m.d.comb += plane.eq((stage[index] & ~moves) | (below & moves))
            moved.append(plane)
        stage = moved
    return stage
