"""Ways to compute one layer on a CPU, all exact: popcount (Numba), bitwise (NumPy), int8 (torch), float (BLAS).

Each takes the layer's input codes, as bytes or as bit planes, and yields codes or accumulators. Which one is quickest
depends on the layer and the machine: `backend` measures.
"""

import importlib.util
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..ir import Encoding, Stage, Threshold
from ..packing import WORD, pack_planes, unpack_planes

__all__ = ["Layer", "Method", "Planes", "Workers", "build_layer", "supports"]

Codes = NDArray[np.uint8]
Integers = NDArray[np.integer[Any]]

_INT8_WEIGHT = 64  # CPUs without VNNI add two products in 16 bits: 2 * 255 * 64 still fits
_BITWISE_WORDS = 1 << 20  # words of one intermediate array of the bitwise way: 8 MB


class Method(StrEnum):
    """How a layer is computed."""

    POPCOUNT = "popcount"
    BITWISE = "bitwise"
    INT8 = "int8"
    FLOAT = "float"


@dataclass(frozen=True, slots=True, eq=False)
class Planes:
    """Codes as bit planes: uint64 (B, bits, words), of that many columns."""

    words: NDArray[np.uint64]
    columns: int

    def codes(self) -> Codes:
        """The codes, uint8 (B, columns)."""
        return unpack_planes(self.words, self.columns)


class Workers:
    """Threads for kernels that release the GIL; a context, so that no thread outlives the run."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self.threads > 1:
            self._pool = ThreadPoolExecutor(self.threads)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._pool is not None:
            self._pool.shutdown()
            self._pool = None

    def spread(self, samples: int, work: Callable[[slice], None]) -> None:
        """Call `work` on slices that cover `samples` samples; several a thread, as threads are not equally quick."""
        if self._pool is None:
            work(slice(0, samples))
            return
        step = max(64, -(-samples // (4 * self.threads)))
        list(self._pool.map(work, (slice(start, start + step) for start in range(0, samples, step))))


class Layer(ABC):
    """One stage, made ready. Bytes or planes may come in; what goes out is what the way has at hand."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    @abstractmethod
    def accumulators(self, source: Codes | Planes, workers: Workers) -> Integers:
        """The dot product of codes (B, K) or their planes: integers (B, N)."""

    @abstractmethod
    def codes(self, source: Codes | Planes, workers: Workers) -> Codes | Planes:
        """The codes behind the thresholds; the stage's sink must be a Threshold."""


def supports(method: Method, stage: Stage) -> bool:
    """Whether the method can compute the stage exactly, with what is installed."""
    weights, source = stage.dot.weights, stage.input_type
    match method:
        case Method.POPCOUNT:
            return _on_planes(stage) and importlib.util.find_spec("numba") is not None
        case Method.BITWISE:
            return _on_planes(stage)
        case Method.INT8:
            largest = int(np.abs(weights.values()).max())
            fits = largest <= _INT8_WEIGHT and source.size * largest * 256 < 1 << 31
            return (
                fits
                and source.encoding not in (Encoding.LOG, Encoding.LOG_UNSIGNED)
                and importlib.util.find_spec("torch") is not None
            )
        case Method.FLOAT:
            return True


def _on_planes(stage: Stage) -> bool:
    """Whether weights and codes are weighted sums of bit planes with no offset but the popcount domain's."""
    bipolar = stage.dot.weights.encoding is Encoding.BIPOLAR
    return bipolar and stage.input_type.encoding in (Encoding.BIPOLAR, Encoding.UNSIGNED)


def build_layer(method: Method, stage: Stage) -> Layer:
    """The stage computed by the method, which must support it."""
    match method:
        case Method.POPCOUNT:
            return _Popcount(stage)
        case Method.BITWISE:
            return _Bitwise(stage)
        case Method.INT8:
            return _Int8(stage)
        case Method.FLOAT:
            return _Float(stage)


