"""The step behind a design: Verilog becomes a bitstream with the open tools."""

import json
import math
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..boards.loader import Board, Family, load_board
from ..boards.tools import Flow, flow_of
from ..errors import HardwareError, ToolError, UsageError

__all__ = ["BuildResult", "Used", "build"]

FOLDER = "build"  # in the design folder
# What nextpnr calls the things that a board's budget counts.
_RESOURCES = {
    "LUT": ("ICESTORM_LC", "TRELLIS_COMB", "LUT4"),
    "FF": ("TRELLIS_FF", "DFF"),
    "BRAM": ("ICESTORM_RAM", "DP16KD", "BSRAM"),
    "DSP": ("ICESTORM_DSP", "MULT18X18D", "MULT36X36", "MULT18X18"),
}


@dataclass(frozen=True, slots=True)
class Used:
    """How many there are, and how many the design takes."""

    used: int
    available: int


@dataclass(frozen=True, slots=True)
class BuildResult:
    """A bitstream, or, for a board that no open tools build for, an estimate of its size by synthesis alone.

    resources: LUT (of an iCE40 its logic cells), FF, BRAM, DSP. fmax_hz: what the placed and routed design stands.
    frames_per_s: at the board's clock_hz. bitstream, fmax_hz: None of an estimate, which cannot know them.
    """

    board: str
    bitstream: Path | None
    resources: dict[str, Used]
    fmax_hz: float | None
    clock_hz: int
    frames_per_s: float
    seconds: float


def build(design_dir: Path | str, *, progress: Callable[[str], None] | None = None) -> BuildResult:
    """Build the bitstream of a design for its board in DESIGN/build: Yosys, nextpnr and the family's packer.

    For a Xilinx board Yosys alone, whose cells are an estimate: the design folder has scripts for Vivado. progress:
    hears what runs. Raises UsageError for a design without a board top, HardwareError for a board without a device, for
    a design that does not fit or is too slow (naming the layer to fold more, or where the slowest path is), ToolError
    for a tool that is missing or fails.
    """
    from ..hdl.board.files import BOARD_FILE, BOARD_FOLDER, BOARD_TOP
    from ..hdl.generate import load_design

    begin = time.monotonic()
    design = load_design(Path(design_dir))
    board = load_board(design.path / BOARD_FILE)
    xilinx = board.family in (Family.XILINX7, Family.XILINX_US_PLUS)
    flow = None if xilinx else flow_of(board)
    top = design.path / BOARD_FOLDER / f"{BOARD_TOP}.v"
    if not top.is_file():
        raise UsageError(f"{design.path} has no top for board {board.name}: sequences and streamed weights have none")
    folder = design.path / FOLDER
    shutil.rmtree(folder, ignore_errors=True)
    sources = folder / "sources" if flow is None else folder  # the tools see one folder alone
    sources.mkdir(parents=True)
    for path in (*design.rtl.iterdir(), top):
        shutil.copy(path, sources)
    tell = progress or (lambda text: None)
    tell("yosys: synthesis")
    if flow is None:
        resources, fmax, bitstream = _estimated(sources, BOARD_TOP, board), None, None
        for name, there in resources.items():
            if there.used > there.available:
                reason = f"{there.used:,} {name} of {there.available:,}, as Yosys estimates"
                raise HardwareError(_too_big(design.path, board.name, reason))
    else:
        shutil.copy(design.path / BOARD_FOLDER / flow.constraints.format(name=BOARD_TOP), folder)
        resources, fmax = _placed(design.path, folder, BOARD_TOP, board, flow, tell)
        bitstream = folder / flow.bitstream.format(name=BOARD_TOP)
    return BuildResult(
        board=board.name,
        bitstream=bitstream,
        resources=resources,
        fmax_hz=fmax,
        clock_hz=board.hz,
        frames_per_s=board.hz / design.manifest.initiation_interval,
        seconds=time.monotonic() - begin,
    )


