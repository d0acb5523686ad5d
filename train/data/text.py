"""Characters of a text as one-hot samples, in sequences; no torch."""

import gzip
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

__all__ = ["CHARACTERS", "one_hot", "read_characters"]

CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""The characters of tiny-shakespeare, in the order of their numbers."""

_SHARES = {"train": (0.0, 0.9), "validation": (0.9, 0.95), "test": (0.95, 1.0)}


def one_hot(text: str) -> NDArray[np.uint8]:
    """Samples (B, characters) of a text, 1 at the character's place; DataError for a character that is none of them."""
    places = np.array([CHARACTERS.find(character) for character in text])
    if (places < 0).any():
        raise DataError(f"{text[int(np.argmax(places < 0))]!r} is none of the {len(CHARACTERS)} characters")
    samples: NDArray[np.uint8] = np.eye(len(CHARACTERS), dtype=np.uint8)[places]
    return samples


def read_characters(folder: Path, split: str, steps: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """One-hot samples (B, characters) and labels (B,), the character that follows, of a split of `folder`/input.txt.

    B is a multiple of `steps`; what is left of a split behind its last whole sequence is not used. The file may be
    gzip-packed, with .gz behind its name. DataError if it is missing, damaged, or holds other characters.
    """
    path = next((p for p in (folder / "input.txt", folder / "input.txt.gz") if p.is_file()), None)
    if path is None:
        raise DataError(
            f"{folder} has neither input.txt nor input.txt.gz; give --data-dir or XNORFLOW_DATA a folder that has"
        )
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    table = np.full(256, -1, np.int64)
    table[np.frombuffer(CHARACTERS.encode("ascii"), np.uint8)] = np.arange(len(CHARACTERS))
    places = table[np.frombuffer(content, np.uint8)]
    if (places < 0).any():
        raise DataError(f"{path}: byte {int(np.argmax(places < 0))} is none of the {len(CHARACTERS)} characters")
    begin, end = (int(len(places) * share) for share in _SHARES[split])
    count = (end - begin - 1) // steps * steps
    if count < steps:
        raise DataError(f"{path}: {len(places)} characters are too few for a sequence of {steps} in {split}")
    samples: NDArray[np.uint8] = np.eye(len(CHARACTERS), dtype=np.uint8)[places[begin : begin + count]]
    return samples, places[begin + 1 : begin + count + 1]
