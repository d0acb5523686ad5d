"""The parts that an accelerator is made of, before any of it is built: what each does and how long a frame takes it.

`compiler.plan` puts them together, the cycle model reads their bounds, `hdl.components` builds them.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import TypeAlias

import numpy as np

from ..folds.folding import LayerFold
from ..geometry import Window
from ..ir import Node, Recurrent, Requantize, Stage, Threshold
from ..types import CodeType, code_values
from .recurrent_cycles import steps_cycles

__all__ = [
    "ActivationPart",
    "AddPart",
    "ConcatPart",
    "ConverterPart",
    "EnginePart",
    "FifoPart",
    "ForkPart",
    "InputPart",
    "Part",
    "PoolOperation",
    "PoolPart",
    "RecurrentPart",
    "ResultPart",
    "ScoresPart",
    "StageKind",
    "StreamShape",
    "WindowPart",
    "beats",
]


class StageKind(StrEnum):
    """What kind of part a bound belongs to."""

    INPUT = "input"
    CONVERTER = "converter"
    WINDOW = "window"
    ENGINE = "engine"
    POOL = "pool"
    ACTIVATION = "activation"
    ADD = "add"
    CONCAT = "concat"
    FORK = "fork"
    FIFO = "fifo"
    RECURRENT = "recurrent"
    SCORES = "scores"
    OUTPUT = "output"


def beats(elements: int, lanes: int) -> int:
    """Beats that `elements` elements take."""
    return -(-elements // lanes)


@dataclass(frozen=True, slots=True)
class StreamShape:
    """A frame on a stream: `pixels` pixels of `size` elements of `bits` bits, a pixel in beats of `lanes` elements."""

    pixels: int
    size: int
    lanes: int
    bits: int

    @property
    def beats(self) -> int:
        """Beats a frame."""
        return self.pixels * beats(self.size, self.lanes)


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
    """The sliding-window unit in front of a convolution.

    lanes: codes a beat. passes: how often the engine goes through what it yields. blocks: parts of a pixel's channels,
    those of a convolution in groups that are worked on one after the other.
    """

    dot: str
    window: Window
    bits: int
    lanes: int
    pad_code: int
    passes: int
    blocks: int = 1
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
        return max(height * width, taps) * beats(channels, self.lanes)


@dataclass(frozen=True, slots=True)
class EnginePart:
    """A matrix-vector engine: NF * SF * planes in time cycles a vector; with the Threshold that is its stage's sink, or
    the Requantize that alone reads it."""

    name: str
    stage: Stage
    fold: LayerFold
    requantize: Requantize | None = None
    kind = StageKind.ENGINE

    @property
    def inside(self) -> Threshold | Requantize | None:
        """What makes codes inside the engine; None where it yields counts."""
        return self.stage.sink if isinstance(self.stage.sink, Threshold) else self.requantize

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        rows, columns = self.stage.dot.weights.codes.shape
        vector = self.fold.passes(rows) * self.fold.synapse_folds(columns, self.stage.segments)
        return self.stage.vectors * vector


class PoolOperation(StrEnum):
    """What a pool makes of the numbers of a window."""

    MAX = "max"
    SUM = "sum"


@dataclass(frozen=True, slots=True)
class PoolPart:
    """A pool of codes or counts, 0..`largest`; least: the channels of which a maximum takes the least number."""

    name: str
    window: Window
    largest: int
    lanes: int
    operation: PoolOperation = PoolOperation.MAX
    least: frozenset[int] = frozenset()
    kind = StageKind.POOL

    @property
    def cycles(self) -> int:
        """Cycles a frame: every pixel comes in; where windows overlap, every window's pixels pass too."""
        height, width, channels = self.window.input
        taps = self.window.positions * self.window.kernel[0] * self.window.kernel[1]
        return (max(height * width, taps) if self.window.overlaps else height * width) * beats(channels, self.lanes)


@dataclass(frozen=True, slots=True)
class ActivationPart:
    """Thresholds, or a requantization, that stand behind no engine: `source` is the node whose values they take."""

    node: Threshold | Requantize
    source: Node
    shape: StreamShape
    kind = StageKind.ACTIVATION

    @property
    def name(self) -> str:
        """The node's."""
        return self.node.name

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return self.shape.beats


@dataclass(frozen=True)
class AddPart:
    """The sum of the values of several streams of codes of one shape, `lanes` elements of each a beat.

    The hardware adds S = sum_i (value(q_i) - lo_i) / step, which is not negative: the operands' values add up to
    step * S + sum_i lo_i. `step` is the largest number that divides every distance between values of an operand.
    """

    name: str
    operands: tuple[CodeType, ...]
    pixels: int
    size: int
    lanes: int
    kind = StageKind.ADD

    @cached_property
    def step(self) -> int:
        """The unit that the hardware counts in."""
        distances = [np.diff(code_values(kind.bits, kind.encoding)) for kind in self.operands]
        return max(1, math.gcd(*(int(distance) for of_operand in distances for distance in of_operand)))

    @property
    def most(self) -> int:
        """The largest S."""
        return sum(kind.hi - kind.lo for kind in self.operands) // self.step

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return self.pixels * beats(self.size, self.lanes)


@dataclass(frozen=True, slots=True)
class ConcatPart:
    """The pixels of several streams, of `sizes` elements each, one behind the other; `lanes` elements a beat."""

    name: str
    sizes: tuple[int, ...]
    bits: int
    pixels: int
    lanes: int
    kind = StageKind.CONCAT

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return self.pixels * sum(beats(size, self.lanes) for size in self.sizes)


@dataclass(frozen=True, slots=True)
class ForkPart:
    """One stream to several readers."""

    name: str
    shape: StreamShape
    readers: int
    kind = StageKind.FORK

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return self.shape.beats


@dataclass(frozen=True, slots=True)
class FifoPart:
    """Room for the beats of one branch while those of another one are under way; `hdl.line_depths` says how much."""

    name: str
    shape: StreamShape
    kind = StageKind.FIFO

    @property
    def cycles(self) -> int:
        """Cycles a frame."""
        return self.shape.beats


@dataclass(frozen=True, slots=True)
class RecurrentPart:
    """A recurrent layer: its engine, and the way of the state back; `interleave` sequences in turn.

    popcount_stages: registers inside the engine's popcount, which lengthen the way.
    """

    name: str
    node: Recurrent
    fold: LayerFold
    interleave: int
    popcount_stages: int = 1
    kind = StageKind.RECURRENT

    @property
    def cycles(self) -> int:
        """Cycles a step, rounded up where several take turns."""
        return -(-steps_cycles(self.node, self.fold, self.interleave, self.popcount_stages) // self.interleave)

    @property
    def latency(self) -> int:
        """Cycles from a step's last beat in to its last one out, where nothing has to be waited for."""
        return steps_cycles(self.node, self.fold, 1, self.popcount_stages)


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


Part: TypeAlias = (
    InputPart
    | ConverterPart
    | WindowPart
    | EnginePart
    | PoolPart
    | ActivationPart
    | AddPart
    | ConcatPart
    | ForkPart
    | FifoPart
    | RecurrentPart
    | ScoresPart
    | ResultPart
)
