"""What one engine takes of a device, in numbers of cells."""

import numpy as np
from numpy.typing import NDArray

from ..folds.folding import SHALLOW_WORDS, Arithmetic, LayerFold, Memory
from ..ir import Threshold
from ..schedule.parts import EnginePart
from .area import multiplier_tenths, output_fifo, price_engines
from .cells import Cells, Resources, counter_bits

__all__ = ["engine_cells"]

Integers = NDArray[np.int64]


def engine_cells(part: EnginePart, cells: Cells, stages: int) -> Resources:
    """LUTs and block RAMs as the solver reckons, with DSP blocks for multipliers; flip-flops register by register.

    stages: registers inside each popcount.
    """
    stage, fold = part.stage, part.fold
    tenths, blocks = price_engines(stage, *_arrays(fold), fold.memory, cells.device, fold.arithmetic)
    dsps = 0
    if fold.arithmetic is Arithmetic.MAC:
        form = fold.form(stage.dot.weights, stage.input_type)
        dsps = fold.pe * fold.simd
        tenths = tenths - dsps * multiplier_tenths(form, cells.device)
    return Resources(-(-int(tenths[0]) // 10), _flip_flops(part, cells, stages), int(blocks[0]), dsps)


def _arrays(fold: LayerFold) -> tuple[Integers, Integers, Integers]:
    """PE, SIMD and planes in time as `area` takes them."""
    pe, simd, turns = (np.array([value], dtype=np.int64) for value in (fold.pe, fold.simd, fold.planes_in_time))
    return pe, simd, turns


def _flip_flops(part: EnginePart, cells: Cells, stages: int) -> int:
    stage, fold = part.stage, part.fold
    rows, columns = (int(extent) for extent in stage.dot.weights.codes.shape)
    form = fold.form(stage.dot.weights, stage.input_type)
    folds, steps = fold.neuron_folds(rows), fold.synapse_folds(columns, stage.segments)
    lanes, turns, pe = fold.lanes(rows, stage.groups), fold.planes_in_time, fold.pe
    count_bits = form.p_max(columns).bit_length()
    sink = stage.sink if isinstance(stage.sink, Threshold) else None
    thresholds = sink.type.max_code if sink else 0
    step_bits = form.p_max(fold.simd).bit_length()
    added = form.adds_powers(form.activation_planes // turns)
    arrive = 1 + stages + added

    control = counter_bits(folds * steps) + counter_bits(turns) * (1 + arrive) + 2 + 3 * arrive + 1 + 2
    codes = lanes * stage.input_type.bits
    passes = fold.passes(rows)
    if passes > 1:
        depth = 2 << counter_bits(steps)
        buffer = cells.ram(codes, depth).flip_flops + 4 + 2 * counter_bits(steps)
    else:
        buffer = codes
    weights = cells.rom(pe * fold.simd * form.word_bits, folds * steps, fold.memory).flip_flops
    accumulators = pe * (count_bits + (thresholds == 1))
    counts = pe * step_bits * (1 + added)
    held = (stages > 1) + (stages > 4)  # registers between the memory of weights and the popcounts
    words = held * (pe * fold.simd * form.word_bits + lanes * form.activation_planes)
    out = 0
    if sink and thresholds == 1:
        out = cells.rom(pe * (count_bits + 1), folds, fold.memory, SHALLOW_WORDS).flip_flops + counter_bits(folds)
        if np.any(sink.descending):
            out += cells.rom(pe, folds, Memory.AUTO).flip_flops + counter_bits(folds)
    elif thresholds > 1:
        at_once = -(-thresholds // (steps * turns))
        rounds = -(-thresholds // at_once)
        code_bits = thresholds.bit_length()
        out = cells.rom(pe * at_once * (count_bits + 1), folds * rounds, fold.memory).flip_flops
        out += pe * (count_bits + code_bits) + rounds + 1 + counter_bits(folds * rounds) + pe + counter_bits(folds)
    width, depth = (int(extent[0]) for extent in output_fifo(stage, count_bits, *_arrays(fold)))
    fifo = cells.ram(width, depth, registered=False).flip_flops + 2 * counter_bits(depth)
    return control + buffer + weights + words + counts + accumulators + out + fifo
