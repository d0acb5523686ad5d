"""The integer network: a graph of frozen nodes, every number in it an integer.

A node reads the nodes named in its `inputs` and may be read by several. A dot product is
`acc[n] = sum_k value(w[n, k]) * value(x[k])`, exact. Feature maps are (H, W, C), channel last; the last axis is the
neuron's or channel's, and every per-neuron constant goes along it. This module imports NumPy alone.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .geometry import Padding, Window
from .types import AccType, Codes, CodeType, Encoding, InputTransform, Integers, Weights

__all__ = [
    "AccType",
    "Add",
    "CodeType",
    "Concat",
    "Conv2d",
    "Dense",
    "Encoding",
    "Input",
    "InputTransform",
    "IntegerNetwork",
    "MaxPool",
    "Node",
    "Recurrent",
    "Requantize",
    "Scores",
    "Stage",
    "SumPool",
    "Threshold",
    "Weights",
    "map_shape",
]


@dataclass(frozen=True, eq=False)
class Node:
    """One operation. `name` is a lower-case identifier, unique in its network, legal in Verilog and in file names."""

    kind: ClassVar[str]
    name: str
    inputs: tuple[str, ...]
    type: CodeType | AccType


@dataclass(frozen=True, eq=False)
class Input(Node):
    """The network's input: codes made from raw samples by `transform` (None: samples are codes already)."""

    kind: ClassVar[str] = "input"
    type: CodeType
    transform: InputTransform | None


@dataclass(frozen=True, eq=False)
class Dense(Node):
    """Fully connected: acc[n] = sum_k value(w[n, k]) * value(x[k]); the input is taken in C order, flattened."""

    kind: ClassVar[str] = "dense"
    type: AccType
    weights: Weights


@dataclass(frozen=True, eq=False)
class Conv2d(Node):
    """2-D correlation: (H, W, C) codes to (H', W', N) accumulators, a dot product at each position of a window.

    weights: (N, kh * kw * C / groups), columns in the order (ky, kx, c). kernel, stride, padding, dilation: as of
    `geometry.Window`. pad_code: the code that stands outside the map, None without padding; bipolar codes have no
    zero, so that training says which of them it is. groups: neurons n with the same n * groups // N see the channels c
    with that c * groups // C alone; C groups make a depthwise convolution.
    """

    kind: ClassVar[str] = "conv2d"
    type: AccType
    weights: Weights
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: Padding = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    pad_code: int | None = None
    groups: int = 1

    def window(self, source: CodeType | AccType) -> Window:
        """The window on an input of that type; UsageError if it does not fit."""
        return Window(map_shape(source, self.name), self.kernel, self.stride, self.padding, self.dilation)


@dataclass(frozen=True, eq=False)
class MaxPool(Node):
    """Channel by channel the largest of a window, without padding: of codes, or of accumulators.

    A larger code stands for a larger integer, so the largest code is that of the largest value. In front of a
    Threshold it takes the largest accumulator, which with a negative slope is not the largest code.
    """

    kind: ClassVar[str] = "maxpool"
    kernel: tuple[int, int]
    stride: tuple[int, int]

    def window(self, source: CodeType | AccType) -> Window:
        """The window on an input of that type; UsageError if it does not fit."""
        return Window(map_shape(source, self.name), self.kernel, self.stride)


@dataclass(frozen=True, eq=False)
class SumPool(Node):
    """Channel by channel the sum of the values in a window of codes, without padding: an average without its divisor,
    which belongs to what follows. A kernel as large as the map makes it global."""

    kind: ClassVar[str] = "sumpool"
    type: AccType
    kernel: tuple[int, int]
    stride: tuple[int, int]

    def window(self, source: CodeType | AccType) -> Window:
        """The window on an input of that type; UsageError if it does not fit."""
        return Window(map_shape(source, self.name), self.kernel, self.stride)


@dataclass(frozen=True, eq=False)
class Add(Node):
    """Element by element the sum of the values of two or more tensors of codes of one shape: a residual connection.

    The values are on one grid, which training arranges: one step of each operand is worth the same.
    """

    kind: ClassVar[str] = "add"
    type: AccType


@dataclass(frozen=True, eq=False)
class Concat(Node):
    """Two or more tensors of codes of the same bits and encoding, one behind the other along the last axis."""

    kind: ClassVar[str] = "concat"
    type: CodeType


def map_shape(kind: CodeType | AccType, name: str) -> tuple[int, int, int]:
    """The (H, W, C) of a feature map, (H, W) having one channel; UsageError naming the reader if it is none."""
    if len(kind.shape) == 2:
        return kind.shape[0], kind.shape[1], 1
    if len(kind.shape) != 3:
        raise UsageError(f"{name}: reads feature maps (H, W, C), not {kind.shape}")
    height, width, channels = kind.shape
    return height, width, channels


@dataclass(frozen=True, eq=False)
class Threshold(Node):
    """Accumulators to codes by integer comparison: BatchNorm and activation in one. Codes can be read too: their values
    then take the accumulators' place.

    thresholds: int64 (N, 2^bits - 1), N being the last axis: neurons, or the channels of a map. For an ascending
    neuron code = #{i : acc >= t[i]}, rows nondecreasing; for a descending one (negative slope) code =
    #{i : acc <= t[i]}, rows nonincreasing. Entries lie in [acc.lo - 1, acc.hi + 1]: the extra values stand for
    "never" and "always". descending: bool (N,).
    """

    kind: ClassVar[str] = "threshold"
    type: CodeType
    thresholds: Integers
    descending: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Requantize(Node):
    """Accumulators to codes: clip((multiplier[n] * acc + offset[n]) >> shift, 0, 2^bits - 1), >> rounding down.

    For wide activations, where 2^bits - 1 thresholds a neuron would be many. multiplier, offset: int64 (N,), N being
    the last axis; multipliers may be negative or 0. It reads what a Threshold reads.
    """

    kind: ClassVar[str] = "requantize"
    type: CodeType
    multiplier: Integers
    offset: Integers
    shift: int


