"""The clock that an accelerator's popcounts allow on ECP5, estimated.

In dense networks that were placed, the longest path lay in an engine's popcount: from the memory of weights, or from a
register, through XNORs and adders to the count. It grows with the logarithm of the bits that are counted between two
registers. `hdl/dot/popcount.py` says how `--pipeline` cuts it: stages beyond the first take weights from a register,
and the tree's levels are shared out among the others.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ...boards.loader import Board, Family
from ..folds.folding import Arithmetic, Folding, LayerFold, WeightStore
from ..ir import IntegerNetwork, Recurrent, Stage
from .device import Device

__all__ = ["ClockEstimate", "PathDelays", "design_clock", "engine_period", "popcount_bits"]


@dataclass(frozen=True, slots=True)
class PathDelays:
    """Nanoseconds of a path in a popcount, routing included.

    block_ram, register: from the clock to the output. doubling: for each factor of 2 in the bits counted. start: for 1
    bit. least: of a design's other paths, whatever its popcounts take.
    """

    block_ram: float
    register: float
    doubling: float
    start: float
    least: float


_DELAYS: Mapping[Family, PathDelays] = {Family.ECP5: PathDelays(5.72, 0.52, 2.25, -1.58, 7.2)}
"""ECP5, the slowest speed grade: clock to output as nextpnr has it; the other two by least squares of engines of SIMD
16, 64 and 256 with their weights in block RAM; the least is the way from a block RAM to a register beside it."""


@dataclass(frozen=True, slots=True)
class ClockEstimate:
    """hz: what the slowest engine allows; layer: its name; bits: counted there between two registers."""

    hz: float
    layer: str
    bits: int

    def note(self, board: Board, popcount_stages: int = 1) -> str | None:
        """What to say where the board's clock is above the estimate; None where it is not."""
        if self.hz >= board.hz:
            return None
        return (
            f"layer {self.layer!r} counts {self.bits} bits in a cycle, for which about {self.hz / 1e6:.0f} MHz are "
            f"estimated, and the clock of {board.name} has {board.hz / 1e6:g} MHz: generate with --pipeline "
            f"{popcount_stages + 1} or more, or fold it with less SIMD"
        )


def design_clock(
    network: IntegerNetwork, folding: Folding, board: Board, *, popcount_stages: int = 1
) -> ClockEstimate | None:
    """The clock of a design; None where no model stands: other families than ECP5, multipliers, recurrent layers,
    weights that come at run time."""
    delays = _DELAYS.get(board.family)
    counted = all(
        fold.arithmetic is Arithmetic.PLANES and fold.weights is WeightStore.ROM for fold in folding.layers.values()
    )
    if delays is None or not counted or any(isinstance(node, Recurrent) for node in network.nodes):
        return None
    device = Device.of(board)
    periods = {
        stage.dot.name: engine_period(stage, folding.layers[stage.dot.name], device, delays, popcount_stages)
        for stage in network.stages()
    }
    slowest = max(periods, key=lambda name: periods[name])
    stage = next(stage for stage in network.stages() if stage.dot.name == slowest)
    return ClockEstimate(
        1e9 / periods[slowest], slowest, popcount_bits(stage, folding.layers[slowest], popcount_stages)
    )


def engine_period(stage: Stage, fold: LayerFold, device: Device, delays: PathDelays, popcount_stages: int) -> float:
    """Nanoseconds of the longest path from an engine's weights to its counts, or of all others if these are longer."""
    rows, columns = stage.dot.weights.codes.shape
    form = fold.form(stage.dot.weights, stage.input_type)
    words = fold.neuron_folds(rows) * fold.synapse_folds(columns, stage.segments)
    shape = (np.array([fold.pe * fold.simd * form.word_bits]), np.array([words]))
    direct = popcount_stages == 1 and words > 1 and bool(device.rom_in_block(shape, fold.memory)[0])
    begin = delays.block_ram if direct else delays.register
    path = delays.start + delays.doubling * math.log2(popcount_bits(stage, fold, popcount_stages))
    return max(begin + path, delays.least)


def popcount_bits(stage: Stage, fold: LayerFold, popcount_stages: int) -> int:
    """The most bits that an engine counts between two registers: pairs of planes of one power of two, in a slice."""
    form = fold.form(stage.dot.weights, stage.input_type)
    at_once = form.activation_planes // fold.planes_in_time
    powers = [plane.power + turn for plane in form.planes for turn in range(at_once)]
    pairs = fold.simd * max(powers.count(power) for power in powers)
    stages = popcount_stages - (popcount_stages > 1) - (popcount_stages > 4)
    return min(pairs, 1 << -(-(pairs - 1).bit_length() // stages))
