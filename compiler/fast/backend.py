"""The fast CPU backend: the integer network, computed layer by layer in whatever way is quickest here.

It equals the golden model bit for bit; tests and `xnorflow bench` check that. Which way each dot product takes is
measured, once a process, on its own shape with a small batch. A node that no quick way is known for (a sum, thresholds
that do not stand right behind a dot product, convolutions in groups, ...) is computed as the golden model does.
"""

import os
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from ...errors import UsageError
from ..cost.counts import node_operations
from ..golden import step_of
from ..ir import CodeType, Conv2d, Encoding, IntegerNetwork, MaxPool, Node, Recurrent, Stage, Threshold
from ..packing import pack_planes
from ..recurrent import RecurrentRun
from .layers import Layer, Method, Planes, Workers, build_layer, supports
from .maps import (
    Maps,
    as_codes,
    gather,
    keeps_planes,
    pool_codes,
    vector_stage,
    window_of,
)

__all__ = ["Backend", "BackendResult", "input_codes", "run"]

BATCH = 4096  # samples that pass through all layers together: bounds the memory, not the result
BATCH_ELEMENTS = 1 << 25  # of a convolution's windows, for the same reason
SMALL_WORK = 1 << 30  # multiply-adds a run below which plain float beats importing and compiling anything
CALIBRATION = 256  # samples
REPEATS = 5

_Value = Maps | NDArray[np.integer[Any]]  # of a batch: (B * pixels, C), codes, their planes or accumulators
_Compute = Callable[[Mapping[str, _Value], Workers], _Value]

# What a layer's speed depends on: shape and types, whether codes arrive as planes, and the number of threads.
_Key = tuple[tuple[int, ...], int, Encoding, CodeType, int, bool, int]
_fastest: dict[_Key, Method] = {}


@dataclass(frozen=True, slots=True, eq=False)
class _Work:
    """What yields the tensor of the node `name`, and which tensors nobody needs after it."""

    name: str
    compute: _Compute
    drops: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class BackendResult:
    """classes: int64 (B,), the first largest score. scores: int64 (B, C). codes: uint8 (B, *shape) by node name, as
    far as asked for. methods: how each dot product was computed, convolutions in groups excepted."""

    classes: NDArray[np.int64]
    scores: NDArray[np.int64]
    codes: Mapping[str, NDArray[np.uint8]]
    methods: Mapping[str, Method]


