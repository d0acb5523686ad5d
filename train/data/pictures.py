"""Data sets of small pictures: CIFAR-10 in its binary version, SVHN's cropped digits. No torch."""

import logging
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

__all__ = ["read_cifar10", "read_svhn"]

_LOG = logging.getLogger(__name__)
_RECORDS = 10_000  # of each of CIFAR-10's batches, as published
_HELD_OUT = 5000  # of the training images, the last: validation


def read_cifar10(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (B, 32, 32, 3) and labels (B,): data_batch_1.bin to data_batch_5.bin and test_batch.bin.

    The last 5,000 training images are validation. Files that hold another whole number of records than 10,000 are used
    as they are, and a warning says how many. DataError for files that are missing or damaged.
    """
    if split == "test":
        records = _records(folder / "test_batch.bin")
    else:
        records = np.concatenate([_records(folder / f"data_batch_{i}.bin") for i in range(1, 6)])
        records = _held_out(records, split, folder)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), records[:, 0].astype(np.int64)


def _records(path: Path) -> NDArray[np.uint8]:
    """The records (B, 3073) of a CIFAR-10 batch: a label, then the planes R, G and B."""
    size = 1 + 3 * 32 * 32
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"there is no {path}; give --data-dir or XNORFLOW_DATA a folder that has it") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    if not content or len(content) % size:
        raise DataError(f"{path} is damaged: {len(content)} bytes, not a multiple of {size}")
    records = np.frombuffer(content, np.uint8).reshape(-1, size)
    if records[:, 0].max() > 9:
        raise DataError(f"{path} is damaged: a label is {records[:, 0].max()}; CIFAR-10 has 0 to 9")
    if len(records) != _RECORDS:
        _LOG.warning("%s has %d images, not %d; all of them are used", path, len(records), _RECORDS)
    return records


def _held_out(samples: NDArray[np.uint8], split: str, folder: Path) -> NDArray[np.uint8]:
    """The training or the validation part of the training images or labels, by their first axis."""
    if len(samples) <= _HELD_OUT:
        raise DataError(f"{folder}: {len(samples)} training images are too few; {_HELD_OUT} are held out of them")
    return samples[-_HELD_OUT:] if split == "validation" else samples[:-_HELD_OUT]


def read_svhn(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images (B, 32, 32, 3) and labels (B,) of the Street View House Numbers (Netzer et al. 2011), format 2.

    train_32x32.mat and test_32x32.mat as published: X (32, 32, 3, B), y (B, 1) with 10 for the digit 0. The last 5,000
    training images are validation; the set called extra is not read. DataError for files that are missing or damaged.
    """
    try:
        from scipy.io import loadmat
        from scipy.io.matlab import MatReadError
    except ImportError as error:
        raise DataError("SVHN is read with SciPy: pip install 'xnorflow[train]'") from error
    path = folder / f"{'test' if split == 'test' else 'train'}_32x32.mat"
    if not path.is_file():
        raise DataError(f"there is no {path}; give --data-dir or XNORFLOW_DATA a folder that has it")
    try:
        content = loadmat(path)
        images, labels = content["X"], content["y"].ravel()
    except (OSError, EOFError, ValueError, TypeError, KeyError, zlib.error, MatReadError, NotImplementedError) as error:
        raise DataError(f"{path} is damaged, or no MATLAB file with X and y") from error
    if images.dtype != np.uint8 or images.shape[:3] != (32, 32, 3) or images.shape[3:] != labels.shape:
        raise DataError(f"{path} holds {images.dtype} of shape {images.shape} and {len(labels)} labels, not SVHN's")
    if not ((labels >= 1) & (labels <= 10)).all():
        raise DataError(f"{path} is damaged: a label is {labels.max()}; SVHN has 1 to 10")
    images, labels = np.moveaxis(images, 3, 0), (labels % 10).astype(np.int64)
    if split != "test":
        images, labels = (_held_out(part, split, folder) for part in (images, labels))
    return np.ascontiguousarray(images), labels
