"""The step that folds: PE, SIMD and kind of memory of each layer for a wished rate, or for a board to its limit."""

from dataclasses import dataclass
from pathlib import Path

from ..boards.loader import DEFAULT_BOARD, load_board
from ..compiler.cost.area import Area
from ..compiler.cost.clock import design_clock
from ..compiler.cost.device import Device
from ..compiler.cost.occupancy import Occupancy, occupancy
from ..compiler.folds.folding import Folding, Memory, save_folding
from ..compiler.folds.solver import estimate_area, fastest_folding, fold_for_cycles, fold_for_fps
from ..compiler.schedule.cycles import fold_table, initiation_interval, stage_bounds, waste_warnings
from ..compiler.storage.network_file import load_network
from ..errors import UsageError

__all__ = ["Folded", "FoldedLayer", "fold"]


@dataclass(frozen=True, slots=True)
class FoldedLayer:
    """One engine: its fold, cycles a frame, and what it takes with its converter and line buffer, estimated.

    share: cycles over those of the slowest stage. waste: share of the multiplier-cycles that work on padding.
    bottleneck: no stage is slower. memory_kbit: contents; block_kbit: of the block RAMs that hold them.
    """

    layer: str
    pe: int
    simd: int
    memory: Memory
    neuron_folds: int
    synapse_folds: int
    planes_in_time: int
    cycles: int
    share: float
    waste: float
    bottleneck: bool
    luts: int
    memory_kbit: float
    block_kbit: int


@dataclass(frozen=True, slots=True)
class Folded:
    """A folding that was chosen for a board. slowest: the stages that set the cycles a frame.

    luts, memory_kbit, block_kbit: of all engines with what joins them. luts_available, block_kbit_available: what the
    board has; None where it sets no limit. whole: the design with all that stands beside the engines; None where there
    is no estimate.
    """

    board: str
    cycles: int
    frames_per_second: float
    slowest: tuple[str, ...]
    layers: tuple[FoldedLayer, ...]
    luts: int
    luts_available: int | None
    memory_kbit: float
    block_kbit: int
    block_kbit_available: int | None
    whole: Occupancy | None
    warnings: tuple[str, ...]
    folding: Folding
    path: Path | None


def fold(
    file: Path | str,
    *,
    board: str = DEFAULT_BOARD,
    fps: float | None = None,
    cycles: int | None = None,
    max_luts: int | None = None,
    out: Path | str | None = None,
) -> Folded:
    """The folding of least area with at least `fps` frames a second, or at most `cycles` cycles a frame.

    Without either the fastest that fits the board, with at most `max_luts` LUTs in engines if given. out: a YAML file
    for it, which `generate` takes. HardwareError where a board has no room, with what would fit.
    """
    given = [name for name, value in (("fps", fps), ("cycles", cycles), ("max_luts", max_luts)) if value is not None]
    if len(given) > 1:
        raise UsageError(f"give one of fps, cycles and max_luts, not {' and '.join(given)}")
    network, target = load_network(file), load_board(board)
    if fps is not None:
        folding = fold_for_fps(network, fps, target)
    elif cycles is not None:
        folding = fold_for_cycles(network, cycles, target)
    else:
        folding = fastest_folding(network, target, max_luts)
    areas, kbit = estimate_area(network, folding, target), Device.of(target).block_kbit
    table, interval = fold_table(network, folding), initiation_interval(network, folding)
    total = sum(areas.values(), Area())
    clock = design_clock(network, folding, target)
    slow = clock.note(target) if clock is not None else None
    if out is not None:
        save_folding(folding, Path(out))
    return Folded(
        board=target.name,
        cycles=interval,
        frames_per_second=target.hz / interval,
        slowest=tuple(bound.name for bound in stage_bounds(network, folding) if bound.cycles == interval),
        layers=tuple(
            FoldedLayer(
                layer=row.layer,
                pe=row.pe,
                simd=row.simd,
                memory=folding.layers[row.layer].memory,
                neuron_folds=row.neuron_folds,
                synapse_folds=row.synapse_folds,
                planes_in_time=row.planes_in_time,
                cycles=row.cycles,
                share=row.share,
                waste=row.waste,
                bottleneck=row.bottleneck,
                luts=areas[row.layer].luts,
                memory_kbit=areas[row.layer].memory_bits / 1024,
                block_kbit=areas[row.layer].blocks * kbit,
            )
            for row in table
        ),
        luts=total.luts,
        luts_available=target.budget.lut if target.budget else None,
        memory_kbit=total.memory_bits / 1024,
        block_kbit=total.blocks * kbit,
        block_kbit_available=target.budget.bram_kbit if target.budget else None,
        whole=occupancy(network, folding, target),
        warnings=(*waste_warnings(table), *([slow] if slow is not None else [])),
        folding=folding,
        path=Path(out) if out is not None else None,
    )
