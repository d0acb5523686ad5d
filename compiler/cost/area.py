"""What a folding takes of a device, estimated: look-up tables and block RAMs of engines, converters and line buffers.

Good for choosing between foldings; synthesis measures. Costs of LUTs are whole tenths of a LUT, so that sums are exact.
Functions of PE, SIMD and planes in time (turns) take arrays and give arrays: a search prices all folds of a layer at
once. Ports, score unit and pools are not counted: they hardly depend on the folding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..folds.folding import SHALLOW_WORDS, Arithmetic, Folding, LayerFold, Memory
from ..ir import Conv2d, IntegerNetwork, Stage, Threshold
from ..macs import MacForm
from ..planes import DotForm
from .device import Device, Shape
from .joints import converter_tenths, joints

__all__ = ["WORD_BITS_MOST", "Area", "layer_areas", "multiplier_tenths", "output_fifo", "price_engines", "price_folds"]

Integers = NDArray[np.int64]

WORD_BITS_MOST = 1 << 16
"""Weights of one cycle: the widest memory word that hardware is generated for."""

_LATENCY = 4  # cycles of an engine from a step to its beat, with one register in the popcount
_WINDOW_TENTHS = 750  # a sliding window's counters


@dataclass(frozen=True, slots=True)
class Area:
    """Look-up tables in tenths, block RAMs, and the bits that lie in memories, padding included.

    multipliers: of MAC engines; multiplier_tenths: what of the look-up tables these take. Synthesis can put them into
    DSP blocks instead, one each.
    """

    tenths: int = 0
    blocks: int = 0
    memory_bits: int = 0
    multipliers: int = 0
    multiplier_tenths: int = 0

    @property
    def luts(self) -> int:
        """Look-up tables, rounded up."""
        return -(-self.tenths // 10)

    @property
    def luts_beside_dsps(self) -> int:
        """The same where every multiplier is a DSP block."""
        return -(-(self.tenths - self.multiplier_tenths) // 10)

    def __add__(self, other: "Area") -> "Area":
        return Area(
            self.tenths + other.tenths,
            self.blocks + other.blocks,
            self.memory_bits + other.memory_bits,
            self.multipliers + other.multipliers,
            self.multiplier_tenths + other.multiplier_tenths,
        )


def price_folds(
    stage: Stage,
    pe: Integers,
    simd: Integers,
    turns: Integers,
    memory: Memory,
    device: Device,
    *,
    first: bool,
    arithmetic: Arithmetic = Arithmetic.PLANES,
) -> tuple[Integers, Integers]:
    """Tenths of a LUT and block RAMs of an engine, its memories and its line buffer, for many folds (F,).

    first: the engine reads the input port, whose beats are whole pixels where SIMD does not divide a pixel.
    """
    tenths, blocks = price_engines(stage, pe, simd, turns, memory, device, arithmetic)
    if isinstance(stage.dot, Conv2d):
        tenths = tenths + _WINDOW_TENTHS
    if first and len(stage.input_type.shape) == 3 and _as_map(stage):
        pixel = np.int64(stage.input_type.shape[-1])
        tenths = tenths + np.where(pixel % simd == 0, 0, converter_tenths(pixel, simd, stage.input_type.bits))
    if device.luts is None:
        return tenths, blocks
    in_luts, in_blocks = device.in_ram(_line_buffer(stage, simd))
    return tenths + in_luts, blocks + in_blocks


def price_engines(
    stage: Stage,
    pe: Integers,
    simd: Integers,
    turns: Integers,
    memory: Memory,
    device: Device,
    arithmetic: Arithmetic = Arithmetic.PLANES,
) -> tuple[Integers, Integers]:
    """The same of an engine with its memories alone, without what stands in front of it."""
    form = LayerFold(1, 1, arithmetic=arithmetic).form(stage.dot.weights, stage.input_type)
    count_bits = form.p_max(stage.dot.weights.codes.shape[1]).bit_length()
    tenths = _engine(stage, form, count_bits, pe, simd, turns, device)
    blocks = np.zeros_like(pe)
    if device.luts is None:
        return tenths, blocks
    single = isinstance(stage.sink, Threshold) and stage.sink.type.max_code == 1
    weights, *thresholds = _read_only(stage, form, count_bits, pe, simd, turns)
    for shape, shallow in ((weights, 0), *((shape, SHALLOW_WORDS if single else 0) for shape in thresholds)):
        block = device.rom_in_block(shape, memory) & (shape[1] > shallow)
        tenths = tenths + np.where(block, device.behind_blocks(shape), device.in_luts(shape))
        blocks = blocks + np.where(block, device.in_blocks(shape), 0)
    in_luts, in_blocks = device.in_ram([_input_buffer(stage, pe, simd, turns)])
    waiting = device.in_lut_ram(output_fifo(stage, count_bits, pe, simd, turns))
    return tenths + in_luts + waiting, blocks + in_blocks


def layer_areas(network: IntegerNetwork, folding: Folding, device: Device) -> dict[str, Area]:
    """The area of each engine by its dot product's name, the converters in front of it included."""
    areas, stages = {}, list(network.stages())
    between = (None, *joints(network))
    for index, (stage, joint) in enumerate(zip(stages, between, strict=True)):
        fold = folding.layers[stage.dot.name]
        pe, simd, turns = (np.array([value], dtype=np.int64) for value in (fold.pe, fold.simd, fold.planes_in_time))
        form = fold.form(stage.dot.weights, stage.input_type)
        count_bits = form.p_max(stage.dot.weights.codes.shape[1]).bit_length()
        tenths, blocks = price_folds(
            *(stage, pe, simd, turns, fold.memory, device),
            first=index == 0,
            arithmetic=fold.arithmetic,
        )
        if joint is not None:
            sent = folding.layers[stages[index - 1].dot.name].pe
            tenths = tenths + joint.tenths(np.array([sent], dtype=np.int64), fold.simd)
        shapes = (*_read_only(stage, form, count_bits, pe, simd, turns), *_line_buffer(stage, simd))
        multipliers = fold.pe * fold.simd if fold.arithmetic is Arithmetic.MAC else 0
        in_luts = multipliers * multiplier_tenths(form, device) if multipliers else 0
        bits = sum(int((w * d)[0]) for w, d in shapes)
        areas[stage.dot.name] = Area(int(tenths[0]), int(blocks[0]), bits, multipliers, in_luts)
    return areas


