"""Choosing a folding: the cheapest that meets a number of cycles a frame, or the fastest that fits a board.

The cost is an estimate (`compiler/cost/area.py`), good for choosing between foldings; synthesis measures. The search
(`compiler/folds/search.py`) is exact, in engines, converters and line buffers. What else a design has depends on the
folding, though little: where the whole (`compiler/cost/occupancy.py`) does not fit its board, the search is asked again
with as much less to spend.
"""

import math
from bisect import bisect_left

from ...boards.loader import DEFAULT_BOARD, Board, load_board
from ...errors import HardwareError, UsageError
from ..cost.area import Area, layer_areas
from ..cost.device import Device
from ..cost.occupancy import ROOM_PERCENT, occupancy
from ..ir import Concat, Conv2d, IntegerNetwork, MaxPool, SumPool
from ..schedule.plan import check_buildable
from .folding import Arithmetic, Folding, LayerFold, Popcount
from .search import Budget, FoldSearch

__all__ = [
    "default_folding",
    "estimate_area",
    "estimate_luts",
    "fastest_folding",
    "fold_for_cycles",
    "fold_for_fps",
]

_DEFAULT_SHARE = 10  # the default folding takes a tenth of a board's LUTs: small enough to build in seconds
_DEFAULT_LUTS = 1000  # but not less than that: engines of a small board would be control for the most part
_LUTS_WITHOUT_BUDGET = 50_000  # a board without a budget (ASIC) is folded as if it had that many


def default_folding(
    network: IntegerNetwork, board: Board | None = None, arithmetic: Arithmetic = Arithmetic.PLANES
) -> Folding:
    """A modest folding for the board (the default board if None): the fastest within a tenth of its
    LUTs, or within 1,000 where a tenth is less.

    arithmetic: of all layers, here and below. Multipliers are priced in LUTs, as if there were no DSP blocks.

    Cycles a frame are a power of two. HardwareError if even the slowest does not fit the board.
    """
    board = load_board(DEFAULT_BOARD) if board is None else board
    search = _search(network, board, arithmetic)
    share = (board.budget.lut if board.budget else _LUTS_WITHOUT_BUDGET) // _DEFAULT_SHARE
    wished = Budget.of(Device.of(board), max(share, _DEFAULT_LUTS))
    cycles = 1 << (_fastest(network, search)[0] - 1).bit_length()
    while (folding := _fitting(network, search, board, cycles, wished)) is None and cycles < search.slowest:
        cycles *= 2
    return _within(network, search, board, cycles) if folding is None else folding


def fold_for_fps(
    network: IntegerNetwork, fps: float, board: Board, arithmetic: Arithmetic = Arithmetic.PLANES
) -> Folding:
    """The cheapest folding that yields at least `fps` frames a second at the board's clock."""
    if not fps > 0 or not math.isfinite(fps):
        raise UsageError(f"frames a second must be a positive number, not {fps}")
    cycles = math.floor(board.hz / fps)
    if cycles < 1:
        raise UsageError(
            f"{fps:g} frames a second need more than one frame a cycle of {board.name}'s {board.hz} Hz; "
            f"at most {board.hz} fit"
        )
    return fold_for_cycles(network, cycles, board, arithmetic)


def fold_for_cycles(
    network: IntegerNetwork, cycles: int, board: Board | None = None, arithmetic: Arithmetic = Arithmetic.PLANES
) -> Folding:
    """The cheapest folding whose stages all take at most `cycles` cycles a frame.

    With a board, its way to count bits is taken, the whole design fits its logic cells, flip-flops and block RAMs by
    estimate, and HardwareError names the dearest layer, and what would fit, where that cannot be.
    """
    if cycles < 1:
        raise UsageError(f"cycles a frame must be a positive whole number, not {cycles}")
    search = _search(network, board, arithmetic)
    fastest, layer = _fastest(network, search)
    if cycles < fastest:
        limit = "a pixel a cycle" if fastest == _pixel_bound(network)[0] else "as wide as memory words can be"
        raise HardwareError(f"layer {layer!r} takes at least {fastest} cycles a frame, {limit}, not {cycles}")
    return _within(network, search, board, cycles)


