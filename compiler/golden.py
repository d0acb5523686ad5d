"""The golden model: the integer network in plain NumPy. The oracle that everything else is compared with."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .ir import (
    AccType,
    Add,
    CodeType,
    Concat,
    Conv2d,
    Dense,
    IntegerNetwork,
    MaxPool,
    Node,
    Recurrent,
    Requantize,
    Scores,
    SumPool,
    Threshold,
)
from .recurrent import RecurrentRun

__all__ = ["Step", "Tensor", "Trace", "run", "step_of", "threshold"]

Tensor = NDArray[np.integer[Any]]
Step = Callable[..., Tensor]
"""What a node makes of a batch of each of its inputs, (B, *shape) each: (B, *its shape)."""

BATCH = 1024  # samples worked on at a time: bounds the memory, not the result
RECURRENT_BATCH = 1 << 14  # of a recurrent network, where all sequences of a batch pass together
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


def run(
    network: IntegerNetwork,
    codes: NDArray[np.uint8],
    *,
    last: NDArray[np.bool_] | None = None,
    interleave: int = 1,
    keep: Collection[str] | None = None,
) -> Trace:
    """Run a verified network on input codes, uint8 (B, *input shape); raw samples go through `input_codes` first.

    Where nodes are recurrent, samples are time steps: sample b belongs to slot b mod `interleave` and goes on from what
    its slot's sample before it left, unless that was the last of its sequence; last: bool (B,), None: none is.
    keep: the names of the nodes whose tensors the trace holds, None for all of them (8 bytes an accumulator: name
    what you need for a whole data set). Raises UsageError for another dtype or shape, or a code out of range.
    """
    source = network.input.type
    if codes.dtype != np.uint8 or codes.shape[1:] != source.shape or codes.ndim != len(source.shape) + 1:
        raise UsageError(f"input codes must be uint8 (B, *{source.shape}), not {codes.dtype} {codes.shape}")
    if codes.size and int(codes.max()) > source.max_code:
        raise UsageError(f"input code {int(codes.max())} does not fit into {source.bits} bits")
    if interleave < 1:
        raise UsageError(f"interleave must be a positive whole number, not {interleave}")
    if last is not None and (last.dtype != np.bool_ or last.shape != (len(codes),)):
        raise UsageError(f"last must be bool ({len(codes)},), not {last.dtype} {last.shape}")
    names = [node.name for node in network.nodes if keep is None or node.name in keep]
    recurrent = {n.name: RecurrentRun(n, interleave) for n in network.nodes if isinstance(n, Recurrent)}
    steps = [(n, recurrent.get(n.name) or step_of(network, n)) for n in network.nodes[1:]]
    final = {name: readers[-1].name for name, readers in network.readers().items() if readers}
    kept: dict[str, list[Tensor]] = {name: [] for name in [*names, network.scores.name]}
    batch = batch_of(network)
    for start in range(0, max(len(codes), 1), batch):  # at least once, so that an empty batch has its shapes
        alive: dict[str, Tensor] = {network.input.name: codes[start : start + batch]}
        if network.input.name in kept:
            kept[network.input.name].append(alive[network.input.name])
        ends = None if last is None else last[start : start + batch]
        for node, step in steps:
            inputs = [alive[name] for name in node.inputs]
            tensor = step(inputs[0], ends) if isinstance(step, RecurrentRun) else step(*inputs)
            for name in node.inputs:
                if final[name] == node.name:
                    del alive[name]
            alive[node.name] = tensor
            if node.name in kept:
                kept[node.name].append(tensor)
    tensors = {name: np.concatenate(parts) for name, parts in kept.items()}
    return Trace({name: tensors[name] for name in names}, tensors[network.scores.name].astype(np.int64, copy=False))


def batch_of(network: IntegerNetwork) -> int:
    """How many samples are worked on at a time: a convolution's windows overlap and take many times its input."""
    if any(isinstance(node, Recurrent) for node in network.nodes):
        return RECURRENT_BATCH
    largest = 1
    for stage in network.stages():
        if isinstance(stage.dot, Conv2d):
            window = stage.dot.window(stage.input_type)
            largest = max(largest, window.positions * window.columns)
    return min(BATCH, max(1, BATCH_ELEMENTS // largest))


def step_of(network: IntegerNetwork, node: Node) -> Step:
    """What a node makes of a batch of its inputs; UsageError for the input node, which makes nothing."""
    sources = [network.node(name).type for name in node.inputs]
    codes = [kind for kind in sources if isinstance(kind, CodeType)]
    match node:
        case Dense():
            return dense(node, codes[0])
        case Conv2d():
            return convolution(node, codes[0])
        case MaxPool():
            window = node.window(sources[0])
            return lambda maps: window.patches(maps.reshape(-1, *window.input)).max(axis=(3, 4))
        case SumPool():
            return sum_pool(node, codes[0])
        case Add():
            return lambda *tensors: add(codes, tensors)
        case Concat():
            return lambda *tensors: np.concatenate(tensors, axis=-1)
        case Threshold():
            return over_values(node.type.shape, sources[0], lambda acc: threshold(node, acc))
        case Requantize():
            return over_values(node.type.shape, sources[0], lambda acc: requantize(node, acc))
        case Scores():
            return lambda acc: acc.reshape(len(acc), node.type.size) * node.multiplier + node.offset
    raise UsageError(f"the golden model does not compute {node.kind} nodes")


def dense(node: Dense, source: CodeType) -> Step:
    """The dot product. float64 is exact here, the verifier keeps every partial sum below 2^53, and BLAS is quick."""
    matrix = node.weights.values().astype(np.float64).T

    def multiply(codes: Tensor) -> Tensor:
        values = source.values(codes).reshape(len(codes), source.size)
        return (values.astype(np.float64) @ matrix).astype(np.int64)

    return multiply


def convolution(node: Conv2d, source: CodeType) -> Step:
    """The dot product at every position: windows as rows of a matrix, multiplied like `dense`, exact like it.

    Each group multiplies its own channels of the windows with its own rows of weights.
    """
    window = node.window(source)
    columns, channels = window.columns // node.groups, window.input[2] // node.groups
    matrices = node.weights.values().astype(np.float64).reshape(node.groups, -1, columns).transpose(0, 2, 1)
    table = source.values(np.arange(source.max_code + 1)).astype(np.float64)

    def multiply(codes: Tensor) -> Tensor:
        maps = codes.reshape(-1, *window.input)
        patches = window.patches(maps, node.pad_code or 0)
        split = patches.reshape(*patches.shape[:-1], node.groups, channels)
        rows = np.moveaxis(split, -2, 0).reshape(node.groups, len(codes) * window.positions, columns)
        products = (table[rows] @ matrices).astype(np.int64)
        return np.moveaxis(products, 0, 1).reshape(len(codes), *node.type.shape)

    return multiply


def add(kinds: Sequence[CodeType], tensors: Sequence[Tensor]) -> NDArray[np.int64]:
    """The sum of the values, element by element."""
    total = kinds[0].values(tensors[0])
    for kind, tensor in zip(kinds[1:], tensors[1:], strict=True):
        total = total + kind.values(tensor)
    return total


def sum_pool(node: SumPool, source: CodeType) -> Step:
    """The sum of the values in each window."""
    window = node.window(source)
    return lambda codes: window.patches(source.values(codes).reshape(-1, *window.input)).sum(axis=(3, 4))


def over_values(shape: tuple[int, ...], source: CodeType | AccType, make: Callable[[Tensor], Tensor]) -> Step:
    """`make` on accumulators, or on the values that codes stand for; the result (B, *shape)."""
    if isinstance(source, CodeType):
        return lambda codes: make(source.values(codes)).reshape(len(codes), *shape)
    return lambda acc: make(acc).reshape(len(acc), *shape)


def threshold(node: Threshold, acc: Tensor) -> NDArray[np.uint8]:
    """How many thresholds of its neuron each accumulator (..., N) has reached, coming from the neuron's own side."""
    codes = np.zeros(acc.shape, np.uint8)
    for level in node.thresholds.T:
        codes += np.where(node.descending, acc <= level, acc >= level)
    return codes


def requantize(node: Requantize, acc: Tensor) -> NDArray[np.uint8]:
    """Multiply, add, shift (arithmetically) and clip each accumulator (..., N) with its neuron's constants."""
    shifted = (acc * node.multiplier + node.offset) >> node.shift
    codes: NDArray[np.uint8] = np.clip(shifted, 0, node.type.max_code).astype(np.uint8)
    return codes
