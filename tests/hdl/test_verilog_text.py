"""Verilog text: parts that stand there many times are modules of their own, written once."""

import re

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from xnorflow.compiler.folds.folding import Popcount
from xnorflow.compiler.planes import Gate
from xnorflow.hdl.dot.popcount import XnorPopcount
from xnorflow.hdl.verilog_text import to_verilog


class Counts(wiring.Component):
    """Popcounts side by side, one of them with other gates and one without a register."""

    def __init__(self, kind: Popcount) -> None:
        self._kind = kind
        super().__init__({"x": In(9), "w": In(9), "total": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        gates = [Gate.AND] * 4 + [Gate.XNOR] * 5
        options = ({"stages": 1}, {"stages": 1}, {"stages": 1, "gates": gates}, {"stages": 0})
        total = Signal(8)
        for index, option in enumerate(options):
            m.submodules[f"count_{index}"] = unit = XnorPopcount(9, kind=self._kind, **option)
            m.d.comb += [unit.x.eq(self.x), unit.w.eq(self.w)]
            total = total + unit.count
        m.d.comb += self.total.eq(total)
        return m


@pytest.mark.parametrize("kind", Popcount)
def test_equal_parts_are_one_module(kind: Popcount) -> None:
    text, shared = to_verilog(Counts(kind), "top")
    assert [name for name in shared if name.endswith("_9_1")] == [f"xnorflow_popcount_{kind}_9_1"]
    assert len(shared) == len(set(shared)) == 3
    for name in shared:
        assert len(re.findall(rf"^module {name}\(", text, re.MULTILINE)) == 1
        assert len(re.findall(rf"^  {name} ", text, re.MULTILINE)) == (2 if name.endswith("_9_1") else 1)
    registered, combinational = (text.partition(f"module xnorflow_popcount_{kind}_9_{n}(")[2] for n in (1, 0))
    assert "clk" in registered.partition(")")[0]
    assert "clk" not in combinational.partition(")")[0]


def test_the_top_module_comes_first() -> None:
    text, _ = to_verilog(Counts(Popcount.ADDERS), "top")
    assert re.findall(r"^module (\S+?)\(", text, re.MULTILINE)[0] == "top"