def fastest_folding(network: IntegerNetwork, board: Board, max_luts: int | None = None) -> Folding:
    """The folding with the fewest cycles a frame that fits the board, with at most `max_luts` LUTs in engines and what
    joins them if given; of those the cheapest. HardwareError if none fits, UsageError for an ASIC without a limit."""
    if max_luts is not None and max_luts < 1:
        raise UsageError(f"LUTs must be a positive whole number, not {max_luts}")
    if board.budget is None and max_luts is None:
        raise UsageError(f"{board.name} sets no limit; give a rate or a number of LUTs")
    search, budget = _search(network, board), Budget.of(Device.of(board), max_luts)
    least = _least_cycles(network, search, board, _fastest(network, search)[0], budget)
    if least is None:
        raise _no_room(network, search, board, search.slowest, budget)
    folding = _fitting(network, search, board, least, budget)
    assert folding is not None  # some folding fits at that rate
    return folding


def estimate_area(network: IntegerNetwork, folding: Folding, board: Board | None = None) -> dict[str, Area]:
    """LUTs, block RAMs and memory bits of each engine with its converters and line buffer, by the dot product's name.

    Ports, pools and scores are not counted; without a budget memories cost nothing.
    """
    return layer_areas(network, folding, Device.of(board))


def estimate_luts(network: IntegerNetwork, folding: Folding, board: Board | None = None) -> int:
    """Look-up tables of all engines together, estimated."""
    return sum(estimate_area(network, folding, board).values(), Area()).luts


def _search(network: IntegerNetwork, board: Board | None, arithmetic: Arithmetic = Arithmetic.PLANES) -> FoldSearch:
    check_buildable(network)
    return FoldSearch(network, Device.of(board), arithmetic)


def _within(network: IntegerNetwork, search: FoldSearch, board: Board | None, cycles: int) -> Folding:
    budget = Budget.of(Device.of(board))
    folding = _fitting(network, search, board, cycles, budget)
    if folding is None:
        assert board is not None  # there are folds, so that a budget was in the way
        raise _no_room(network, search, board, cycles, budget)
    return folding