def _engine(
    stage: Stage, form: DotForm, count_bits: int, pe: Integers, simd: Integers, turns: Integers, device: Device
) -> Integers:
    """Gates and popcount, with shifters where weights shift, or multipliers and their adders; an adder and the
    comparators of each row; decoders of activations and multiplexers of their planes; control."""
    at_once, costs = form.activation_planes // turns, device.engine
    steps, passes = _synapse_folds(stage, simd) * turns, _neuron_folds(stage, pe) * turns
    if isinstance(form, MacForm):
        # An adder of the tree takes as many for each column, and a carry.
        product_bits = form.word_bits + form.level_bits
        gates = pe * simd * (multiplier_tenths(form, device) + 10 * (product_bits + 1))
    else:
        bits, powers = pe * simd * (len(form.planes) * at_once), form.powers - form.activation_planes + at_once
        constant = (steps == 1) & (passes == 1)
        each = np.where(constant, costs.constant_gate_hundredths, costs.gate_hundredths)
        gates = bits * each // 10 + costs.popcount * pe * powers
    gates = gates + costs.control + np.where(passes > 1, costs.buffered, 0)
    if form.shift_bits:  # a LUT of six inputs is a multiplexer of four
        gates = gates + pe * simd * (10 * form.activation_planes * device.chosen(1 << form.shift_bits))
    shared = 10 * simd * (at_once * device.chosen(turns) + (form.level_bits if form.decodes else 0))
    thresholds = stage.sink.type.max_code if isinstance(stage.sink, Threshold) else 0
    comparators = -(-thresholds // steps) if thresholds > 1 else 0
    counted = count_bits + (thresholds == 1)
    adders = np.where(steps > 1, costs.accumulator, costs.start) * counted
    return np.asarray(gates + shared + pe * (adders + costs.comparator * comparators * count_bits), dtype=np.int64)


def multiplier_tenths(form: DotForm, device: Device) -> int:
    """Tenths of a LUT of one multiplier without a DSP block: a level has a sign bit of 0 in front."""
    return device.engine.product * form.word_bits * (form.level_bits + 1)


def _read_only(stage: Stage, form: DotForm, bits: int, pe: Integers, simd: Integers, turns: Integers) -> list[Shape]:
    """Width and depth of the memories of weights and thresholds."""
    nf, sf = _neuron_folds(stage, pe), _synapse_folds(stage, simd)
    shapes: list[Shape] = [(pe * simd * form.word_bits, nf * sf)]
    if isinstance(stage.sink, Threshold):
        thresholds = stage.sink.type.max_code
        at_once = -(-thresholds // (sf * turns))
        shapes.append((pe * at_once * (bits + (thresholds == 1)), nf * -(-thresholds // at_once)))
    return shapes


def _line_buffer(stage: Stage, simd: Integers) -> list[Shape]:
    """Width and depth of a convolution's line buffer: the rows of a window, and those that come in for the next."""
    if not isinstance(stage.dot, Conv2d):
        return []
    window = stage.dot.window(stage.input_type)
    height, width, channels = window.input
    pixels = min(window.span[0] + window.stride[0], 2 * height) * width
    return [(simd * stage.input_type.bits, pixels * -(-channels // simd))]


def _input_buffer(stage: Stage, pe: Integers, simd: Integers, turns: Integers) -> Shape:
    """Width and depth of the two banks of input buffer, where a vector is gone through more than once."""
    passes = _neuron_folds(stage, pe) * turns
    depth = 2 << np.ceil(np.log2(_synapse_folds(stage, simd))).astype(np.int64)
    return np.where(passes > 1, simd * stage.input_type.bits, 0), depth


def output_fifo(stage: Stage, count_bits: int, pe: Integers, simd: Integers, turns: Integers) -> Shape:
    """Width and depth of an engine's output FIFO: as many beats as can be under way."""
    thresholds = stage.sink.type.max_code if isinstance(stage.sink, Threshold) else 0
    fold_cycles = _synapse_folds(stage, simd) * turns
    rounds = 1 + -(-thresholds // -(-thresholds // fold_cycles)) if thresholds > 1 else 0
    codes = thresholds.bit_length() if thresholds else count_bits
    return pe * codes, np.maximum(2, 1 + -(-(_LATENCY + 1 + rounds) // fold_cycles))


def _neuron_folds(stage: Stage, pe: Integers) -> Integers:
    rows: int = stage.dot.weights.codes.shape[0]
    return -(-rows // pe)


def _synapse_folds(stage: Stage, simd: Integers) -> Integers:
    columns: int = stage.dot.weights.codes.shape[1]
    return stage.segments * -(-(columns // stage.segments) // simd)


def _as_map(stage: Stage) -> bool:
    return isinstance(stage.dot, Conv2d) or bool(stage.pools_before)
