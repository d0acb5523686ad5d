from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network
from small_library import write_library

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.errors import HardwareError, ToolError
from xnorflow.hdl.asic.liberty import load_liberty
from xnorflow.hdl.asic.mapping import map_design
from xnorflow.hdl.generate import write_design
from xnorflow.sim.toggles import count_toggles, read_saif
from xnorflow.sim.verilator import find_verilator


def test_a_saif_file(tmp_path: Path) -> None:
    file = tmp_path / "t.saif"
    file.write_text(
        "(INSTANCE TOP (NET (clk (T0 1) (T1 2) (TZ 0) (TX 0) (TB 0) (TC 99))\n"
        " (INSTANCE bench (NET\n  (n12 (T0 10) (T1 20) (TZ 0) (TX 0) (TB 0) (TC 7))\n  (n3 (T0 0) (T1 30) (TC 0))\n"
        "  (name5 (T0 0) (T1 0) (TZ 0) (TX 0) (TB 0) (TC 5)))))\n"
    )
    assert read_saif(file) == {"n12": 7, "n3": 0}
    file.write_text("(SAIFILE)")
    with pytest.raises(ToolError, match="names no nets"):
        read_saif(file)


@pytest.mark.slow
def test_a_mapped_design_equals_the_golden_model_and_its_clock_is_counted(tmp_path: Path) -> None:
    network = random_network([8, 4, 3])
    folding = Folding({"dense0": LayerFold(2, 4), "dense1": LayerFold(1, 2)})
    design = write_design(network, folding, tmp_path / "design", board=load_board("asic-generic"))
    library = load_liberty(write_library(tmp_path))
    mapped = map_design(sorted(design.rtl.glob("*.v")), "accelerator", library, tmp_path / "work")
    raw = np.random.default_rng(0).integers(0, 2, (20, 8), dtype=np.uint8)
    seen = count_toggles(design, mapped.verilog, find_verilator(), raw, tmp_path / "run")
    assert seen.images == 20
    assert set(mapped.drivers) <= set(seen.nets)
    (clock,) = {net for net, pins in mapped.readers.items() if ("DFF", "CK") in pins}
    assert 2 * seen.cycles <= seen.nets[clock] <= 2 * seen.cycles + 8  # the bench counts a few cycles less
    assert all(count <= seen.nets[clock] for count in seen.nets.values())

    broken = tmp_path / "broken.v"
    broken.write_text(mapped.verilog.read_text().replace("(~(", "((", 1))
    with pytest.raises(HardwareError, match="disagrees with the golden model"):
        count_toggles(design, broken, find_verilator(), raw, tmp_path / "run2")
