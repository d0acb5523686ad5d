"""The hardware's answers as arrays: what the report shows beside the golden model's."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_write
from ..link.frames import read_results
from .interface import Interface

__all__ = ["parse_results", "save_results"]

Integers = NDArray[np.int64]


def parse_results(results: Sequence[str], interface: Interface) -> tuple[Integers, Integers]:
    """Classes (B,) and scores (B, C) of results' TDATA in hexadecimal; scores (B, 0) where results carry none."""
    length = interface.result_width // 8
    tdata = b"".join(int(text, 16).to_bytes(length, "little") for text in results)
    table = np.frombuffer(tdata, np.uint8).reshape(len(results), length)
    return read_results(table, interface.classes, interface.class_bits // 8, interface.score_bits // 8)


def save_results(
    results: Sequence[str], delivered: Integers, interface: Interface, folder: Path
) -> tuple[Path, Path, Path]:
    """Write classes.npy, scores.npy and completions.npy into `folder`, each in one step; return their paths.

    delivered: the cycle of each result, counted from start.
    """
    paths = folder / "classes.npy", folder / "scores.npy", folder / "completions.npy"
    for path, array in zip(paths, (*parse_results(results, interface), delivered), strict=True):
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        atomic_write(path, buffer.getvalue())
    return paths