@dataclass(frozen=True, slots=True, eq=False)
class Mismatch:
    """acc[n] = constant[n] - alpha * X[n], with X the weighted number of bits in which weights and codes differ.

    With bipolar weights X = K M_w M_a - P, P being the popcount sum of docs/architecture.md.
    """

    constant: NDArray[np.int64]
    alpha: int

    @classmethod
    def of(cls, stage: Stage) -> "Mismatch":
        """The two numbers of a stage with bipolar weights."""
        weights, source = stage.dot.weights, stage.input_type
        rows, columns = weights.codes.shape
        most = columns * weights.type.max_code
        if source.encoding is Encoding.BIPOLAR:
            return cls(np.full(rows, most * source.max_code, np.int64), 2)
        return cls(source.max_code * (most + weights.values().sum(axis=1)) // 2, 1)

    def limits(self, sink: Threshold) -> NDArray[np.int64]:
        """(levels, N): an ascending code counts the limits with X <= limit, a descending one those with X > limit."""
        distance = self.constant[:, None] - sink.thresholds
        ascending = distance // self.alpha
        descending = -(-distance // self.alpha) - 1
        return np.ascontiguousarray(np.where(sink.descending[:, None], descending, ascending).T)


def _bytes(source: Codes | Planes) -> Codes:
    return source.codes() if isinstance(source, Planes) else source


class _Popcount(Layer):
    """XOR, popcount, compare and pack in one kernel."""

    def __init__(self, stage: Stage) -> None:
        from . import kernels

        super().__init__(stage)
        self.kernels = kernels
        self.mismatch = Mismatch.of(stage)
        weights = stage.dot.weights
        self.rows = len(weights.codes)
        tile = kernels.TILE
        tiles = -(-self.rows // tile)
        planes = pack_planes(weights.codes, weights.bits)
        padded = np.zeros((tiles * tile, *planes.shape[1:]), np.uint64)
        padded[: self.rows] = planes
        self.weights = np.ascontiguousarray(padded.reshape(tiles, tile, *planes.shape[1:]).transpose(0, 2, 3, 1))
        if isinstance(stage.sink, Threshold):
            levels = stage.sink.type.max_code
            limits = np.full((levels, tiles * tile), -1, np.int64)  # padding rows: X <= -1 never holds, code 0
            limits[:, : self.rows] = self.mismatch.limits(stage.sink)
            self.limits = np.ascontiguousarray(limits.reshape(levels, tiles, tile).transpose(1, 0, 2))
            flips = np.zeros((1, tiles * tile), np.uint8)
            flips[0, : self.rows] = stage.sink.descending
            self.flips = pack_planes(flips, 1).reshape(tiles)

    def accumulators(self, source: Codes | Planes, workers: Workers) -> Integers:
        words = self._words(source, workers)
        sums = np.empty((len(words), len(self.weights) * self.kernels.TILE), np.int64)
        workers.spread(len(sums), lambda part: self.kernels.count_sums(words[part], self.weights, sums[part]))
        acc: Integers = self.mismatch.constant - self.mismatch.alpha * sums[:, : self.rows]
        return acc

    def codes(self, source: Codes | Planes, workers: Workers) -> Planes:
        sink = self.stage.sink
        assert isinstance(sink, Threshold)
        words = self._words(source, workers)
        out = np.empty((len(words), sink.type.bits, len(self.weights)), np.uint64)
        workers.spread(
            len(out),
            lambda part: self.kernels.count_codes(words[part], self.weights, self.limits, self.flips, out[part]),
        )
        return Planes(out, self.rows)

    def _words(self, source: Codes | Planes, workers: Workers) -> NDArray[np.uint64]:
        if isinstance(source, Planes):
            return source.words
        words = np.empty((len(source), self.stage.input_type.bits, -(-source.shape[1] // WORD)), np.uint64)
        workers.spread(len(words), lambda part: self.kernels.pack(source[part], words[part]))
        return words


class _Product(Layer):
    """A way that yields a product p with acc = scale * p + constant[n]; the thresholds are moved to p once."""

    scale: int
    constant: NDArray[np.int64]

    @abstractmethod
    def product(self, source: Codes | Planes, workers: Workers) -> NDArray[Any]:
        """p of codes (B, K) or their planes: (B, N), integers of any real dtype."""

    def accumulators(self, source: Codes | Planes, workers: Workers) -> Integers:
        acc: Integers = self.product(source, workers).astype(np.int64) * self.scale + self.constant
        return acc

    def codes(self, source: Codes | Planes, workers: Workers) -> Codes:
        return self._comparer(self.product(source, workers), workers)

    @cached_property
    def _comparer(self) -> Callable[[NDArray[Any], Workers], Codes]:
        """Codes of p: how many levels sign * p reaches."""
        sink = self.stage.sink
        assert isinstance(sink, Threshold)
        distance, size = sink.thresholds - self.constant[:, None], abs(self.scale)
        ascending, descending = -(-distance // size), -(distance // size)
        levels = np.ascontiguousarray(np.where(sink.descending[:, None], descending, ascending).T)
        signs = np.where(sink.descending, -1, 1) * np.sign(self.scale)
        return _comparer(levels, signs)


def _comparer(levels: NDArray[np.int64], signs: NDArray[np.int64]) -> Callable[[NDArray[Any], Workers], Codes]:
    if importlib.util.find_spec("numba") is not None:
        from . import kernels

        def compiled(product: NDArray[Any], workers: Workers) -> Codes:
            out = np.empty(product.shape, np.uint8)
            workers.spread(len(out), lambda part: kernels.threshold(product[part], levels, signs, out[part]))
            return out

        return compiled

    def plain(product: NDArray[Any], workers: Workers) -> Codes:
        signed = product * signs
        codes = np.zeros(product.shape, np.uint8)
        for level in levels:
            codes += signed >= level
        return codes

    return plain


class _Bitwise(_Product):
    """XOR and numpy.bitwise_count, in blocks of samples that keep the intermediate array small."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        mismatch = Mismatch.of(stage)
        self.scale, self.constant = -mismatch.alpha, mismatch.constant
        self.weights = pack_planes(stage.dot.weights.codes, stage.dot.weights.bits)

    def product(self, source: Codes | Planes, workers: Workers) -> NDArray[Any]:
        words = source.words if isinstance(source, Planes) else pack_planes(source, self.stage.input_type.bits)
        rows, planes, columns = self.weights.shape
        sums = np.zeros((len(words), rows), np.int64)
        step = max(1, _BITWISE_WORDS // (rows * columns))
        for start in range(0, len(words), step):
            block = words[start : start + step]
            for j in range(block.shape[1]):
                for i in range(planes):
                    differing = np.bitwise_count(block[:, None, j] ^ self.weights[None, :, i])
                    sums[start : start + step] += differing.sum(axis=2, dtype=np.int64) << (i + j)
        return sums


class _Int8(_Product):
    """torch's int8 matrix product: value = scale * byte + shift, the shift times the weights' sum being constant."""

    def __init__(self, stage: Stage) -> None:
        import torch

        super().__init__(stage)
        self.torch = torch
        source = stage.input_type
        values = stage.dot.weights.values()
        self.weights = torch.from_numpy(np.ascontiguousarray(values.T.astype(np.int8)))
        self.origin = 128 if source.bits == 8 else 0  # eight unsigned bits do not fit a signed byte
        self.scale = 2 if source.encoding is Encoding.BIPOLAR else 1
        shift = self.scale * self.origin + source.lo
        self.constant = shift * values.sum(axis=1)

    def product(self, source: Codes | Planes, workers: Workers) -> NDArray[Any]:
        codes = _bytes(source)
        shifted = np.ascontiguousarray(codes ^ np.uint8(0x80) if self.origin else codes).view(np.int8)
        product: NDArray[np.int32] = self.torch._int_mm(self.torch.from_numpy(shifted), self.weights).numpy()
        return product


class _Float(_Product):
    """NumPy's float matrix product: float32 where every partial sum stays below 2^24, else float64."""

    def __init__(self, stage: Stage) -> None:
        super().__init__(stage)
        values, source = stage.dot.weights.values(), stage.input_type
        self.scale, self.constant = 1, np.zeros(len(values), np.int64)
        largest = int(np.abs(values).sum(axis=1).max()) * max(-source.lo, source.hi)
        self.dtype = np.dtype(np.float32 if largest < 1 << 24 else np.float64)
        self.weights = np.ascontiguousarray(values.T.astype(self.dtype))
        self.table = source.values(np.arange(source.max_code + 1)).astype(self.dtype)

    def product(self, source: Codes | Planes, workers: Workers) -> NDArray[Any]:
        product: NDArray[np.floating[Any]] = self.table[_bytes(source)] @ self.weights
        return product