class Backend:
    """A network made ready to run many times.

    method: how to compute every layer, or None to measure each. UsageError where a named method cannot compute a
    layer exactly or its library is missing. threads: for the kernels and torch (None: OMP_NUM_THREADS, else all
    processors this process may use); NumPy's BLAS reads OMP_NUM_THREADS or its like when the process starts.
    """

    def __init__(self, network: IntegerNetwork, *, method: Method | None = None, threads: int | None = None) -> None:
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be a positive whole number, not {threads}")
        self.network = network
        self.threads = threads or _default_threads()
        self._recurrent = {node.name: node for node in network.nodes if isinstance(node, Recurrent)}
        self._states: dict[str, RecurrentRun] = {}  # of the run in progress
        self._ends: NDArray[np.bool_] | None = None  # which samples of the present block end their sequences
        self.stages = tuple(
            stage for stage in network.stages() if not _grouped(stage) and stage.dot.name not in self._recurrent
        )
        for stage in map(vector_stage, self.stages):
            if method is not None and not supports(method, stage):
                raise UsageError(
                    f"layer {stage.dot.name!r} cannot be computed by {method}; use one of "
                    f"{', '.join(way for way in Method if supports(way, stage))}"
                )
        self._batch = min(BATCH, max(1, BATCH_ELEMENTS // max(map(_elements, network.stages()))))
        self.methods: dict[str, Method] = {}
        with _torch_threads(self.threads):
            self._works = self._plan(method)

    def _plan(self, method: Method | None) -> list[_Work]:
        """What is to be done, in order. A Threshold that is a stage's sink is done with its dot product."""
        stages = {stage.dot.name: stage for stage in self.stages}
        fused = {stage.end.name for stage in self.stages} - stages.keys()
        last = {name: nodes[-1].name for name, nodes in self.network.readers().items() if nodes}
        planes: set[str] = set()  # the tensors that are bit planes
        works = []
        for node in self.network.nodes[1:]:
            if node.name in fused:
                continue
            drops = tuple(name for name in node.inputs if last[name] == node.name)
            stage = stages.get(node.name)
            if stage is not None:
                vectors = vector_stage(stage)
                in_planes = node.inputs[0] in planes and keeps_planes(stage)
                chosen = self.methods[node.name] = method or _measured(vectors, in_planes, self.threads)
                if chosen is Method.POPCOUNT and isinstance(stage.sink, Threshold):
                    planes.add(stage.end.name)
                works.append(_Work(stage.end.name, _product(stage, build_layer(chosen, vectors)), drops))
            elif isinstance(node, MaxPool) and isinstance(node.type, CodeType):
                if node.type.bits == 1 and node.inputs[0] in planes:
                    planes.add(node.name)
                works.append(_Work(node.name, _code_pool(self.network, node), drops))
            elif isinstance(node, Recurrent):
                works.append(_Work(node.name, self._step(node), drops))
            else:
                works.append(_Work(node.name, _as_golden(self.network, node), drops))
        return works

    def _step(self, node: Recurrent) -> _Compute:
        """A recurrent node goes on from the states of the run in progress."""

        def compute(values: Mapping[str, _Value], workers: Workers) -> _Value:
            codes = _array(values[node.inputs[0]]).reshape(-1, node.features)
            return self._states[node.name](codes, self._ends)

        return compute

    def run(
        self,
        codes: NDArray[np.uint8],
        *,
        last: NDArray[np.bool_] | None = None,
        interleave: int = 1,
        keep: Collection[str] = (),
    ) -> BackendResult:
        """Scores and classes of input codes, uint8 (B, *input shape); `input_codes` makes them of raw samples.

        last, interleave: the sequences of a recurrent network, as of `golden.run`.
        keep: names of Threshold nodes whose codes to return. UsageError for another dtype, shape or name, or a code
        out of range.
        """
        _check(self.network, codes)
        self._states = {name: RecurrentRun(node, interleave) for name, node in self._recurrent.items()}
        shapes = {node.name: node.type.shape for node in self.network.nodes[1:] if isinstance(node.type, CodeType)}
        for name in keep:
            if name not in shapes:
                raise UsageError(f"no node named {name!r} yields codes; there are {', '.join(shapes) or 'none'}")
        kept: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in keep}
        scores = []
        with _torch_threads(self.threads), Workers(self.threads) as workers:
            for start in range(0, max(len(codes), 1), self._batch):
                self._ends = None if last is None else last[start : start + self._batch]
                scores.append(self._run_block(codes[start : start + self._batch], kept, workers))
        tensors = {name: np.concatenate(parts).reshape(-1, *shapes[name]) for name, parts in kept.items()}
        scored = np.concatenate(scores)
        return BackendResult(np.argmax(scored, axis=1), scored, tensors, dict(self.methods))

    def _run_block(
        self, codes: NDArray[np.uint8], kept: dict[str, list[NDArray[np.uint8]]], workers: Workers
    ) -> NDArray[np.int64]:
        source = self.network.input
        alive: dict[str, _Value] = {source.name: codes.reshape(-1, source.type.shape[-1])}
        for work in self._works:
            value = work.compute(alive, workers)
            for name in work.drops:
                del alive[name]
            alive[work.name] = value
            if work.name in kept:
                kept[work.name].append(as_codes(_codes(value)))
        return _array(alive[self.network.scores.name]).astype(np.int64, copy=False)


def _grouped(stage: Stage) -> bool:
    return isinstance(stage.dot, Conv2d) and stage.dot.groups > 1


def _elements(stage: Stage) -> int:
    """Elements of all windows of a sample; of a dense layer 1."""
    window = window_of(stage)
    return window.positions * window.columns if window else 1


def _product(stage: Stage, layer: Layer) -> _Compute:
    """The dot product, with its thresholds where they stand right behind it."""
    source, window = stage.dot.inputs[0], window_of(stage)
    work = layer.codes if isinstance(stage.sink, Threshold) else layer.accumulators
    return lambda values, workers: work(gather(stage, _codes(values[source]), window), workers)


def _codes(value: _Value) -> Maps:
    """The tensor of a node of codes."""
    return cast(Maps, value)


def _array(value: _Value) -> NDArray[np.integer[Any]]:
    """Codes or accumulators as an array, whichever way they are there."""
    return value.codes() if isinstance(value, Planes) else value


def _code_pool(network: IntegerNetwork, node: MaxPool) -> _Compute:
    """A pool of codes."""
    (source,) = node.inputs
    kind = network.node(source).type
    assert isinstance(kind, CodeType)  # the caller's case
    return lambda values, workers: pool_codes(node, kind, _codes(values[source]))


def _as_golden(network: IntegerNetwork, node: Node) -> _Compute:
    """The golden model's way, on arrays (B, *shape)."""
    step = step_of(network, node)
    shapes = {name: network.node(name).type.shape for name in node.inputs}

    def compute(values: Mapping[str, _Value], workers: Workers) -> _Value:
        return step(*(_array(values[name]).reshape(-1, *shape) for name, shape in shapes.items())).reshape(
            -1, node.type.shape[-1]
        )

    return compute


def run(
    network: IntegerNetwork,
    codes: NDArray[np.uint8],
    *,
    method: Method | None = None,
    threads: int | None = None,
    keep: Collection[str] = (),
) -> BackendResult:
    """`Backend(network).run(codes)`; where there is little to compute, nothing is measured and plain float is taken."""
    work = len(codes) * sum(node_operations(stage.dot) // 2 for stage in network.stages())
    if method is None and work < SMALL_WORK:
        method = Method.FLOAT
    return Backend(network, method=method, threads=threads).run(codes, keep=keep)


def input_codes(network: IntegerNetwork, raw: NDArray[np.generic]) -> NDArray[np.uint8]:
    """`network.input_codes(raw)`, by a table of 256 entries where the raw samples are bytes."""
    if raw.dtype != np.uint8 or network.input.transform is None:
        return network.input_codes(raw)
    samples = raw.astype(np.uint8, copy=False)  # for the type checker: no copy
    table = network.input_codes(np.arange(256, dtype=np.uint8))
    return samples if np.array_equal(table, np.arange(256)) else table[samples]


def _check(network: IntegerNetwork, codes: NDArray[np.uint8]) -> None:
    source = network.input.type
    if codes.dtype != np.uint8 or codes.ndim != len(source.shape) + 1 or codes.shape[1:] != source.shape:
        raise UsageError(f"input codes must be uint8 (B, *{source.shape}), not {codes.dtype} {codes.shape}")
    if codes.size and source.bits < 8 and int(codes.max()) > source.max_code:
        raise UsageError(f"input code {int(codes.max())} does not fit into {source.bits} bits")


def _measured(stage: Stage, planes: bool, threads: int) -> Method:
    """The quickest method for a stage of that shape whose codes arrive as bytes or as planes."""
    weights, source = stage.dot.weights, stage.input_type
    key = (weights.codes.shape, weights.bits, weights.encoding, source, _levels(stage), planes, threads)
    if key not in _fastest:
        candidates = list(_candidates(stage))
        times = {method: _seconds(build_layer(method, stage), planes, threads) for method in candidates}
        _fastest[key] = min(candidates, key=lambda method: times[method])
    return _fastest[key]


def _levels(stage: Stage) -> int:
    return stage.sink.type.max_code if isinstance(stage.sink, Threshold) else 0


def _candidates(stage: Stage) -> Iterator[Method]:
    """Methods worth measuring.

    NumPy's bitwise way only where Numba is missing, to which it always loses. torch takes seconds to import: only
    where that has happened already, or where several bit planes make popcount lose its lead.
    """
    for method in Method:
        if not supports(method, stage):
            continue
        if method is Method.BITWISE and supports(Method.POPCOUNT, stage):
            continue
        if method is Method.INT8 and "torch" not in sys.modules and stage.dot.weights.bits * stage.input_type.bits < 4:
            continue
        yield method


def _seconds(layer: Layer, planes: bool, threads: int) -> float:
    """Least time of the layer on random codes; a first run compiles and does not count."""
    stage = layer.stage
    bits, columns, most = stage.input_type.bits, stage.input_type.size, stage.input_type.max_code
    codes = np.random.default_rng(0).integers(0, most + 1, (CALIBRATION, columns), dtype=np.uint8)
    source = Planes(pack_planes(codes, bits), columns) if planes else codes
    work = layer.codes if isinstance(stage.sink, Threshold) else layer.accumulators
    times = []
    with Workers(threads) as workers:
        work(source, workers)
        for _ in range(REPEATS):
            begin = time.perf_counter()
            work(source, workers)
            times.append(time.perf_counter() - begin)
    return min(times)


def _default_threads() -> int:
    wished = os.environ.get("OMP_NUM_THREADS", "")
    if wished.isdecimal() and int(wished) > 0:
        return int(wished)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def _torch_threads(threads: int) -> Iterator[None]:
    """torch's number of threads for a while; torch is not imported for it."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
