"""What a whole accelerator takes of a device, estimated part by part: LUTs, flip-flops, block RAMs, DSP blocks.

Engines are priced by `area.price_engines`, as the solver prices them; here is all that stands beside them. Each rule
follows the part's hardware; what synthesis adds to it is a constant, found on the accelerators of
`hdl.tools.resource_set` part by part. `xnorflow bench resources` holds the sums against synthesis.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...boards.loader import Board, Family
from ...errors import HardwareError
from ..folds.folding import Folding, Memory
from ..ir import IntegerNetwork, Node, Requantize, Scores
from ..schedule.parts import (
    ActivationPart,
    AddPart,
    ConcatPart,
    ConverterPart,
    EnginePart,
    FifoPart,
    ForkPart,
    InputPart,
    Part,
    PoolPart,
    RecurrentPart,
    ResultPart,
    ScoresPart,
    WindowPart,
    beats,
)
from ..schedule.plan import plan_parts
from .activation_cost import search_is_cheaper, threshold_memories
from .cells import Cells, Resources, counter_bits
from .device import Device
from .engine_cells import engine_cells
from .link_cells import link_cells

Integers = NDArray[np.int64]

__all__ = ["LINK", "design_resources"]

LINK = "link"
"""The name of what a board's top puts around the accelerator."""


@dataclass(frozen=True, eq=False)
class _Design:
    """What the rules read beside a part. depths: beats of line buffers and FIFOs that are known, by the part's name."""

    network: IntegerNetwork
    folding: Folding
    cells: Cells
    depths: Mapping[str, int]


def design_resources(
    network: IntegerNetwork,
    folding: Folding,
    board: Board,
    *,
    popcount_stages: int = 1,
    depths: Mapping[str, int] | None = None,
    link: bool = False,
) -> dict[str, Resources]:
    """What each part of an accelerator takes on a board's device, by the part's name in the plan, in stream order.

    depths: beats of the line buffers and FIFOs by their part's name, where they are known; else windows hold the rows
    that they read and those that come in for the next, and FIFOs 16 beats. link: with what the top of a board with a
    UART has beside the accelerator, under the name `LINK`.

    HardwareError for a board without a device, and for what the model does not know: recurrent layers, weights that are
    written at run time.
    """
    if board.family is Family.ASIC or board.budget is None:
        raise HardwareError(f"board {board.name} has no cells to count; estimate for one of an FPGA family")
    if folding.rewritable:
        raise HardwareError("the resources of weights that are written at run time (weights: axi) are not modelled")
    design = _Design(network, folding, Cells(Device.of(board)), depths or {})
    result: dict[str, Resources] = {}
    parts = plan_parts(network, folding, popcount_stages).parts
    for part in parts:
        if isinstance(part, RecurrentPart):
            raise HardwareError(f"the resources of recurrent layers ({part.name}) are not modelled")
        if isinstance(part, EnginePart):
            result[part.name] = engine_cells(part, design.cells, popcount_stages)
        else:
            result[part.name] = _RULES[type(part)](part, design)
    if link:
        port = next(part for part in parts if isinstance(part, InputPart))
        beat_bytes, result_bytes = beats(port.lanes * port.bits, 8), beats(_result_bits(design), 8)
        result[LINK] = link_cells(design.cells, beat_bytes, port.cycles, result_bytes)
    return result


def _slice(width: int) -> Resources:
    """A register slice: a multiplexer and two registers for each bit."""
    return Resources(width + 4, 2 * width + 2)


def _input(part: InputPart, design: _Design) -> Resources:
    """A slice, and zeros for what is missing."""
    width = part.lanes * part.bits
    return _slice(width + 1) + Resources(width + 10, counter_bits(part.cycles) + 4)


def _result(part: ResultPart, design: _Design) -> Resources:
    """A slice: TLAST is always 1."""
    return _slice(_result_bits(design))


def _result_bits(design: _Design) -> int:
    classes = design.network.scores.type.size
    return max(1, counter_bits(classes)) + classes * _score_bits(design)


