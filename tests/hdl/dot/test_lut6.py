"""The compressor tree: its plan, its size, and a formal proof that it counts what the adders count."""

import re
from collections import Counter
from pathlib import Path

import pytest
from amaranth.back import verilog
from hypothesis import given, settings
from hypothesis import strategies as st
from proof import PROOF, needs_yosys, prove

from xnorflow.compiler.folds.folding import Popcount
from xnorflow.hdl.dot.lut6 import Compressor, plan, table
from xnorflow.hdl.dot.popcount import XnorPopcount
from xnorflow.hdl.tools import synthesis

OWN_VERILOG = Path(synthesis.__file__).parent.parent / "verilog"


def unit_verilog(width: int, kind: Popcount) -> str:
    return verilog.convert(XnorPopcount(width, kind=kind), name=str(kind), emit_src=False, strip_internal_attrs=True)


@pytest.mark.parametrize(("width", "most"), [(1, 1), (2, 1), (3, 3), (8, 8), (16, 14), (64, 54), (256, 212)])
def test_takes_no_more_luts_than_it_did(width: int, most: int) -> None:
    cells = Counter(re.findall(r"^  (LUT6|LUT6_2|CARRY4) #?", unit_verilog(width, Popcount.LUT6), re.MULTILINE))
    assert cells["LUT6"] + cells["LUT6_2"] <= most


@settings(deadline=None)
@given(st.dictionaries(st.integers(0, 6), st.integers(0, 60), min_size=1))
def test_plan_leaves_what_the_addition_takes(heights: dict[int, int]) -> None:
    """Compressors keep the largest sum representable and take only bits that are there."""
    bits = sum(height << j for j, height in heights.items()).bit_length()
    now = dict(heights)
    left = dict(heights)
    for blocks in plan(left, bits - 1):
        assert blocks
        taken: Counter[int] = Counter()
        for block in blocks:
            taken.update({block.weight + 2 * k: count for k, count in enumerate(block.taken)})
        assert all(now[j] >= count for j, count in taken.items())
        for block in blocks:
            assert block.taken == (3,) or (6 <= block.taken[0] <= 7 and all(5 <= n <= 6 for n in block.taken[1:]))
            outputs = 2 if block.taken == (3,) else 2 * len(block.taken) + 1
            largest = sum(count << 2 * k for k, count in enumerate(block.taken))
            assert largest < 1 << outputs
            for k, count in enumerate(block.taken):
                now[block.weight + 2 * k] -= count
            for j in range(outputs):
                now[block.weight + j] = now.get(block.weight + j, 0) + 1
    assert now == left
    several = sorted(j for j, height in left.items() if height > 1)
    assert all(left[j] <= (5 if j == several[0] else 3) for j in several)


def test_plan_of_nothing_to_do() -> None:
    assert plan({0: 5, 1: 3}, 3) == []
    assert plan({0: 7}, 2) == [[Compressor(0, (7,))]]
    assert plan({0: 1, 1: 4, 2: 4}, 4) == [[Compressor(2, (3,))]]


def test_table_has_input_0_in_the_least_significant_place() -> None:
    assert table(lambda a, b: a and not b, 2) == 0b0010


@needs_yosys
@pytest.mark.slow
def test_compressors_of_xilinx_own_models_equal_adders(tmp_path: Path) -> None:
    """The proof reads Yosys' models of the primitives, not ours."""
    for kind in Popcount:
        (tmp_path / f"{kind}.v").write_text(unit_verilog(16, kind))
    (tmp_path / "popcount.v").write_text((OWN_VERILOG / "xnorflow_popcount.v").read_text())
    read = "\n".join(f"read_verilog {f}" for f in ("/proof/adders.v", "/proof/lut6.v", "/proof/popcount.v"))
    prove(
        tmp_path, f"{read}\nread_verilog +/xilinx/cells_sim.v\nproc\n{PROOF.format(one=Popcount.ADDERS, other='lut6')}"
    )


@needs_yosys
@pytest.mark.slow
def test_both_ways_to_write_a_popcount_are_one(tmp_path: Path) -> None:
    """What Verilator simulates equals what synthesis reads."""
    text = (OWN_VERILOG / "xnorflow_popcount.v").read_text()
    (tmp_path / "popcount.v").write_text(text)
    script = """
read_verilog -sv -DVERILATOR /proof/popcount.v
rename xnorflow_popcount simulated
read_verilog /proof/popcount.v
rename xnorflow_popcount synthesized
chparam -set WIDTH 16 -set COUNT_WIDTH 5 simulated synthesized
proc
"""
    prove(tmp_path, script + PROOF.format(one="simulated", other="synthesized"))
