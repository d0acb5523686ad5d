"""The hardware's answers as arrays: what the report shows beside the golden model's."""

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..files import atomic_write
from .interface import Interface

__all__ = ["parse_results", "save_results"]

Integers = NDArray[np.int64]


def parse_results(results: Sequence[str], interface: Interface) -> tuple[Integers, Integers]:
    """Classes (B,) and scores (B, C) of results' TDATA in hexadecimal; scores (B, 0) where results carry none."""
    count = interface.classes if interface.score_bits else 0
    classes = np.zeros(len(results), dtype=np.int64)
    scores = np.zeros((len(results), count), dtype=np.int64)
    class_mask, score_mask = (1 << interface.class_bits) - 1, (1 << interface.score_bits) - 1
    sign = 1 << interface.score_bits >> 1
    for index, text in enumerate(results):
        tdata = int(text, 16)
        classes[index] = tdata & class_mask
        for label in range(count):
            field = tdata >> (interface.class_bits + label * interface.score_bits) & score_mask
            scores[index, label] = (field ^ sign) - sign
    return classes, scores


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
