from dataclasses import replace
from pathlib import Path

import pytest
from small_library import write_library

from xnorflow.hdl.asic.energy import toggle_energy
from xnorflow.hdl.asic.liberty import load_liberty
from xnorflow.hdl.asic.mapping import MappedDesign

# n1 (input) and n3 through a NAND make n2, which a flip-flop on clock n9 takes to n3.
DESIGN = MappedDesign(
    verilog=Path("none.v"),
    cells={"NAND": 1, "DFF": 1},
    area=10,
    memory_bits=0,
    loads={"n1": 0.5, "n3": 0.5, "n2": 0.5, "n9": 0.25},
    drivers={"n2": ("NAND", "Y"), "n3": ("DFF", "Q")},
    readers={"n1": (("NAND", "A"),), "n3": (("NAND", "B"),), "n2": (("DFF", "D"),), "n9": (("DFF", "CK"),)},
    flip_flops=1,
)


def test_by_hand(tmp_path: Path) -> None:
    library = load_liberty(write_library(tmp_path))  # 2 V: C V^2 / 2 is twice the picofarads
    energy = toggle_energy(DESIGN, library, {"n1": 3, "n2": 5, "n3": 7, "n9": 999}, cycles=11)
    assert energy.loads == pytest.approx((3 + 5 + 7) * 0.5 * 2, rel=1e-12)
    assert energy.internal == pytest.approx(5 * 0.5, rel=1e-12)  # the NAND; the flip-flop's Q has no table
    assert energy.clock == pytest.approx(2 * 11 * (0.25 * 2 + 0.25), rel=1e-12)
    assert energy.total == energy.loads + energy.internal + energy.clock


def test_internal_energy_depends_on_the_load(tmp_path: Path) -> None:
    library = load_liberty(write_library(tmp_path))
    design = replace(DESIGN, drivers={"n2": ("INV", "Y")}, loads={"n2": 0.5}, readers={})
    assert toggle_energy(design, library, {"n2": 4}, cycles=0).internal == 4 * 0.5
    heavier = replace(design, loads={"n2": 1.0})
    assert toggle_energy(heavier, library, {"n2": 4}, cycles=0).internal == 4 * 0.75


def test_a_driven_net_without_a_count_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no toggles of 1 nets, n3"):
        toggle_energy(DESIGN, load_liberty(write_library(tmp_path)), {"n2": 5}, cycles=1)