def _fitting(
    network: IntegerNetwork, search: FoldSearch, board: Board | None, cycles: int, budget: Budget
) -> Folding | None:
    """The cheapest folding within a budget whose whole design has room on the board; None if there is none.

    A design that has none is over by some cells: the engines' share of these is taken off what they had, so that the
    next folding takes at least a LUT or a block RAM less.
    """
    while (folds := search.cheapest(cycles, budget)) is not None:
        folding = _folding(network, folds, cycles, board)
        design = None if board is None else occupancy(network, folding, board)
        if design is None or design.fits:
            return folding
        spent = sum(estimate_area(network, folding, board).values(), Area())
        tenths, blocks = budget.tenths, budget.blocks
        if design.cells_over:
            tenths = spent.tenths - max(10, design.cells_over * spent.tenths // design.cells)
        if design.blocks_over:
            blocks = spent.blocks - design.blocks_over
        budget = Budget(tenths, blocks)
    return None


def _folding(network: IntegerNetwork, folds: tuple[LayerFold, ...], cycles: int, board: Board | None) -> Folding:
    layers = {stage.dot.name: fold for stage, fold in zip(network.stages(), folds, strict=True)}
    lanes = -(-network.scores.type.size // cycles)
    return Folding(layers, lanes, Popcount.ADDERS if board is None else Popcount(board.popcount))


def _fastest(network: IntegerNetwork, search: FoldSearch) -> tuple[int, str]:
    """The least cycles a frame that any folding takes, and the node to blame."""
    return max(_pixel_bound(network), search.fastest, key=lambda entry: entry[0])


def _pixel_bound(network: IntegerNetwork) -> tuple[int, str]:
    """The same of feature maps alone: a pixel passes in a cycle at best."""
    least = [(1, network.scores.name)]
    for stage in network.stages():
        if isinstance(stage.dot, Conv2d):
            height, width, _ = stage.dot.window(stage.input_type).input
            least.append((max(height * width, stage.vectors * stage.segments), stage.dot.name))
    for node in network.nodes:
        if isinstance(node, MaxPool | SumPool):
            window = node.window(network.node(node.inputs[0]).type)
            height, width, _ = window.input
            taps = window.positions * math.prod(window.kernel) if window.overlaps else 0
            least.append((max(height * width, taps), node.name))
        if isinstance(node, Concat):  # its beats do not span two operands
            sizes = [network.node(name).type.shape[-1] for name in node.inputs]
            beats = sum(-(-size // math.gcd(*sizes[:-1])) for size in sizes)
            least.append((beats * (node.type.size // node.type.shape[-1]), node.name))
    return max(least, key=lambda entry: entry[0])


def _least_cycles(network: IntegerNetwork, search: FoldSearch, board: Board, start: int, budget: Budget) -> int | None:
    """The fewest cycles a frame, from `start` up, at which some folding fits; None if none does at any rate."""

    def fits(cycles: int) -> bool:
        if search.cheapest(cycles, budget, any_will_do=True) is None:
            return False
        return _fitting(network, search, board, cycles, budget) is not None

    rates = search.rates[search.rates >= start].tolist()
    position = bisect_left(rates, True, key=fits)  # what fits at one rate fits at every slower one
    return rates[position] if position < len(rates) else None


def _no_room(network: IntegerNetwork, search: FoldSearch, board: Board, cycles: int, budget: Budget) -> HardwareError:
    """Why nothing fits at that rate: what a design without limits would take, its dearest layer, and what would fit."""
    kbit, price = Device.of(board).block_kbit, Device.of(board).block_price
    fits = _least_cycles(network, search, board, cycles, budget)
    weights = {s.dot.name: s.dot.weights.codes.size * s.dot.weights.bits / 1024 for s in network.stages()}
    room = (budget.blocks * kbit * 1024 + budget.tenths // 10 * (1 << Device.of(board).lut_inputs)) / 1024
    if fits is None and sum(weights.values()) > room:
        largest = max(weights, key=lambda name: weights[name])
        return HardwareError(
            f"the weights take {sum(weights.values()):.0f} kbit, {board.name} has room for {room:.0f}; layer "
            f"{largest!r} alone takes {weights[largest]:.0f}: take a larger board or a smaller network"
        )
    free = search.cheapest(cycles, Budget.of(Device()))
    assert free is not None  # without limits something always fits
    folding = _folding(network, free, cycles, board)
    areas, design = estimate_area(network, folding, board), occupancy(network, folding, board)
    total, dearest = sum(areas.values(), Area()), max(areas, key=lambda n: areas[n].tenths + price * areas[n].blocks)
    luts, blocks, kind, spare = total.luts, total.blocks, "LUTs", ""
    if design is not None and budget == Budget.of(Device.of(board)):  # else a limit of engines' LUTs was given
        luts, blocks, kind = design.cells, design.used.blocks, design.kind
        spare = f", {ROOM_PERCENT} % of the {kind} to be counted on"
    message = (
        f"{cycles} cycles a frame need about {luts} {kind} and {blocks * kbit} kbit of block RAM, "
        f"{board.name} has {budget.tenths // 10} and {budget.blocks * kbit}{spare}; layer {dearest!r} alone needs "
        f"{areas[dearest].luts} LUTs and {areas[dearest].blocks * kbit} kbit"
    )
    if fits is None:
        return HardwareError(f"{message}; no folding fits this board, take a larger one")
    return HardwareError(f"{message}; {fits} cycles ({board.hz / fits:.0f} frames a second) would fit")
