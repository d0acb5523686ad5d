from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from random_networks import random_network

from xnorflow.boards.loader import Family
from xnorflow.compiler.cost.rivals import compare_rivals
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.flow.compare import AsicSide, Comparison, Side
from xnorflow.hdl.tools.design_cells import DesignCells
from xnorflow.report import write_comparison
from xnorflow.report.charts import Bar, bar_chart

NETWORK = random_network([24, 12, 4])
RIVALS, ASSUMPTIONS = compare_rivals(NETWORK, Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(2, 6)}))
SIDES = (Side("XNOR-popcount", "net", 9, 0.9665), Side("int8 MAC", "random int8 weights", 9, None))
PAPER = Comparison(
    "net<1>",
    "ab" * 32,
    "ulx3s-85f",
    Family.ECP5,
    50_000_000,
    9,
    5e6,
    RIVALS,
    SIDES,
    "digits",
    "",
    ASSUMPTIONS,
    ("Mind this",),
)


def test_a_page_on_paper_names_what_is_known_and_nothing_else(tmp_path: Path) -> None:
    page = write_comparison(PAPER, tmp_path).read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"compare.html", "energy.svg", "memory.svg"}
    assert "net&lt;1&gt;" in page and "net<1>" not in page
    assert "96.65%" in page and "unknown" in page and "Mind this" in page
    for assumption in ASSUMPTIONS:
        assert assumption.what in page
    assert "LUTs" not in page.split("Every assumption")[0]


def test_what_was_built_is_shown(tmp_path: Path) -> None:
    cells = DesignCells(1234, 56, 7, 8.5, {})
    asic = AsicSide(98765.0, 4321, 99, 777, 100, 5000.0, 2000.0, 1000.0, 2000.0)
    sides = tuple(replace(side, fpga=cells, lut_equivalent=2522.0, fmax_mhz=61.25, asic=asic) for side in SIDES)
    page = write_comparison(replace(PAPER, sides=sides, library="small"), tmp_path).read_text()
    for text in ("1,234", "2,522", "61.2", "98,765", "4,321", "777", "5.00 nJ", "8.5"):
        assert text in page
    assert {"luts.svg", "area.svg", "asic-energy.svg"} <= {path.name for path in tmp_path.iterdir()}


def test_plots_stand_alone(tmp_path: Path) -> None:
    write_comparison(PAPER, tmp_path)
    text = (tmp_path / "energy.svg").read_text()
    assert "var(" not in text
    root = ElementTree.fromstring(text)
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert len(root.findall("{http://www.w3.org/2000/svg}rect")) == 3 * 4


def test_bars_share_a_scale() -> None:
    root = ElementTree.fromstring(str(bar_chart([Bar("a", (1, 2), "3"), Bar("b", (6,), "6"), Bar("c", (0,), "0")])))
    one, two, six, none = (float(rect.attrib["width"]) for rect in root.iter("rect"))
    assert (two, six, none) == (pytest.approx(2 * one, abs=0.2), pytest.approx(6 * one, abs=0.5), 0)
    with pytest.raises(ValueError, match="at least one bar"):
        bar_chart([])
