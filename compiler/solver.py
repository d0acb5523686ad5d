"""Choosing a folding: the cheapest one that meets a number of cycles a frame.

The cost is an estimate of look-up tables, good for choosing between foldings; synthesis measures. It rises with PE and
with SIMD, so the least of each are the only candidates of a layer; converters between layers cost too, so the layers
are chosen together by dynamic programming.
"""

import math
from dataclasses import dataclass

from ..boards.loader import DEFAULT_BOARD, Board, load_board
from ..errors import HardwareError, UsageError
from .folding import Folding, LayerFold, Popcount, check_buildable
from .ir import Conv2d, IntegerNetwork, Stage, Threshold

__all__ = ["default_folding", "estimate_luts", "fold_for_cycles", "fold_for_fps"]

# Tenths of a LUT per weight-plane bit handled a cycle (XNOR + popcount), measured by Yosys on 64 to 256 bits.
_LUT6_TENTHS, _LUT4_TENTHS = 14, 27
_DEFAULT_SHARE = 8  # the default folding takes an eighth of a board's LUTs: small enough to build in seconds
_LUTS_WITHOUT_BUDGET = 50_000  # a board without a budget (ASIC) is folded as if it had that many
_MARGIN = 1.5  # candidates dearer than this times the layer's cheapest cannot win back the rest in converters


@dataclass(frozen=True, slots=True)
class _Choice:
    """A fold of one layer, its own cost, and the cheapest way to get there."""

    fold: LayerFold
    own: int
    total: int
    path: tuple[LayerFold, ...]


def default_folding(network: IntegerNetwork, board: Board | None = None) -> Folding:
    """A modest folding for the board (the default board if None): the fastest within an eighth of its LUTs.

    Cycles a frame are a power of two. HardwareError if even the slowest does not fit the board.
    """
    board = load_board(DEFAULT_BOARD) if board is None else board
    wished = (board.budget.lut if board.budget else _LUTS_WITHOUT_BUDGET) // _DEFAULT_SHARE
    fastest, slowest = _fastest(network)[0], _slowest(network)
    cycles = 1 << (fastest - 1).bit_length()
    while cycles < slowest and estimate_luts(network, _solve(network, cycles, board), board) > wished:
        cycles *= 2
    return fold_for_cycles(network, cycles, board)


def fold_for_fps(network: IntegerNetwork, fps: float, board: Board) -> Folding:
    """The cheapest folding that yields at least `fps` frames a second at the board's clock."""
    if not fps > 0 or not math.isfinite(fps):
        raise UsageError(f"frames a second must be a positive number, not {fps}")
    cycles = math.floor(board.clock.hz / fps)
    if cycles < 1:
        raise UsageError(
            f"{fps:g} frames a second need more than one frame a cycle of {board.name}'s {board.clock.hz} Hz; "
            f"at most {board.clock.hz} fit"
        )
    return fold_for_cycles(network, cycles, board)


def fold_for_cycles(network: IntegerNetwork, cycles: int, board: Board | None = None) -> Folding:
    """The cheapest folding whose stages all take at most `cycles` cycles a frame.

    With a board, its way to count bits is taken, and HardwareError names the dearest layer, and what would fit,
    when the estimate exceeds the board's LUTs or the weights exceed its memory.
    """
    if cycles < 1:
        raise UsageError(f"cycles a frame must be a positive whole number, not {cycles}")
    check_buildable(network)
    fastest, layer = _fastest(network)
    if cycles < fastest:
        raise HardwareError(f"layer {layer!r} takes at least {fastest} cycles a frame, a pixel a cycle, not {cycles}")
    folding = _solve(network, cycles, board)
    if board is not None and board.budget is not None:
        _check_memory(network, folding, board)
        _check_luts(network, folding, board, cycles)
    return folding


