"""The integer network: a small graph of frozen nodes, every number in it an integer.

A tensor of *codes* (what travels on a stream) has a `CodeType`; a tensor of *accumulators* (what a dot product
yields) has an `AccType`. Codes stand for integers by their encoding:

- bipolar, n bits: code q stands for the odd integer 2q - (2^n - 1); with n = 1 that is -1 or +1
- unsigned, n bits: code q stands for q

A dot product is `acc[n] = sum_k value(w[n, k]) * value(x[k])`, exact. Feature maps are (H, W, C), channel last; the
last axis is the neuron's or channel's, and every per-neuron constant goes along it. This module imports NumPy alone.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UsageError
from .geometry import Window

__all__ = [
    "AccType",
    "CodeType",
    "Conv2d",
    "Dense",
    "Encoding",
    "Input",
    "InputTransform",
    "IntegerNetwork",
    "MaxPool",
    "Node",
    "Scores",
    "Stage",
    "Threshold",
    "Weights",
]

Codes = NDArray[np.uint8]
Integers = NDArray[np.int64]


class Encoding(StrEnum):
    """Which integer a code stands for."""

    BIPOLAR = "bipolar"
    UNSIGNED = "unsigned"


@dataclass(frozen=True, slots=True)
class CodeType:
    """The type of a tensor of codes: shape without the batch axis, code width in bits (1 to 8), encoding."""

    shape: tuple[int, ...]
    bits: int
    encoding: Encoding

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))

    @property
    def max_code(self) -> int:
        """The largest code, 2^bits - 1; also the number of thresholds that yield such codes."""
        return (1 << self.bits) - 1

    @property
    def lo(self) -> int:
        """The least integer a code can stand for."""
        return -self.max_code if self.encoding is Encoding.BIPOLAR else 0

    @property
    def hi(self) -> int:
        """The largest integer a code can stand for."""
        return self.max_code

    def values(self, codes: NDArray[np.integer]) -> Integers:
        """The integers that `codes` (any shape) stand for, as int64."""
        wide = codes.astype(np.int64)
        return 2 * wide - self.max_code if self.encoding is Encoding.BIPOLAR else wide


@dataclass(frozen=True, slots=True)
class AccType:
    """The type of a tensor of accumulators or scores: shape without the batch axis, inclusive range."""

    shape: tuple[int, ...]
    lo: int
    hi: int

    @property
    def size(self) -> int:
        """Number of elements."""
        return int(np.prod(self.shape))


@dataclass(frozen=True, slots=True)
class InputTransform:
    """How a raw sample becomes input codes: uniform quantization of [lo, hi] with 2^bits levels.

    code = clip(floor((x - lo) * (2^bits - 1) / (hi - lo) + 0.5), 0, 2^bits - 1), evaluated in float64 from left to
    right, so that NumPy and torch give the same codes. One bit is a threshold at (lo + hi) / 2, inclusive; eight
    bits on [0, 255] is the pixel itself.
    """

    lo: float
    hi: float

    def codes(self, raw: NDArray[np.generic], bits: int) -> Codes:
        """Codes of the raw samples (any shape and real dtype), uint8 of the same shape; DataError if one is NaN."""
        levels = (1 << bits) - 1
        scaled = (raw.astype(np.float64) - self.lo) * levels / (self.hi - self.lo) + 0.5
        if raw.dtype.kind == "f" and np.isnan(scaled).any():
            raise DataError("a raw sample holds NaN, which has no code")
        return np.clip(np.floor(scaled), 0, levels).astype(np.uint8)


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A weight matrix as codes: uint8 (N, K), code width in bits, encoding."""

    codes: Codes
    bits: int
    encoding: Encoding

    @property
    def type(self) -> CodeType:
        """The codes' type, shape included."""
        return CodeType(tuple(self.codes.shape), self.bits, self.encoding)

    def values(self) -> Integers:
        """The integers the weights stand for, int64 (N, K)."""
        return self.type.values(self.codes)


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

    weights: (N, kh * kw * C), columns in the order (ky, kx, c). kernel, stride, padding, dilation: as of
    `geometry.Window`. pad_code: the code that stands outside the map, None without padding; bipolar codes have no
    zero, so that training says which of them it is.
    """

    kind: ClassVar[str] = "conv2d"
    type: AccType
    weights: Weights
    kernel: tuple[int, int]
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    pad_code: int | None = None

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
    """Accumulators to codes by integer comparison: BatchNorm and activation in one.

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
    """One engine of the accelerator: a dot product and what consumes its accumulators.

    input_type: of the codes that the dot product reads. pools_before: pools that make them of the codes of the stage
    before. pools_after: pools of accumulators, between the dot product and its sink.
    """

    dot: Dense | Conv2d
    sink: Threshold | Scores
    input_type: CodeType
    pools_before: tuple[MaxPool, ...] = ()
    pools_after: tuple[MaxPool, ...] = ()

    @property
    def vectors(self) -> int:
        """Vectors a frame: the positions of a convolution's window, one for a dense layer."""
        return math.prod(self.dot.type.shape[:-1])

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

    def stages(self) -> Iterator[Stage]:
        """The engines in stream order. Scores behind a Threshold belong to none of them: see `scores`."""
        pools: list[MaxPool] = []
        before: tuple[MaxPool, ...] = ()
        source, dot = self.nodes[0].type, None
        for node in self.nodes:
            match node:
                case MaxPool():
                    pools.append(node)
                case Dense() | Conv2d():
                    source, dot, before = self.node(node.inputs[0]).type, node, tuple(pools)
                    pools = []
                case Threshold() | Scores() if dot is not None:
                    assert isinstance(source, CodeType)  # verified
                    yield Stage(dot, node, source, before, tuple(pools))
                    dot, pools = None, []
