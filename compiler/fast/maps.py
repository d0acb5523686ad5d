"""Feature maps for the CPU backend: a convolution becomes many vectors of one dense layer.

A map of a batch is its pixels, (B * H * W, C) codes or their bit planes, in stream order. Where C fills whole words,
windows and pools work on the words themselves; otherwise on codes.
"""

from dataclasses import replace

import numpy as np

from ..geometry import Window
from ..ir import CodeType, Conv2d, Dense, MaxPool, Stage, Threshold
from ..packing import WORD
from .layers import Codes, Planes

__all__ = ["Maps", "as_codes", "gather", "keeps_planes", "pool_codes", "vector_stage", "window_of"]

Maps = Codes | Planes


def vector_stage(stage: Stage) -> Stage:
    """The stage as it is at one position: a dense layer on one window's elements."""
    if isinstance(stage.dot, Dense):
        return stage
    dot, sink = stage.dot, stage.sink
    rows, columns = dot.weights.codes.shape
    dense = Dense(dot.name, dot.inputs, replace(dot.type, shape=(rows,)), dot.weights)
    if isinstance(sink, Threshold):
        sink = replace(sink, type=replace(sink.type, shape=(rows,)))
    return Stage(dense, sink, replace(stage.input_type, shape=(columns,)))


def window_of(stage: Stage) -> Window | None:
    """The window of a convolution; None of a dense layer."""
    return stage.dot.window(stage.input_type) if isinstance(stage.dot, Conv2d) else None


def keeps_planes(stage: Stage) -> bool:
    """Whether planes of the dot product's input reach its layer as planes."""
    kind = stage.input_type
    return kind.shape[-1] % WORD == 0 or (isinstance(stage.dot, Dense) and kind.size == kind.shape[-1])


def gather(stage: Stage, maps: Maps, window: Window | None) -> Maps:
    """The vectors of the stage's layer, (B * positions, columns): windows of the maps, or whole maps flattened."""
    if window is None:
        return flat(stage.input_type, maps)
    assert isinstance(stage.dot, Conv2d)  # it has a window
    pad = stage.dot.pad_code or 0
    height, width, channels = window.input
    if isinstance(maps, Planes) and channels % WORD == 0:
        planes = maps.words.reshape(-1, height, width, *maps.words.shape[1:])
        ones = np.iinfo(np.uint64).max
        windows = [
            window.patches(planes[:, :, :, bit], int(ones) * (pad >> bit & 1)).reshape(-1, window.columns // WORD)
            for bit in range(planes.shape[3])
        ]
        return Planes(np.ascontiguousarray(np.stack(windows, axis=1)), window.columns)
    codes = as_codes(maps).reshape(-1, height, width, channels)
    vectors = window.patches(codes, pad).reshape(-1, window.columns)
    return np.require(vectors, requirements=["C", "W"])  # of 1x1 windows it is a read-only view, which torch refuses


def flat(kind: CodeType, maps: Maps) -> Maps:
    """One vector a sample: of maps, all their pixels."""
    pixels = kind.size // kind.shape[-1]
    if pixels == 1:
        return maps
    if isinstance(maps, Planes) and maps.columns % WORD == 0:
        samples = maps.words.reshape(-1, pixels, *maps.words.shape[1:]).swapaxes(1, 2)
        return Planes(np.ascontiguousarray(samples.reshape(-1, kind.bits, kind.size // WORD)), kind.size)
    return as_codes(maps).reshape(-1, kind.size)


def pool_codes(pool: MaxPool, before: CodeType, maps: Maps) -> Maps:
    """The largest code of each window; of one bit, that is OR, whole words at a time."""
    window = pool.window(before)
    height, width, channels = window.input
    if isinstance(maps, Planes) and before.bits == 1:
        words = maps.words.reshape(-1, height, width, maps.words.shape[-1])
        merged = np.bitwise_or.reduce(window.patches(words), axis=(3, 4))
        return Planes(np.ascontiguousarray(merged.reshape(-1, 1, words.shape[-1])), channels)
    codes = as_codes(maps).reshape(-1, height, width, channels)
    return np.ascontiguousarray(window.patches(codes).max(axis=(3, 4)).reshape(-1, channels))


def as_codes(maps: Maps) -> Codes:
    """Codes, whichever way they are there."""
    return maps.codes() if isinstance(maps, Planes) else maps
