"""The parts of an accelerator in stream order: what a network and a folding come to, before any of it is built.

The cycle model reads the parts' bounds, `hdl.accelerator` builds them. A stream carries pixels (a vector of a dense
layer is one pixel), each of them padded to whole beats; only a dense layer behind a map takes the map as one frame.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from .counts import popcount_bits
from .folding import Folding, LayerFold, check_buildable, check_folding
from .geometry import Window
from .ir import Conv2d, IntegerNetwork, Stage, Threshold

__all__ = [
    "ConverterPart",
    "EnginePart",
    "InputPart",
    "Part",
    "PoolPart",
    "ResultPart",
    "ScoresPart",
    "StageKind",
    "WindowPart",
    "plan_parts",
]


class StageKind(StrEnum):
    """What kind of part a bound belongs to."""

    INPUT = "input"
    CONVERTER = "converter"
    WINDOW = "window"
    ENGINE = "engine"
    POOL = "pool"
    SCORES = "scores"
    OUTPUT = "output"


def beats(elements: int, lanes: int) -> int:
    """Beats that `elements` elements take."""
    return -(-elements // lanes)


@dataclass(frozen=True, slots=True)
class InputPart:
    """The input port: a frame of `elements` elements without gaps, `lanes` a beat."""

    name: str
    elements: int
    bits: int
    lanes: int
    kind = StageKind.INPUT

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return beats(self.elements, self.lanes)


@dataclass(frozen=True, slots=True)
class ConverterPart:
    """`times` a frame `elements` elements from beats of `lanes_in` to beats of `lanes_out`."""

    name: str
    elements: int
    bits: int
    lanes_in: int
    lanes_out: int
    times: int
    kind = StageKind.CONVERTER

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return self.times * max(beats(self.elements, self.lanes_in), beats(self.elements, self.lanes_out))


@dataclass(frozen=True, slots=True)
class WindowPart:
    """The sliding-window unit in front of a convolution."""

    dot: str
    window: Window
    bits: int
    simd: int
    pad_code: int
    folds: int
    kind = StageKind.WINDOW

    @property
    def name(self) -> str:
        """Of the part, after the convolution's."""
        return f"{self.dot} window"

    @property
    def cycles(self) -> int:
        """Cycles a frame: every pixel comes in, every window's pixels go out."""
        height, width, channels = self.window.input
        taps = self.window.positions * self.window.kernel[0] * self.window.kernel[1]
        return max(height * width, taps) * beats(channels, self.simd)


@dataclass(frozen=True, slots=True)
class EnginePart:
    """A matrix-vector engine: NF * SF cycles a vector."""

    name: str
    stage: Stage
    fold: LayerFold
    kind = StageKind.ENGINE

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        rows, columns = self.stage.dot.weights.codes.shape
        vector = self.fold.neuron_folds(rows) * self.fold.synapse_folds(columns, self.stage.segments)
        return self.stage.vectors * vector


@dataclass(frozen=True, slots=True)
class PoolPart:
    """A max-pool of codes."""

    name: str
    window: Window
    bits: int
    lanes: int
    kind = StageKind.POOL

    @property
    def cycles(self) -> int:
        """Cycles a frame: every pixel comes in; where windows overlap, every window's pixels pass too."""
        height, width, channels = self.window.input
        taps = self.window.positions * self.window.kernel[0] * self.window.kernel[1]
        return (max(height * width, taps) if self.window.overlaps else height * width) * beats(channels, self.lanes)


@dataclass(frozen=True, slots=True)
class ScoresPart:
    """The score unit."""

    name: str
    classes: int
    lanes: int
    kind = StageKind.SCORES

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return beats(self.classes, self.lanes)


@dataclass(frozen=True, slots=True)
class ResultPart:
    """The output port: a beat a frame."""

    name: str = "result"
    cycles: int = 1
    kind = StageKind.OUTPUT


Part: TypeAlias = InputPart | ConverterPart | WindowPart | EnginePart | PoolPart | ScoresPart | ResultPart


def plan_parts(network: IntegerNetwork, folding: Folding) -> tuple[Part, ...]:
    """The parts in stream order.

    HardwareError for nodes that no hardware is built for, UsageError if the folding does not suit the network.
    """
    check_buildable(network)
    check_folding(network, folding)
    stages = list(network.stages())
    shape = network.input.type.shape
    first = stages[0]
    as_map = isinstance(first.dot, Conv2d) or bool(first.pools_before)
    pixels, size = (shape[0] * shape[1], shape[2]) if as_map else (1, network.input.type.size)
    simd = folding.layers[first.dot.name].simd
    # Pixels follow each other without gaps outside; so where a beat would span two of them, a whole one is a beat.
    sent = simd if pixels == 1 or size % simd == 0 else size
    parts: list[Part] = [InputPart(network.input.name, network.input.type.size, network.input.type.bits, sent)]
    source = network.input.name
    for stage in stages:
        bits = stage.input_type.bits
        for pool in stage.pools_before:
            window = pool.window(network.node(pool.inputs[0]).type)
            parts.append(PoolPart(pool.name, window, bits, sent))
            source, pixels = pool.name, window.positions
        fold, name = folding.layers[stage.dot.name], stage.dot.name
        if not isinstance(stage.dot, Conv2d) and pixels > 1:
            if size % sent:
                parts.append(ConverterPart(f"{source} to {name} pixels", size, bits, sent, size, pixels))
                sent = size
            pixels, size = 1, pixels * size
        if sent != fold.simd:
            parts.append(ConverterPart(f"{source} to {name}", size, bits, sent, fold.simd, pixels))
        if isinstance(stage.dot, Conv2d):
            window = stage.dot.window(stage.input_type)
            folds = fold.neuron_folds(stage.dot.weights.codes.shape[0])
            parts.append(WindowPart(name, window, bits, fold.simd, stage.dot.pad_code or 0, folds))
        parts.append(EnginePart(name, stage, fold))
        source, sent, pixels, size = name, fold.pe, stage.vectors, stage.dot.weights.codes.shape[0]
    scores, classes = network.scores, network.scores.type.size
    if sent != folding.score_lanes:
        bits = _scored_bits(stages[-1])
        parts.append(ConverterPart(f"{source} to {scores.name}", classes, bits, sent, folding.score_lanes, 1))
    parts += [ScoresPart(scores.name, classes, folding.score_lanes), ResultPart()]
    return tuple(parts)


def _scored_bits(stage: Stage) -> int:
    """Bits of what is scored: codes behind a threshold, otherwise counts."""
    if isinstance(stage.sink, Threshold):
        return stage.sink.type.bits
    weights = stage.dot.weights
    return popcount_bits(int(weights.codes.shape[1]), weights.bits, stage.input_type)
