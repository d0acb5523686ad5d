from pathlib import Path

import pytest
from small_library import write_library

from xnorflow.errors import ToolError
from xnorflow.hdl.asic.liberty import load_liberty
from xnorflow.hdl.asic.mapping import MappedDesign, map_design
from xnorflow.hdl.tools.yowasp import MOUNT, run_yosys

SOURCE = """\
module part (input wire clk, input wire [3:0] a, input wire [3:0] b, input wire [1:0] addr, output reg [4:0] sum,
             output wire [2:0] word);
    always @(posedge clk) sum <= a + b + word[0];
    xnorflow_rom #(.WIDTH(3), .DEPTH(4), .ADDR_WIDTH(2), .INIT_FILE("part.hex"), .STYLE("lut"))
        rom (.clk(clk), .addr(addr), .data(word));
endmodule
"""


@pytest.fixture(scope="module")
def mapped(tmp_path_factory: pytest.TempPathFactory) -> MappedDesign:
    folder = tmp_path_factory.mktemp("mapping")
    (folder / "part.v").write_text(SOURCE)
    return map_design([folder / "part.v"], "part", load_liberty(write_library(folder)), folder / "work")


def test_what_it_costs(mapped: MappedDesign) -> None:
    areas = {"INV": 1, "BUF": 3, "NAND": 2, "XOR2": 4, "FA": 9, "DFF": 8}
    assert mapped.area == sum(areas[kind] * count for kind, count in mapped.cells.items())
    assert mapped.cells["DFF"] == mapped.flip_flops == 5
    assert mapped.cells["FA"] >= 3  # found, and not made of NANDs
    assert mapped.memory_bits == 12
    clocks = [net for net, pins in mapped.readers.items() if ("DFF", "CK") in pins]
    assert [mapped.loads[net] for net in clocks] == [5 * 0.25]
    for net, pins in mapped.readers.items():
        if net not in clocks:
            assert mapped.loads[net] == 0.5 * len(pins)


def test_the_netlist_does_what_the_source_does(mapped: MappedDesign, tmp_path: Path) -> None:
    rom = 'module xnorflow_rom #(parameter WIDTH=1, DEPTH=1, ADDR_WIDTH=1, INIT_FILE="", STYLE="")'
    (tmp_path / "rom.v").write_text(
        f"{rom} (input clk, input [1:0] addr, output [2:0] data); assign data = {{1'b0, addr}}; endmodule\n"
    )
    (tmp_path / "gold.v").write_text(SOURCE)
    (tmp_path / "gate.v").write_text(mapped.verilog.read_text())
    script = [f"read_verilog {MOUNT}/gold.v {MOUNT}/rom.v", "prep -flatten -top part", "rename part gold"]
    script += [f"design -save one; design -reset; read_verilog {MOUNT}/gate.v {MOUNT}/rom.v", "prep -flatten -top part"]
    script += ["rename part gate", "design -stash two", "design -load one", "design -copy-from two -as gate gate"]
    script += ["async2sync", "miter -equiv -flatten -make_assert gold gate miter", "hierarchy -top miter"]
    script += ["sat -verify -prove-asserts -seq 3 -prove-skip 1 miter"]
    run_yosys(script, tmp_path, "equal")  # ToolError where a state tells them apart


def test_what_the_library_has_no_cells_for_is_named(tmp_path: Path) -> None:
    (tmp_path / "part.v").write_text(
        "module part (input wire e, input wire d, output reg q); always @* if (e) q = d; endmodule"
    )
    with pytest.raises(ToolError, match="D latches are not supported"):
        map_design([tmp_path / "part.v"], "part", load_liberty(write_library(tmp_path)), tmp_path / "work")
