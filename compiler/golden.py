"""The golden model: the integer network in plain NumPy. The oracle that everything else is compared with."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .ir import CodeType, Conv2d, Dense, Input, IntegerNetwork, MaxPool, Node, Scores, Threshold

__all__ = ["Tensor", "Trace", "run"]

Tensor = NDArray[np.integer[Any]]

BATCH = 1024  # samples worked on at a time: bounds the memory, not the result
BATCH_ELEMENTS = 1 << 24  # of the largest array of windows, for the same reason


@dataclass(frozen=True, eq=False)
class Trace(Mapping[str, Tensor]):
    """What the nodes yielded for a batch, by node name.

    Codes are uint8 (B, *shape), accumulators and scores int64 (B, *shape). `scores` is always there, the tensors as
    far as they were kept.
    """

    tensors: Mapping[str, Tensor]
    scores: NDArray[np.int64]

    @property
    def classes(self) -> NDArray[np.int64]:
        """The class of each sample, int64 (B,): the first largest score."""
        first: NDArray[np.int64] = self.scores.argmax(axis=1)
        return first

    def __getitem__(self, name: str) -> Tensor:
        return self.tensors[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.tensors)

    def __len__(self) -> int:
        return len(self.tensors)


def run(network: IntegerNetwork, codes: NDArray[np.uint8], *, keep: Collection[str] | None = None) -> Trace:
    """Run a verified network on input codes, uint8 (B, *input shape); raw samples go through `input_codes` first.

    keep: the names of the nodes whose tensors the trace holds, None for all of them (8 bytes an accumulator: name
    what you need for a whole data set). Raises UsageError for another dtype or shape, or a code out of range.
    """
    source = network.input.type
    if codes.dtype != np.uint8 or codes.shape[1:] != source.shape or codes.ndim != len(source.shape) + 1:
        raise UsageError(f"input codes must be uint8 (B, *{source.shape}), not {codes.dtype} {codes.shape}")
    if codes.size and int(codes.max()) > source.max_code:
        raise UsageError(f"input code {int(codes.max())} does not fit into {source.bits} bits")
    names = [node.name for node in network.nodes if keep is None or node.name in keep]
    steps = [(node, step_of(network, node)) for node in network.nodes]
    kept: dict[str, list[Tensor]] = {name: [] for name in [*names, network.scores.name]}
    batch = batch_of(network)
    for start in range(0, max(len(codes), 1), batch):  # at least once, so that an empty batch has its shapes
        tensor: Tensor = codes[start : start + batch]
        for node, step in steps:
            tensor = step(tensor)
            if node.name in kept:
                kept[node.name].append(tensor)
    tensors = {name: np.concatenate(parts) for name, parts in kept.items()}
    return Trace({name: tensors[name] for name in names}, tensors[network.scores.name].astype(np.int64, copy=False))


def batch_of(network: IntegerNetwork) -> int:
    """How many samples are worked on at a time: a convolution's windows overlap and take many times its input."""
    largest = 1
    for stage in network.stages():
        if isinstance(stage.dot, Conv2d):
            window = stage.dot.window(stage.input_type)
            largest = max(largest, window.positions * window.columns)
    return min(BATCH, max(1, BATCH_ELEMENTS // largest))


def step_of(network: IntegerNetwork, node: Node) -> Callable[[Tensor], Tensor]:
    """What a node does to a batch."""
    match node:
        case Input():
            return lambda codes: codes
        case Dense():
            source = network.node(node.inputs[0]).type
            assert isinstance(source, CodeType)  # verified
            return dense(node, source)
        case Conv2d():
            source = network.node(node.inputs[0]).type
            assert isinstance(source, CodeType)  # verified
            return convolution(node, source)
        case MaxPool():
            window = node.window(network.node(node.inputs[0]).type)
            return lambda maps: window.patches(maps.reshape(-1, *window.input)).max(axis=(3, 4))
        case Threshold():
            return lambda acc: threshold(node, acc)
        case Scores():
            return lambda acc: acc.reshape(len(acc), node.type.size) * node.multiplier + node.offset
    raise UsageError(f"the golden model does not know {node.kind} nodes")


def dense(node: Dense, source: CodeType) -> Callable[[Tensor], Tensor]:
    """The dot product. float64 is exact here, the verifier keeps every partial sum below 2^53, and BLAS is quick."""
    matrix = node.weights.values().astype(np.float64).T

    def multiply(codes: Tensor) -> Tensor:
        values = source.values(codes).reshape(len(codes), source.size)
        return (values.astype(np.float64) @ matrix).astype(np.int64)

    return multiply


def convolution(node: Conv2d, source: CodeType) -> Callable[[Tensor], Tensor]:
    """The dot product at every position: windows as rows of a matrix, multiplied like `dense`, exact like it."""
    matrix = node.weights.values().astype(np.float64).T
    window = node.window(source)
    table = source.values(np.arange(1 << source.bits)).astype(np.float64)

    def multiply(codes: Tensor) -> Tensor:
        maps = codes.reshape(-1, *window.input)
        rows = window.patches(maps, node.pad_code or 0).reshape(-1, window.columns)
        return (table[rows] @ matrix).astype(np.int64).reshape(len(codes), *node.type.shape)

    return multiply


def threshold(node: Threshold, acc: Tensor) -> NDArray[np.uint8]:
    """How many thresholds of its neuron each accumulator has reached, coming from the neuron's own side."""
    codes = np.zeros(acc.shape, np.uint8)
    for level in node.thresholds.T:
        codes += np.where(node.descending, acc <= level, acc >= level)
    return codes.reshape(len(acc), *node.type.shape)