def _estimated(sources: Path, name: str, board: Board) -> dict[str, Used]:
    """What Yosys makes of the sources in a folder for a family that nothing open places; a BRAM holds 36 kbit."""
    from ..hdl.tools.design_cells import synthesize_sources

    cells = synthesize_sources(sources, name, board, sources.with_name("estimate"))
    budget = board.budget
    assert budget is not None  # every board but an ASIC has one
    return {
        "LUT": Used(cells.luts, budget.lut),
        "FF": Used(cells.flip_flops, budget.ff),
        "BRAM": Used(math.ceil(cells.block_rams), budget.bram_kbit // 36),
        "DSP": Used(cells.dsps, budget.dsp),
    }


def _placed(
    design: Path, folder: Path, name: str, board: Board, flow: Flow, tell: Callable[[str], None]
) -> tuple[dict[str, Used], float]:
    """Yosys, then each step of the flow, in a folder with all sources: what is used, and the clock in Hz."""
    from ..hdl.tools.yowasp import MOUNT, run_tool, run_yosys

    sources = sorted(path.name for path in folder.glob("*.v"))
    script = [f"read_verilog {MOUNT}/{source}" for source in sources]
    script.append(f"{flow.synth} -top {name} -json {MOUNT}/{name}.json")
    run_yosys(script, folder, "yosys")
    for step in flow.steps:
        tell(step.tool)
        arguments = [argument.replace("{name}", f"{MOUNT}/{name}") for argument in step.arguments]
        try:
            run_tool(step.tool, arguments, folder, step.tool)
        except ToolError as error:
            if _is_full(str(error)):
                raise HardwareError(_too_big(design, board.name, str(error))) from error
            raise
    report = json.loads((folder / f"{name}.report.json").read_text())
    fmax = min(clock["achieved"] for clock in report["fmax"].values()) * 1e6
    if fmax < board.hz:
        raise HardwareError(
            f"{design} stands {fmax / 1e6:.1f} MHz, the clock of {board.name} has {board.hz / 1e6:.6g} MHz: "
            f"the slowest path is in {_slowest(report)}; generate the design with a larger --pipeline, or fold that "
            "layer more"
        )
    resources = _resources(report)
    if "FF" not in resources:  # an iCE40's logic cell has one each, and nextpnr counts the cells
        flip_flops = _flip_flops(json.loads((folder / f"{name}.json").read_text()), name)
        cells = resources.pop("LUT")
        resources = {"LUT": cells, "FF": Used(flip_flops, cells.available), **resources}
    return resources, fmax


def _is_full(message: str) -> bool:
    """Whether a tool's complaint says that the device has no room."""
    words = ("no more", "unable to place", "failed to place", "not enough", "out of", "no bels", "could not place")
    return any(word in message.lower() for word in words)


def _too_big(design: Path, board: str, message: str) -> str:
    """What does not fit, and which layer's engine takes most: of block RAM, where that is what the message is about."""
    from ..boards.loader import load_board
    from ..compiler.cost.area import layer_areas
    from ..compiler.cost.device import Device
    from ..compiler.folds.folding import load_folding
    from ..compiler.storage.network_file import load_network
    from ..hdl.board.files import BOARD_FILE

    network = load_network(design / "network.safetensors")
    device = Device.of(load_board(design / BOARD_FILE))
    areas = layer_areas(network, load_folding(design / "folding.yaml", network), device)
    if re.search("RAM|DP16KD", message):
        largest = max(areas, key=lambda name: areas[name].blocks)
        return (
            f"{design} does not fit on {board}: layer {largest!r} takes most block RAM, and folding leaves its weights "
            f"as many; put layers with few weights into LUTs (memory: lut), or take a larger device; {message}"
        )
    largest = max(areas, key=lambda name: areas[name].tenths + areas[name].blocks * device.block_price)
    return f"{design} does not fit on {board}: fold layer {largest!r} more (fewer PE or SIMD); {message}"


def _flip_flops(netlist: dict[str, Any], name: str) -> int:
    """Flip-flops of an iCE40 netlist."""
    cells = netlist["modules"][name]["cells"].values()
    return sum(cell["type"].startswith("SB_DFF") for cell in cells)


def _slowest(report: dict[str, Any]) -> str:
    """The part of the design in which the slowest path between registers begins."""
    paths = [path for path in report["critical_paths"] if "async" not in path["from"] + path["to"]]
    cell = paths[0]["path"][0]["from"]["cell"] if paths else "an unknown place"
    inside = cell.removeprefix("linked.").split(".")
    return ".".join(inside[1:3] if inside[0] == "accelerator" else inside[:2])


def _resources(report: dict[str, Any]) -> dict[str, Used]:
    """Used and available, of what the device has."""
    counted = report["utilization"]
    found = {}
    for name, keys in _RESOURCES.items():
        there = [counted[key] for key in keys if key in counted]
        if there:
            found[name] = Used(sum(entry["used"] for entry in there), sum(entry["available"] for entry in there))
    return found
