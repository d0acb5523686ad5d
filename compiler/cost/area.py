"""What a folding takes of a device, estimated: look-up tables and block RAMs of engines, converters and line buffers.

Good for choosing between foldings; synthesis measures. Costs of LUTs are whole tenths of a LUT, so that sums are exact.
Functions of PE, SIMD and planes in time (turns) take arrays and give arrays: a search prices all folds of a layer at
once. Ports, score unit and pools are not counted: they hardly depend on the folding.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...boards.loader import Board, Family
from ..folds.folding import SHALLOW_WORDS, Arithmetic, Folding, LayerFold, Memory
from ..ir import Conv2d, IntegerNetwork, MaxPool, Requantize, Stage, SumPool, Threshold
from ..macs import MacForm
from ..planes import DotForm

__all__ = [
    "CONVERTER_TENTHS",
    "WORD_BITS_MOST",
    "Area",
    "Device",
    "Joint",
    "joints",
    "layer_areas",
    "price_folds",
]

Integers = NDArray[np.int64]
Shape = tuple[Integers, Integers]  # of memories: width and depth

WORD_BITS_MOST = 1 << 16
"""Weights of one cycle: the widest memory word that hardware is generated for."""

# Fitted to engines synthesized by Yosys, 32 to 784 columns and 2 to 32 rows (docs/performance.md): hundredths of a LUT
# per weight-plane bit handled a cycle (XNOR + popcount), compressors of explicit LUT6s and adders of LUT4s; tenths for
# each row beside them, and for each engine's control.
_GATE_HUNDREDTHS = {6: 83, 4: 270}
_ROW_TENTHS, _CONTROL_TENTHS = 15, 350
CONVERTER_TENTHS = 5
"""Of a LUT for a bit that a converter holds: its registers need no LUT, its multiplexers do."""
_PRODUCT_TENTHS = {6: 17, 4: 24}
"""Of a multiplier without a DSP block, for each pair of its operands' bits."""
_LUT_RAM_WORDS = 128  # words: up to there Yosys makes RAM of LUTs
_WINDOW_TENTHS = 750  # a sliding window's counters

_KBIT_18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
_KBIT_4 = ((16, 256), (8, 512), (4, 1024), (2, 2048))


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