@dataclass(frozen=True, eq=False)
class Recurrent(Node):
    """Samples are time steps: codes x (D,) to the codes h (H,) of a state that is kept; `recurrent` has the kinds.

    weights: (G * H, D + H), columns x then h, both on the grid of `type`; the G rows of a unit stand together.
    thresholds: int64 (G * H, levels), descending: bool (G * H,), as of Threshold, for the rows' accumulators.
    """

    gates: ClassVar[int]
    type: CodeType
    weights: Weights
    thresholds: Integers
    descending: NDArray[np.bool_]

    @property
    def hidden(self) -> int:
        """H."""
        return self.type.size

    @property
    def features(self) -> int:
        """D."""
        return int(self.weights.codes.shape[1]) - self.hidden

    @property
    def stage(self) -> "Stage":
        """Its engine: a dot product over [x, h], and the thresholds."""
        rows, columns = (int(extent) for extent in self.weights.codes.shape)
        source = replace(self.type, shape=(columns,))
        largest = int(np.abs(self.weights.values()).sum(axis=1).max()) * max(-source.lo, source.hi)
        dot = Dense(self.name, self.inputs, AccType((rows,), -largest, largest), self.weights)
        levels = int(self.thresholds.shape[1])
        codes = CodeType((rows,), levels.bit_length(), Encoding.UNSIGNED)
        return Stage(dot, Threshold(self.name, (self.name,), codes, self.thresholds, self.descending), source)


@dataclass(frozen=True, eq=False)
class Scores(Node):
    """Class scores: score[c] = multiplier[c] * acc[c] + offset[c], int64; the class is the first largest score.

    Behind a Threshold the codes take the accumulators' place, as the whole numbers they are (not what they stand for).
    """

    kind: ClassVar[str] = "scores"
    type: AccType
    multiplier: Integers
    offset: Integers


@dataclass(frozen=True, slots=True)
class Stage:
    """A dot product and what stands around it.

    sink: the Threshold or Scores that reads the accumulators and is alone in that; None where they go elsewhere, to
    pools, a Requantize or several readers. input_type: of the codes that the dot product reads. pools_before: the
    pools of codes right in front of it, as far as nobody else reads them.
    """

    dot: Dense | Conv2d
    sink: Threshold | Scores | None
    input_type: CodeType
    pools_before: tuple[MaxPool, ...] = ()

    @property
    def end(self) -> Node:
        """The node that the engine's stream is of: the Threshold, or the dot product where accumulators go on."""
        return self.sink if isinstance(self.sink, Threshold) else self.dot

    @property
    def vectors(self) -> int:
        """Vectors a frame: the positions of a convolution's window, one for a dense layer."""
        return math.prod(self.dot.type.shape[:-1])

    @property
    def groups(self) -> int:
        """Groups of a convolution; 1 of anything else."""
        return self.dot.groups if isinstance(self.dot, Conv2d) else 1

    @property
    def segments(self) -> int:
        """Pieces of a vector that start on a beat of their own: the pixels of a window."""
        return math.prod(self.dot.kernel) if isinstance(self.dot, Conv2d) else 1


@dataclass(frozen=True, eq=False)
class IntegerNetwork:
    """Nodes in topological order (Input first, Scores last), class names, and where the network came from.

    `compiler.verify.verify` states and checks every invariant; each pass and the loader run it.
    """

    nodes: tuple[Node, ...]
    class_names: tuple[str, ...]
    provenance: Mapping[str, str] = field(default_factory=dict)

    def node(self, name: str) -> Node:
        """The node of that name; UsageError if there is none."""
        for node in self.nodes:
            if node.name == name:
                return node
        raise UsageError(f"no node named {name!r}; the network has {', '.join(n.name for n in self.nodes)}")

    @property
    def input(self) -> Input:
        """The input node."""
        first = self.nodes[0]
        assert isinstance(first, Input)  # verified
        return first

    @property
    def scores(self) -> Scores:
        """The score node."""
        last = self.nodes[-1]
        assert isinstance(last, Scores)  # verified
        return last

    def input_codes(self, raw: NDArray[np.generic]) -> Codes:
        """Input codes (B, *input shape) of raw samples (B, *input shape)."""
        source = self.input
        if source.transform is None:
            return raw.astype(np.uint8)
        return source.transform.codes(raw, source.type.bits)

    def readers(self) -> dict[str, tuple[Node, ...]]:
        """For each node's name the nodes that read it, in topological order."""
        found: dict[str, list[Node]] = {node.name: [] for node in self.nodes}
        for node in self.nodes:
            for name in node.inputs:
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    def stages(self) -> Iterator[Stage]:
        """The dot products in topological order, those of recurrent nodes among them."""
        named = {node.name: node for node in self.nodes}
        readers = self.readers()
        for node in self.nodes:
            if isinstance(node, Recurrent):
                yield node.stage
            if not isinstance(node, Dense | Conv2d):
                continue
            source = named[node.inputs[0]]
            assert isinstance(source.type, CodeType)  # verified
            reader = readers[node.name][0] if len(readers[node.name]) == 1 else None
            sink = reader if isinstance(reader, Threshold | Scores) else None
            pools: list[MaxPool] = []
            before = source
            while isinstance(before, MaxPool) and len(readers[before.name]) == 1:
                pools.insert(0, before)
                before = named[before.inputs[0]]
            yield Stage(node, sink, source.type, tuple(pools))
