"""A whole design against the board that it is for: how much of each kind of cell it takes, estimated.

Place and route counts more than synthesis: `PLACED` says how much, for each family that open tools place.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ...boards.loader import Board, Family
from ..folds.folding import Folding, WeightStore
from ..ir import IntegerNetwork, Recurrent
from .cells import Resources, total
from .device import Device
from .resources import design_resources

__all__ = ["PLACED", "ROOM_PERCENT", "Occupancy", "occupancy"]

ROOM_PERCENT = 95
"""Of a board's logic that a folding may take: estimates of LUTs are up to 6 % low (docs/performance.md)."""

PLACED: Mapping[Family, tuple[int, int]] = {
    Family.ICE40: (102, 66),
    Family.ECP5: (107, 0),
    Family.GOWIN: (118, 0),
}
"""Logic cells, in hundredths, for each LUT and for each flip-flop: bitstreams of docs/performance.md, nextpnr 0.11.1.

An iCE40 has its flip-flops in its logic cells: two of three have no LUT in front that is theirs alone, and take a cell.
Elsewhere LUTs are taken for routing, constants and carry chains. Families that are not here are placed by vendors'
tools, which nobody looked at: Yosys' LUTs count as they are.
"""


@dataclass(frozen=True, slots=True)
class Occupancy:
    """What a design takes and what there is. cells: of logic, as place and route counts them; on an iCE40 flip-flops
    are in them. available: LUTs (or cells), flip-flops, block RAMs and DSP blocks of the board. kind: of
    cells, in words.

    scope: what of the board's top is counted, in words: a UART's link is, the DMA of boards with AXI is not modelled.
    """

    used: Resources
    available: Resources
    cells: int
    kind: str
    scope: str

    @property
    def share(self) -> float:
        """Of the cells that there are."""
        return self.cells / self.available.luts

    @property
    def cells_over(self) -> int:
        """Cells beyond `ROOM_PERCENT` of those that there are, or flip-flops beyond those; 0 where it fits."""
        over = self.cells - ROOM_PERCENT * self.available.luts // 100
        return max(0, over, self.used.flip_flops - self.available.flip_flops)

    @property
    def blocks_over(self) -> int:
        """Block RAMs beyond those that there are."""
        return max(0, self.used.blocks - self.available.blocks)

    @property
    def fits(self) -> bool:
        """Whether nothing is over. DSP blocks do not count: a folding is priced as if there were none."""
        return not self.cells_over and not self.blocks_over


def occupancy(network: IntegerNetwork, folding: Folding, board: Board, *, popcount_stages: int = 1) -> Occupancy | None:
    """A design with the top of its board, if that has a UART; None where the model knows no sum: a board without a
    device (ASIC), recurrent layers, weights that come at run time."""
    recurrent = any(isinstance(node, Recurrent) for node in network.nodes)
    fixed = all(fold.weights is WeightStore.ROM for fold in folding.layers.values())
    if board.budget is None or board.family is Family.ASIC or recurrent or not fixed:
        return None
    link = board.interface.kind == "uart"
    used = total(design_resources(network, folding, board, popcount_stages=popcount_stages, link=link))
    for_lut, for_flip_flop = PLACED.get(board.family, (100, 0))
    cells = -(-(for_lut * used.luts + for_flip_flop * used.flip_flops) // 100)
    budget = board.budget
    available = Resources(budget.lut, budget.ff, Device.of(board).blocks, budget.dsp)
    kind = "logic cells" if for_flip_flop else "LUTs"
    scope = {"uart": "with the board's link", "axi": "without the board's DMA"}.get(board.interface.kind, "by itself")
    return Occupancy(used, available, cells, kind, scope)
