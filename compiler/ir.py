"""The integer network: a small graph of frozen nodes, every number in it an integer.

A tensor of *codes* (what travels on a stream) has a `CodeType`; a tensor of *accumulators* (what a dot product
yields) has an `AccType`. Codes stand for integers by their encoding:

- bipolar, n bits: code q stands for the odd integer 2q - (2^n - 1); with n = 1 that is -1 or +1
- unsigned, n bits: code q stands for q

A dot product is `acc[n] = sum_k value(w[n, k]) * value(x[k])`, exact. This module imports NumPy alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from ..errors import DataError, UsageError

__all__ = [
    "AccType",
    "CodeType",
    "Dense",
    "Encoding",
    "Input",
    "InputTransform",
    "IntegerNetwork",
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
class Threshold(Node):
    """Accumulators to codes by integer comparison: BatchNorm and activation in one.

    thresholds: int64 (N, 2^bits - 1). For an ascending neuron code = #{i : acc >= t[i]}, rows nondecreasing; for a
    descending one (negative slope) code = #{i : acc <= t[i]}, rows nonincreasing. Entries lie in
    [acc.lo - 1, acc.hi + 1]: the extra values stand for "never" and "always". descending: bool (N,).
    """

    kind: ClassVar[str] = "threshold"
    type: CodeType
    thresholds: Integers
    descending: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Scores(Node):
    """Class scores: score[c] = multiplier[c] * acc[c] + offset[c], int64; the class is the first largest score."""

    kind: ClassVar[str] = "scores"
    type: AccType
    multiplier: Integers
    offset: Integers


@dataclass(frozen=True, slots=True)
class Stage:
    """One engine of the accelerator: a dot product and what consumes its accumulators, with the input's type."""

    dot: Dense
    sink: Threshold | Scores
    input_type: CodeType


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
        """The engines in stream order."""
        for dot in self.nodes:
            if isinstance(dot, Dense):
                source = self.node(dot.inputs[0]).type
                sink = next(n for n in self.nodes if dot.name in n.inputs)
                assert isinstance(source, CodeType) and isinstance(sink, Threshold | Scores)  # verified
                yield Stage(dot, sink, source)
