"""The weights that a layer with `weights: stream` takes from outside: what to send, and in which order."""

from collections.abc import Mapping

import numpy as np

from ..dot.engine import Engine
from ..dot.params import EngineParams
from ..dot.rom import MemoryImage
from .axi import data_width

__all__ = ["stream_port", "streamed_weights", "weight_beats"]


def stream_port(layer: str) -> str:
    """What stands in front of `_tdata`, `_tvalid`, `_tready` in the names of the layer's port. It has no TLAST."""
    return f"s_axis_{layer}"


def weight_beats(params: EngineParams) -> MemoryImage:
    """The beats of TDATA for one vector, one a word: NF * SF words of PE x SIMD weights (as `weight_image` has them),
    those of a fold once for every group of planes in time. They are sent again for every vector of every frame."""
    words = params.weight_image.bits[params.weight_steps]
    padded = np.zeros((len(words), data_width(words.shape[1])), dtype=np.uint8)
    padded[:, : words.shape[1]] = words
    return MemoryImage(f"{params.name}_weight_stream", padded)


def streamed_weights(engines: Mapping[str, Engine]) -> dict[str, MemoryImage]:
    """The beats of all engines that take their weights so, by the names of their dot products."""
    return {name: weight_beats(engine.params) for name, engine in engines.items() if engine.streams_weights}
