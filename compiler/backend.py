"""The fast CPU backend: the integer network, computed layer by layer in whatever way is quickest here.

It equals the golden model bit for bit; tests and `xnorflow bench` check that. Which way each layer takes is measured,
once a process, on the layer's own shape with a small batch.
"""

import os
import sys
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .counts import node_operations
from .fast_layers import Layer, Method, Planes, Workers, build_layer, supports
from .fast_maps import (
    Maps,
    as_codes,
    gather,
    keeps_planes,
    pool_accumulators,
    pool_codes,
    vector_stage,
    window_of,
)
from .golden import threshold
from .ir import CodeType, Encoding, IntegerNetwork, Scores, Stage, Threshold
from .packing import pack_planes

__all__ = ["Backend", "BackendResult", "input_codes", "run"]

BATCH = 4096  # samples that pass through all layers together: bounds the memory, not the result
BATCH_ELEMENTS = 1 << 25  # of a convolution's windows, for the same reason
SMALL_WORK = 1 << 30  # multiply-adds a run below which plain float beats importing and compiling anything
CALIBRATION = 256  # samples
REPEATS = 5

# What a layer's speed depends on: shape and types, whether codes arrive as planes, and the number of threads.
_Key = tuple[tuple[int, ...], int, Encoding, CodeType, int, bool, int]
_fastest: dict[_Key, Method] = {}


@dataclass(frozen=True, slots=True, eq=False)
class BackendResult:
    """classes: int64 (B,), the first largest score. scores: int64 (B, C). codes: uint8 (B, *shape) by node name, as
    far as asked for. methods: how each dot product was computed."""

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
        self.stages = tuple(network.stages())
        for stage in map(vector_stage, self.stages):
            if method is not None and not supports(method, stage):
                raise UsageError(
                    f"layer {stage.dot.name!r} cannot be computed by {method}; use one of "
                    f"{', '.join(way for way in Method if supports(way, stage))}"
                )
        self._windows = [window_of(stage) for stage in self.stages]
        largest = max(window.positions * window.columns if window else 1 for window in self._windows)
        self._batch = min(BATCH, max(1, BATCH_ELEMENTS // largest))
        self.methods: dict[str, Method] = {}
        self._layers: list[Layer] = []
        planes = False  # codes arrive as bytes
        with _torch_threads(self.threads):
            for stage in self.stages:
                vectors = vector_stage(stage)
                chosen = method or _measured(vectors, planes and keeps_planes(stage), self.threads)
                self.methods[stage.dot.name] = chosen
                self._layers.append(build_layer(chosen, vectors))
                planes = chosen is Method.POPCOUNT and not stage.pools_after

    def run(self, codes: NDArray[np.uint8], *, keep: Collection[str] = ()) -> BackendResult:
        """Scores and classes of input codes, uint8 (B, *input shape); `input_codes` makes them of raw samples.

        keep: names of Threshold nodes whose codes to return. UsageError for another dtype, shape or name, or a code
        out of range.
        """
        _check(self.network, codes)
        shapes = {stage.sink.name: stage.sink.type.shape for stage in self.stages if isinstance(stage.sink, Threshold)}
        for name in keep:
            if name not in shapes:
                raise UsageError(f"no threshold node named {name!r}; there are {', '.join(shapes) or 'none'}")
        kept: dict[str, list[NDArray[np.uint8]]] = {name: [] for name in keep}
        scores = []
        with _torch_threads(self.threads), Workers(self.threads) as workers:
            for start in range(0, max(len(codes), 1), self._batch):
                scores.append(self._run_block(codes[start : start + self._batch], kept, workers))
        tensors = {name: np.concatenate(parts).reshape(-1, *shapes[name]) for name, parts in kept.items()}
        scored = np.concatenate(scores)
        return BackendResult(np.argmax(scored, axis=1), scored, tensors, dict(self.methods))

    def _run_block(
        self, codes: NDArray[np.uint8], kept: dict[str, list[NDArray[np.uint8]]], workers: Workers
    ) -> NDArray[np.int64]:
        value: Maps = codes.reshape(-1, self.network.input.type.shape[-1])
        kind = self.network.input.type
        for stage, layer, window in zip(self.stages, self._layers, self._windows, strict=True):
            for pool in stage.pools_before:
                value = pool_codes(pool, kind, value)
                kind = replace(kind, shape=pool.type.shape)
            vectors = gather(stage, value, window)
            if isinstance(stage.sink, Scores):
                return self._scores(layer.accumulators(vectors, workers))
            if stage.pools_after:
                pooled = pool_accumulators(stage, layer.accumulators(vectors, workers))
                value = threshold(stage.sink, pooled).reshape(-1, pooled.shape[-1])
            else:
                value = layer.codes(vectors, workers)
            kind = stage.sink.type
            if stage.sink.name in kept:
                kept[stage.sink.name].append(as_codes(value))
        return self._scores(as_codes(value))

    def _scores(self, counted: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        node = self.network.scores
        scores: NDArray[np.int64] = counted * node.multiplier + node.offset
        return scores


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
    bits, columns = stage.input_type.bits, stage.input_type.size
    codes = np.random.default_rng(0).integers(0, 1 << bits, (CALIBRATION, columns), dtype=np.uint8)
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