@dataclass(frozen=True, slots=True)
class Device:
    """What matters of a board: LUT size, how many LUTs (None: no limit) and block RAMs there are.

    A block RAM is the smallest that the family has: half of a RAMB36 (36 x 512 bits and narrower), a DP16KD or a BSRAM
    of 18 kbit, an iCE40 EBR of 4 kbit (16 x 256 and narrower). Without a budget memories cost nothing: nobody knows
    what an ASIC takes.
    """

    lut_inputs: int = 4
    luts: int | None = None
    blocks: int = 0
    block_kbit: int = 18

    @classmethod
    def of(cls, board: Board | None) -> "Device":
        """The device on a board; one without limits if there is none."""
        if board is None:
            return cls()
        kbit, inputs = 4 if board.family is Family.ICE40 else 18, board.family.lut_inputs or 4
        if board.budget is None:
            return cls(inputs, None, 0, kbit)
        return cls(inputs, board.budget.lut, board.budget.bram_kbit // kbit, kbit)

    def gates(self, bits: Integers) -> Integers:
        """Tenths of a LUT of XNORs and popcounts of so many weight bits a cycle."""
        return bits * _GATE_HUNDREDTHS[self.lut_inputs] // 10

    @property
    def block_price(self) -> int:
        """Tenths of a LUT that a block RAM is worth: the device has so many for each."""
        return 10 * self.luts // self.blocks if self.luts is not None and self.blocks else 0

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Kinds of memory to choose from."""
        if self.luts is None:
            return (Memory.AUTO,)
        return (Memory.BLOCK, Memory.LUT) if self.blocks else (Memory.LUT,)

    def in_blocks(self, shape: Shape) -> Integers:
        """Block RAMs of memories; words of a memory of one word are constants."""
        width, depth = shape
        shapes = _KBIT_4 if self.block_kbit == 4 else _KBIT_18
        blocks = np.min([-(-width // w) * -(-depth // d) for w, d in shapes], axis=0)
        return np.where(depth > 1, blocks, 0).astype(np.int64)

    def in_luts(self, shape: Shape) -> Integers:
        """Tenths of a LUT of read-only memories.

        A LUT6 holds two columns of 32 words or one of 64; of deeper ones Yosys makes a LUT for 12 words. LUT4s are
        leaves and multiplexers, for no more columns than there are different.
        """
        width, depth = shape
        if self.lut_inputs == 6:
            each = np.where(depth <= 32, 5, np.where(depth <= 64, 10, 10 * depth // 12))
            return np.where(depth > 1, width * each, 0)
        columns = np.minimum(width, 1 << np.minimum(depth, 32))
        return np.where(depth > 1, 10 * columns * (2 * -(-depth // 16) - 1), 0)

    def in_lut_ram(self, shape: Shape) -> Integers:
        """Tenths of a LUT of small memories that are written and read: four LUT6s hold 6 x 32 or 3 x 64 bits, LUT4s
        4 x 16."""
        width, depth = shape
        if self.lut_inputs == 6:
            return np.where(depth <= 32, 40 * -(-width // 6), 40 * -(-width // 3) * -(-depth // 64))
        return 40 * -(-width // 4) * -(-depth // 16)


@dataclass(frozen=True, slots=True)
class Joint:
    """Between two engines: codes of `bits` bits, at most `senders` sent and `takers` taken in a beat.

    relay: the pixel's size where a dense layer takes a map as one frame; what does not divide it goes through beats
    of whole pixels.
    """

    bits: int
    senders: int
    takers: int
    relay: int | None = None

    def tenths(self, sent: Integers, taken: int) -> Integers:
        """Tenths of a LUT of the converters from beats of `sent` elements to beats of `taken`."""
        direct = _converter(sent, np.int64(taken), self.bits)
        if self.relay is None:
            return direct
        size = np.int64(self.relay)
        relayed = _converter(sent, size, self.bits) + _converter(size, np.int64(taken), self.bits)
        return np.where(size % sent == 0, direct, relayed)

    def most_dearer(self, beat: Integers, other: Integers) -> Integers:
        """Tenths of a LUT that beats of `beat` elements on one side can cost more than of `other`, whatever the other
        side's are: a converter takes 2 (a + b) elements at most, and max(a, b) at least unless a = b."""
        most = max(self.senders, self.takers)
        if self.relay is not None:
            return 2 * CONVERTER_TENTHS * self.bits * (beat + 2 * self.relay + most)
        return CONVERTER_TENTHS * self.bits * (2 * beat + np.maximum(most, 2 * other))


def joints(network: IntegerNetwork) -> tuple[Joint, ...]:
    """What lies in front of each engine but the first.

    Where an engine does not read the one before it in the order of the network, or not it alone, there is a joint of 0
    bits, which costs nothing: converters around forks, sums and concatenations are left out of the account.
    """
    result, stages = [], list(network.stages())
    for before, stage in zip(stages, stages[1:], strict=False):
        rows, columns = before.dot.weights.codes.shape[0], stage.dot.weights.codes.shape[1]
        bits = stage.input_type.bits if _reads_alone(network, stage, before) else 0
        relay = rows if bits and not isinstance(stage.dot, Conv2d) and _pixels(stage) > 1 else None
        result.append(Joint(bits, rows, columns // stage.segments, relay))
    return tuple(result)


def _reads_alone(network: IntegerNetwork, stage: Stage, before: Stage) -> bool:
    """Whether the stream of one engine goes to another, through pools and activations at most, and nowhere else."""
    readers = network.readers()
    (name,) = stage.dot.inputs
    while len(readers[name]) == 1 and name != before.end.name:
        node = network.node(name)
        if not isinstance(node, MaxPool | SumPool | Threshold | Requantize):
            return False
        (name,) = node.inputs
    return len(readers[name]) == 1


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
    form = LayerFold(1, 1, arithmetic=arithmetic).form(stage.dot.weights, stage.input_type)
    count_bits = form.p_max(stage.dot.weights.codes.shape[1]).bit_length()
    tenths = _engine(stage, form, count_bits, pe, simd, turns, device)
    blocks = np.zeros_like(pe)
    if isinstance(stage.dot, Conv2d):
        tenths = tenths + _WINDOW_TENTHS
    if first and len(stage.input_type.shape) == 3 and _as_map(stage):
        pixel = np.int64(stage.input_type.shape[-1])
        tenths = tenths + np.where(pixel % simd == 0, 0, _converter(pixel, simd, stage.input_type.bits))
    if device.luts is None:
        return tenths, blocks
    single = isinstance(stage.sink, Threshold) and stage.sink.type.max_code == 1
    weights, *thresholds = _read_only(stage, form, count_bits, pe, simd, turns)
    for shape, shallow in ((weights, 0), *((shape, SHALLOW_WORDS if single else 0) for shape in thresholds)):
        in_blocks, in_luts = device.in_blocks(shape), device.in_luts(shape)
        cheaper = in_blocks * device.block_price < in_luts if device.blocks else np.zeros_like(pe, dtype=np.bool_)
        block = cheaper if memory is Memory.AUTO else np.full_like(cheaper, memory is Memory.BLOCK)
        block = block & (shape[1] > shallow)
        tenths, blocks = tenths + np.where(block, 0, in_luts), blocks + np.where(block, in_blocks, 0)
    for shape in (*_line_buffer(stage, simd), *_buffers(stage, count_bits, pe, simd, turns)):
        in_ram = (shape[1] <= _LUT_RAM_WORDS) | (not device.blocks)
        tenths = tenths + np.where(in_ram, device.in_lut_ram(shape), 0)
        blocks = blocks + np.where(in_ram, 0, device.in_blocks(shape))
    return tenths, blocks


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
        in_luts = multipliers * _multiplier_tenths(form, device) if multipliers else 0
        bits = sum(int((w * d)[0]) for w, d in shapes)
        areas[stage.dot.name] = Area(int(tenths[0]), int(blocks[0]), bits, multipliers, in_luts)
    return areas


def _converter(sent: Integers | np.int64, taken: Integers | np.int64, bits: int) -> Integers:
    """A shift register as long as the wider beat, or as both twice where neither divides the other."""
    wide, narrow = np.maximum(sent, taken), np.minimum(sent, taken)
    length = np.where(wide % narrow == 0, wide, 2 * (sent + taken))
    return np.asarray(np.where(sent == taken, 0, CONVERTER_TENTHS * bits * length), dtype=np.int64)


def _engine(
    stage: Stage, form: DotForm, count_bits: int, pe: Integers, simd: Integers, turns: Integers, device: Device
) -> Integers:
    """Gates and popcount, with shifters where weights shift, or multipliers and their adders; an adder and the
    comparators of each row; decoders of activations and multiplexers of their planes; control."""
    at_once = form.activation_planes // turns
    if isinstance(form, MacForm):
        product_bits = (
            form.word_bits + form.level_bits
        )  # an adder of the tree takes as many for each column, and a carry
        gates = pe * simd * (_multiplier_tenths(form, device) + 10 * (product_bits + 1)) + _CONTROL_TENTHS
    else:
        gates = device.gates(pe * simd * (len(form.planes) * at_once)) + _CONTROL_TENTHS
    gates = gates + _ROW_TENTHS * pe
    if form.shift_bits:  # a LUT of six inputs is a multiplexer of four
        gates = gates + pe * simd * (10 * form.activation_planes * _multiplexer_luts(1 << form.shift_bits, device))
    shared = 10 * simd * (at_once * _multiplexer_luts(turns, device) + (form.level_bits if form.decodes else 0))
    thresholds = stage.sink.type.max_code if isinstance(stage.sink, Threshold) else 0
    comparators = -(-thresholds // (_synapse_folds(stage, simd) * turns)) if thresholds > 1 else 0
    start = 1 if device.lut_inputs == 6 else 2  # a LUT6 chooses the start value and adds, a LUT4 does one of these
    counted = count_bits + (thresholds == 1)
    return gates + shared + 10 * pe * (start * counted + comparators * count_bits)


def _multiplier_tenths(form: DotForm, device: Device) -> int:
    """Tenths of a LUT of one multiplier without a DSP block: a level has a sign bit of 0 in front."""
    return _PRODUCT_TENTHS[device.lut_inputs] * form.word_bits * (form.level_bits + 1)


def _multiplexer_luts(inputs: Integers | int, device: Device) -> Integers:
    return np.asarray(-(-(inputs - 1) // 3) if device.lut_inputs == 6 else inputs - 1)


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


def _buffers(stage: Stage, count_bits: int, pe: Integers, simd: Integers, turns: Integers) -> list[Shape]:
    """Width and depth of the two banks of input buffer, where a vector is gone through more than once, and of the
    output FIFO."""
    passes = _neuron_folds(stage, pe) * turns
    depth = 2 << np.ceil(np.log2(_synapse_folds(stage, simd))).astype(np.int64)
    codes = stage.sink.type.bits if isinstance(stage.sink, Threshold) else count_bits
    return [(np.where(passes > 1, simd * stage.input_type.bits, 0), depth), (pe * codes, np.full_like(pe, 2))]


def _neuron_folds(stage: Stage, pe: Integers) -> Integers:
    rows: int = stage.dot.weights.codes.shape[0]
    return -(-rows // pe)


def _synapse_folds(stage: Stage, simd: Integers) -> Integers:
    columns: int = stage.dot.weights.codes.shape[1]
    return stage.segments * -(-(columns // stage.segments) // simd)


def _as_map(stage: Stage) -> bool:
    return isinstance(stage.dot, Conv2d) or bool(stage.pools_before)


def _pixels(stage: Stage) -> int:
    """Pixels of the map that a stage reads."""
    return int(np.prod(stage.input_type.shape[:-1]))