def estimate_luts(network: IntegerNetwork, folding: Folding, board: Board | None = None) -> int:
    """Look-up tables the engines and converters take, estimated (memories, scores and ports not counted)."""
    tenths, sent = 0, None
    for stage in network.stages():
        fold = folding.layers[stage.dot.name]
        tenths += _engine_cost(stage, fold.pe, fold.simd, board) + _converter_cost(stage, sent, fold.simd)
        sent = fold.pe
    return -(-tenths // 10)


def _solve(network: IntegerNetwork, cycles: int, board: Board | None) -> Folding:
    check_buildable(network)
    stages = list(network.stages())
    choices: list[_Choice] = []
    for stage in stages:
        candidates = _candidates(stage, cycles, board)
        if not choices:
            choices = [_Choice(fold, own, own, (fold,)) for own, fold in candidates]
            continue
        reached = []
        for own, fold in candidates:
            total, _, before = min(
                (c.total + own + _converter_cost(stage, c.fold.pe, fold.simd), position, c)
                for position, c in enumerate(choices)
            )
            reached.append(_Choice(fold, own, total, (*before.path, fold)))
        choices = reached
    best = min(choices, key=lambda choice: choice.total)
    layers = {stage.dot.name: fold for stage, fold in zip(stages, best.path, strict=True)}
    lanes = -(-network.scores.type.size // cycles)
    popcount = Popcount.ADDERS if board is None else Popcount(board.popcount)
    return Folding(layers, lanes, popcount)


def _candidates(stage: Stage, cycles: int, board: Board | None) -> list[tuple[int, LayerFold]]:
    """(cost, fold) of every fold worth a look, cheapest first: for each NF the least PE and the least SIMD that
    meet `cycles`, and the next larger SIMD that divides the columns: it may suit a neighbour's PE."""
    rows, columns = stage.dot.weights.codes.shape
    passes = stage.vectors * stage.segments  # a frame takes passes * NF * ceil(segment / SIMD) cycles
    segment = columns // stage.segments
    folds = set()
    for pe in {-(-rows // nf) for nf in range(1, min(rows, cycles // passes) + 1)}:
        simd = max(-(-segment // (cycles // passes // -(-rows // pe))), _least_simd(stage, cycles))
        folds |= {(pe, simd), (pe, _next_divisor(simd, segment))}
    priced = sorted((_engine_cost(stage, pe, simd, board), pe, simd) for pe, simd in folds)
    limit = priced[0][0] * _MARGIN
    return [(cost, LayerFold(pe, simd)) for cost, pe, simd in priced if cost <= limit]


def _least_simd(stage: Stage, cycles: int) -> int:
    """The least SIMD with which a map comes into its windows in time; any will do for a vector."""
    if not isinstance(stage.dot, Conv2d):
        return 1
    height, width, channels = stage.dot.window(stage.input_type).input
    return -(-channels // (cycles // (height * width)))


def _next_divisor(least: int, size: int) -> int:
    return next(divisor for divisor in range(least, size + 1) if size % divisor == 0)


def _engine_cost(stage: Stage, pe: int, simd: int, board: Board | None) -> int:
    """Tenths of a LUT: XNOR and popcount; an adder and a comparator per threshold in each row; the input banks."""
    weights, source = stage.dot.weights, stage.input_type
    columns: int = weights.codes.shape[1]
    per_bit = _LUT6_TENTHS if board is not None and board.family.lut_inputs == 6 else _LUT4_TENTHS
    acc_bits = (columns * weights.type.max_code * source.max_code).bit_length()
    comparators = stage.sink.type.max_code if isinstance(stage.sink, Threshold) else 0
    gates = pe * simd * weights.bits * source.bits * per_bit
    return gates + 10 * pe * acc_bits * (1 + comparators) + 20 * simd * source.bits


def _converter_cost(stage: Stage, sent: int | None, taken: int) -> int:
    """Tenths of a LUT: the shift register between a stage that sends and one that takes so many elements a beat."""
    if sent is None or sent == taken:
        return 0
    wide = max(sent, taken) if max(sent, taken) % min(sent, taken) == 0 else 2 * (sent + taken)
    return 10 * wide * stage.input_type.bits


def _fastest(network: IntegerNetwork) -> tuple[int, str]:
    """The least cycles a frame that any folding takes, and the node to blame: a pixel passes in a cycle at best."""
    least = [(1, network.scores.name)]
    for stage in network.stages():
        if isinstance(stage.dot, Conv2d):
            height, width, _ = stage.input_type.shape
            least.append((max(height * width, stage.vectors * stage.segments), stage.dot.name))
        for pool in stage.pools_before:
            window = pool.window(network.node(pool.inputs[0]).type)
            height, width, _ = window.input
            taps = window.positions * math.prod(window.kernel) if window.overlaps else 0
            least.append((max(height * width, taps), pool.name))
    return max(least, key=lambda entry: entry[0])


def _slowest(network: IntegerNetwork) -> int:
    return max(stage.vectors * stage.dot.weights.codes.size for stage in network.stages())


def _check_luts(network: IntegerNetwork, folding: Folding, board: Board, cycles: int) -> None:
    assert board.budget is not None
    needed = estimate_luts(network, folding, board)
    if needed <= board.budget.lut:
        return
    costs = {
        stage.dot.name: _engine_cost(
            stage, folding.layers[stage.dot.name].pe, folding.layers[stage.dot.name].simd, board
        )
        for stage in network.stages()
    }
    dearest = max(costs, key=lambda name: costs[name])
    message = (
        f"{cycles} cycles a frame need about {needed} LUTs, {board.name} has {board.budget.lut}; layer {dearest!r} "
        f"alone needs {costs[dearest] // 10}"
    )
    fits, slowest = cycles, _slowest(network)
    while fits < slowest and estimate_luts(network, _solve(network, fits, board), board) > board.budget.lut:
        fits = min(2 * fits, slowest)
    if estimate_luts(network, _solve(network, fits, board), board) > board.budget.lut:
        raise HardwareError(f"{message}; no folding fits this board, take a larger one")
    raise HardwareError(f"{message}; {fits} cycles ({board.clock.hz / fits:.0f} frames a second) would fit")


def _check_memory(network: IntegerNetwork, folding: Folding, board: Board) -> None:
    """Weights must fit the block RAM and half of the LUTs taken as ROM."""
    assert board.budget is not None
    bits = {}
    for stage in network.stages():
        (rows, columns), fold = stage.dot.weights.codes.shape, folding.layers[stage.dot.name]
        padded = fold.neuron_folds(rows) * fold.pe * fold.synapse_folds(columns, stage.segments) * fold.simd
        bits[stage.dot.name] = padded * stage.dot.weights.bits
    rom_bits_per_lut = 1 << (board.family.lut_inputs or 0)
    room = board.budget.bram_kbit * 1024 + board.budget.lut // 2 * rom_bits_per_lut
    if sum(bits.values()) > room:
        largest = max(bits, key=lambda name: bits[name])
        raise HardwareError(
            f"the weights take {sum(bits.values()) / 1024:.0f} kbit, {board.name} has room for {room / 1024:.0f}; "
            f"layer {largest!r} alone takes {bits[largest] / 1024:.0f}: take a larger board or a smaller network"
        )