def _score_bits(design: _Design) -> int:
    """Of a signed score, as the hardware has it."""
    kind = design.network.scores.type
    return 1 + max(kind.hi.bit_length() if kind.hi > 0 else 0, (-kind.lo - 1).bit_length() if kind.lo < 0 else 0)


def _span_bits(node: Node, design: _Design) -> int:
    """Of a count of all values that a node reads."""
    source = design.network.node(node.inputs[0]).type
    return int(source.hi - source.lo).bit_length()


def _scores(part: ScoresPart, design: _Design) -> Resources:
    """Products and additions of each lane, a tree that compares lanes, the best so far, all scores collected."""
    node, bits, lanes, cells = design.network.scores, _score_bits(design), part.lanes, design.cells
    assert isinstance(node, Scores)
    shared = int(np.bitwise_or.reduce(node.multiplier))
    multipliers = node.multiplier // (shared & -shared or 1)  # a common power of two is a shift
    multiplier_bits = max(int(m if m >= 0 else ~m).bit_length() for m in multipliers) + 1
    multiplies = bool(np.any(multipliers != 1))
    products = Resources()
    if multiplies:
        count_bits = _span_bits(node, design)
        one = cells.multiplier(count_bits, multiplier_bits)
        registers = lanes * (count_bits + multiplier_bits + bits) + 2
        products = Resources(lanes * one.luts, registers, 0, lanes * one.dsps)
    varies = multiplies or bool(np.any(node.offset != node.offset[0]))
    width = lanes * (bits + (multiplier_bits if multiplies else 0))
    constants = cells.rom(width, part.cycles, Memory.LUT) if varies else Resources()
    compared, levels = lanes - 1, counter_bits(lanes)
    if cells.device.lut_inputs == 6:
        luts = (lanes * bits if varies else 0) + 2 * compared * bits + bits + 13
    else:
        luts = lanes * bits + compared * (2 * bits + 2) + bits + 15
    held = sum(lanes * bits + -(-lanes // (1 << level)) * (bits + level) for level in range(1, levels + 1))
    flip_flops = part.cycles * lanes * bits + lanes * bits + held + bits
    flip_flops += 2 * counter_bits(part.classes) + counter_bits(part.cycles) + 5
    return products + constants + Resources(luts, flip_flops)


def _converter(part: ConverterPart, design: _Design) -> Resources:
    """Beats are gathered, cut, or both, a register slice in between."""
    elements, bits, into, out = part.elements, part.bits, part.lanes_in, part.lanes_out
    if into % out == 0 or into >= elements:
        return _cut(part, into, design)
    if out % into == 0 or out >= elements:
        return _gather(part, out)
    group = min(int(np.lcm(into, out)), elements)
    return _gather(part, group) + _slice(group * bits) + _cut(part, group, design)


def _cut(part: ConverterPart, group: int, design: _Design) -> Resources:
    width, cuts = part.lanes_out * part.bits, beats(min(group, part.elements), part.lanes_out)
    return Resources(width * design.cells.chosen(cuts) + 3 + counter_bits(cuts), counter_bits(cuts))


def _gather(part: ConverterPart, group: int) -> Resources:
    slots = beats(min(group, part.elements), part.lanes_in)
    return Resources(4 + slots, slots * part.lanes_in * part.bits + counter_bits(slots) + 1)


def _window(part: WindowPart, design: _Design) -> Resources:
    """A line buffer, where it reads, and counters of pixels and windows."""
    height, width, channels = part.window.input
    per_pixel = beats(channels, part.lanes)
    rows = min(part.window.span[0] + part.window.stride[0], 2 * height)
    depth = design.depths.get(part.name, rows * width * per_pixel)
    payload = part.lanes * part.bits
    address = counter_bits(depth)
    counters = sum(map(counter_bits, (per_pixel, *part.window.kernel, *part.window.output)))
    padded = any(part.window.border)
    luts = (
        (6 if design.cells.device.lut_inputs == 6 else 10) * address
        + 3 * counters
        + (payload + 2 * counters if padded else 0)
    )
    flip_flops = 4 * address + counters + 1 + (counters + 2 if padded else 0)
    return design.cells.ram(payload, depth) + Resources(luts, flip_flops)


def _pool(part: PoolPart, design: _Design) -> Resources:
    """A running result for each column of windows, or a sliding window and a register."""
    bits_in, taps = part.largest.bit_length(), part.window.kernel[0] * part.window.kernel[1]
    bits = bits_in if part.operation.value == "max" else (part.largest * taps).bit_length()
    per_pixel = beats(part.window.input[2], part.lanes)
    each = (2 if bits_in == 1 else 3 * bits) * part.lanes
    if part.window.overlaps:
        inner = WindowPart(part.name, part.window, bits_in, part.lanes, 0, 1, per_pixel)
        return _window(inner, design) + Resources(each + 10, part.lanes * bits + counter_bits(taps) + 3)
    depth = part.window.output[1] * per_pixel
    counters = sum(map(counter_bits, (*part.window.input[:2], *part.window.kernel, *part.window.output[:2], per_pixel)))
    return design.cells.ram(part.lanes * bits, depth, registered=False) + Resources(each + counters, counters)


def _activation(part: ActivationPart, design: _Design) -> Resources:
    """Comparators, or a multiplier, behind credits and a FIFO. Thresholds that are constants become functions of the
    bits that come in."""
    node, bits, lanes, cells = part.node, part.shape.bits, part.shape.lanes, design.cells
    source = _span_bits(node, design)
    fifo = cells.ram(lanes * bits, 4, registered=False)
    if isinstance(node, Requantize):
        return fifo + Resources(lanes * (source + bits) + 30, lanes * (source + bits) + 20, dsps=lanes)
    levels, folds = node.type.max_code, beats(part.shape.size, lanes)
    compared = levels * (source + 1) + bits
    constants = Resources()
    if folds == 1 or bool(np.all(node.thresholds == node.thresholds[0])):
        compared = min(compared, bits << max(0, source - cells.device.lut_inputs))
    else:
        search = bool(search_is_cheaper(levels, source + 1, lanes, folds, 1, Memory.AUTO))
        if search:
            compared = bits * (source + 1 + bits)
        for count, width, depth in threshold_memories(levels, source + 1, lanes, folds, 1, search):
            one = cells.rom(int(width), int(depth), Memory.AUTO)
            constants = sum((one for _ in range(int(count))), constants)
    return fifo + constants + Resources(lanes * compared + 30, lanes * (source + bits) + counter_bits(folds) + 12)


def _add(part: AddPart, design: _Design) -> Resources:
    """An adder for each lane and operand but one, and a register."""
    bits = part.most.bit_length()
    adders = len(part.operands) - 1
    return Resources(part.lanes * bits * adders + 4, part.lanes * bits + 1)


def _concat(part: ConcatPart, design: _Design) -> Resources:
    """A multiplexer and counters."""
    width, operands = part.lanes * part.bits, len(part.sizes)
    counters = counter_bits(sum(beats(size, part.lanes) for size in part.sizes)) + counter_bits(operands)
    return Resources(width * design.cells.chosen(operands) + 2 * counters + 5, counters)


def _fork(part: ForkPart, design: _Design) -> Resources:
    """A flag for each reader."""
    return Resources(3 * part.readers, part.readers)


def _fifo(part: FifoPart, design: _Design) -> Resources:
    """A memory, two places and the level."""
    width, depth = part.shape.lanes * part.shape.bits, design.depths.get(part.name, 16)
    block = depth >= 128 and depth * width >= 4096
    pointers = Resources(5 * counter_bits(depth) + 6, 3 * counter_bits(depth) + 1)
    return design.cells.ram(width, depth, registered=block) + pointers


_RULES: Mapping[type[Part], Callable[[Any, _Design], Resources]] = {
    InputPart: _input,
    ResultPart: _result,
    ScoresPart: _scores,
    ConverterPart: _converter,
    WindowPart: _window,
    PoolPart: _pool,
    ActivationPart: _activation,
    AddPart: _add,
    ConcatPart: _concat,
    ForkPart: _fork,
    FifoPart: _fifo,
}
