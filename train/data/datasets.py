"""Data sets as NumPy arrays; no torch. Training, validation and test samples of one kind never overlap.

- digits: the 1,797 real 8x8 handwritten digits, 0..16, that scikit-learn bundles. Split by index: of every ten
  samples two are test, one is validation, seven are training.
- mnist: IDX files, gzip-packed or plain; the last 10,000 of the 60,000 training images are validation.
- shakespeare: the 1,115,394 characters of tiny-shakespeare, one-hot, each labelled with the one behind it; the first
  90 % are training, the next 5 % validation, the rest test, each cut into sequences of 64 characters.
- imagenet: folders of pictures, one for each class (`image_folder`); others than ImageNet as well.
- tiny-shakespeare: the same text as tokens, in one piece.
- ptb: the words of the Penn Treebank, tokens, in the published split.
- text: the characters of a text of the user's own, tokens (`text.read_plain`).
- cifar10, svhn: pictures of 32 x 32 pixels (`pictures`); the last 5,000 training images are validation.
"""

import gzip
import math
import os
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ...config import nearest
from ...errors import DataError, UsageError
from .download import PUBLIC, fetch
from .image_folder import list_pictures, read_picture
from .pictures import read_cifar10, read_svhn
from .text import CHARACTERS, PRINTABLE, WORDS, as_samples, read_characters, read_plain, read_shakespeare, read_words

__all__ = ["DATASETS", "DatasetInfo", "Samples", "Split", "data_folder", "load_dataset", "load_pictures", "read_idx"]

Split = Literal["train", "validation", "test"]


@dataclass(frozen=True, slots=True)
class DatasetInfo:
    """What is known of a data set without reading it: sample shape, class names, greatest raw value.

    steps: samples a sequence; every split is whole sequences one behind the other. None: no sequences.
    tokens: samples (1,) are indices of classes, in one text: training reads it as streams, with states that are
    carried from one sequence to the next, and the networks take one-hot samples (classes,) instead as well.
    """

    shape: tuple[int, ...]
    class_names: tuple[str, ...]
    top: int
    steps: int | None = None
    tokens: bool = False

    @property
    def unit(self) -> str:
        """What a sample is called: a step where networks read sequences."""
        return "image" if self.steps is None else "step"


@dataclass(frozen=True, slots=True, eq=False)
class Samples:
    """images: raw samples (B, *shape), uint8, tokens int32; labels: int64 (B,), indices into class_names.

    steps: samples a sequence, where samples are time steps, sequences one behind the other; None: they are not.
    """

    images: NDArray[np.uint8] | NDArray[np.int32]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    steps: int | None = None

    def one_hot(self) -> "Samples":
        """Tokens (B, 1) as one-hot samples (B, classes), uint8."""
        images = np.zeros((len(self.labels), len(self.class_names)), np.uint8)
        images[np.arange(len(images)), self.images[:, 0]] = 1
        return replace(self, images=images)

    @property
    def last(self) -> NDArray[np.bool_] | None:
        """Which samples end their sequences, bool (B,), the very last one among them; None without sequences."""
        if self.steps is None:
            return None
        places = np.arange(1, len(self.labels) + 1)
        ends: NDArray[np.bool_] = (places % self.steps == 0) | (places == len(places))
        return ends

    def in_turn(self, slots: int) -> "Samples":
        """As many sequences as there are slots side by side, a sample of each in turn; what does not fill them is left
        out. UsageError if that is everything."""
        if self.steps is None or slots <= 1:
            return self
        groups = len(self.labels) // (slots * self.steps)
        if not groups:
            raise UsageError(f"{slots} sequences take turns, {self.steps} samples each: give more")
        order = np.arange(groups * slots * self.steps).reshape(groups, slots, self.steps).transpose(0, 2, 1).ravel()
        return replace(self, images=self.images[order], labels=self.labels[order], steps=slots * self.steps)

    def ends(self, slots: int) -> NDArray[np.bool_] | None:
        """`last` of samples that have been put `in_turn`: the end of a group is that of all its sequences."""
        if self.steps is None or slots <= 1:
            return self.last
        ends: NDArray[np.bool_] = np.arange(len(self.labels)) % self.steps >= self.steps - slots
        return ends


_TEN = tuple("0123456789")
_LETTERS = tuple(c if c != "\n" else "newline" for c in CHARACTERS)
_CIFAR = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
DATASETS = {
    "digits": DatasetInfo((8, 8), _TEN, 16),
    "mnist": DatasetInfo((28, 28), _TEN, 255),
    "cifar10": DatasetInfo((32, 32, 3), _CIFAR, 255),
    "svhn": DatasetInfo((32, 32, 3), _TEN, 255),
    "imagenet": DatasetInfo((224, 224, 3), tuple(map(str, range(1000))), 255),
    "shakespeare": DatasetInfo((len(CHARACTERS),), _LETTERS, 1, 64),
    "tiny-shakespeare": DatasetInfo((1,), _LETTERS, len(CHARACTERS) - 1, 64, tokens=True),
    "ptb": DatasetInfo((1,), tuple(f"word {n}" for n in range(WORDS)), WORDS - 1, 35, tokens=True),
    "text": DatasetInfo(
        (1,), tuple(c if c != "\n" else "newline" for c in PRINTABLE) + ("other",), len(PRINTABLE), 64, tokens=True
    ),
}
_FOLDERS = {
    "mnist": "mnist",
    "cifar10": "cifar-10-batches-bin",
    "svhn": "svhn",
    "imagenet": "imagenet",
    "shakespeare": "tiny-shakespeare",
    "tiny-shakespeare": "tiny-shakespeare",
    "ptb": "ptb",
    "text": "text",
}  # as the public copies call them


def load_dataset(name: str, split: Split | str, data_dir: Path | str | None = None) -> Samples:
    """Raw samples of one split.

    data_dir: a folder with one sub-folder per data set under its public name, or that sub-folder itself; None: the
    folder named by XNORFLOW_DATA, and without it a download into build/data, where the set is public. Raises
    UsageError for an unknown name or split, DataError for files that are missing, damaged or of the wrong shape.
    """
    if name not in DATASETS:
        raise UsageError(
            f"unknown data set {name!r}; did you mean {nearest(name, DATASETS)!r}? (known: {', '.join(DATASETS)})"
        )
    if split not in get_args(Split):
        raise UsageError(f"unknown split {split!r}; the splits are {', '.join(get_args(Split))}")
    images: NDArray[np.uint8] | NDArray[np.int32]
    match name:
        case "digits":
            images, labels = _digits(split)
        case "mnist":
            images, labels = _mnist(split, data_dir)
        case "shakespeare":
            images, labels = read_characters(data_folder(name, data_dir), split, DATASETS[name].steps or 1)
        case "imagenet":
            return load_pictures(
                data_folder(name, data_dir), split, DATASETS[name].shape[0], len(DATASETS[name].class_names)
            )
        case "svhn":
            images, labels = read_svhn(data_folder(name, data_dir), split)
        case "tiny-shakespeare" | "ptb" | "text":
            return _tokens(name, split, data_dir)
        case _:
            images, labels = read_cifar10(data_folder(name, data_dir), split)
    return Samples(images, labels, DATASETS[name].class_names, DATASETS[name].steps)


def load_pictures(folder: Path, split: str, size: int, classes: int, limit: int | None = None) -> Samples:
    """The first `limit` pictures of a split of an image folder, their central crops, all in memory."""
    found = list_pictures(folder, split, classes)
    images = np.stack([read_picture(path, size) for path in found.paths[:limit]])
    return Samples(images, found.labels[:limit], tuple(map(str, range(classes))))


def _digits(split: str) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("the digits data set comes with scikit-learn: pip install 'xnorflow[train]'") from error
    bunch = load_digits()
    place = np.arange(len(bunch.images)) % 10
    chosen = {"test": place >= 8, "validation": place == 7, "train": place < 7}[split]
    return bunch.images[chosen].astype(np.uint8), bunch.target[chosen].astype(np.int64)


def _tokens(name: str, split: str, data_dir: Path | str | None) -> Samples:
    info = DATASETS[name]
    source = data_folder(name, data_dir)
    names = info.class_names
    match name:
        case "ptb":
            tokens, names = read_words(source, split)
        case "tiny-shakespeare":
            tokens = read_shakespeare(source, split)
        case _:
            tokens = read_plain(source, split)
    images, labels, steps = as_samples(tokens, split, info.steps or 1, str(source))
    return Samples(images, labels, names, steps)


def _mnist(split: str, data_dir: Path | str | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    folder = data_folder("mnist", data_dir)
    stem, count = ("t10k", 10_000) if split == "test" else ("train", 60_000)
    images = read_idx(_find(folder, f"{stem}-images-idx3-ubyte"), (count, 28, 28))
    labels = read_idx(_find(folder, f"{stem}-labels-idx1-ubyte"), (count,))
    if labels.max() > 9:
        raise DataError(f"{folder}: a label of {stem} is {labels.max()}; MNIST has 0 to 9")
    part = {"train": slice(0, 50_000), "validation": slice(50_000, None), "test": slice(None)}[split]
    return images[part], labels[part].astype(np.int64)


def data_folder(name: str, data_dir: Path | str | None) -> Path:
    """The folder of the data set `name`; public ones are downloaded without --data-dir and XNORFLOW_DATA."""
    source = "--data-dir"
    if data_dir is None:
        source, data_dir = "XNORFLOW_DATA", os.environ.get("XNORFLOW_DATA") or None
    if data_dir is None and name not in PUBLIC:
        raise DataError(f"{name} is not downloaded; give --data-dir or XNORFLOW_DATA a folder with {_FOLDERS[name]}")
    if data_dir is None:
        return fetch(name, Path("build") / "data" / _FOLDERS[name])
    root = Path(data_dir)
    if name == "text" and root.is_file():
        return root
    if not root.is_dir():
        raise DataError(f"{root}, given by {source}, is not a folder")
    return root / _FOLDERS[name] if (root / _FOLDERS[name]).is_dir() else root


def _find(folder: Path, stem: str) -> Path:
    for candidate in (folder / stem, folder / f"{stem}.gz"):
        if candidate.is_file():
            return candidate
    raise DataError(f"{folder} has neither {stem} nor {stem}.gz; give --data-dir or XNORFLOW_DATA a folder that has")


def read_idx(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """The unsigned bytes of an IDX file (plain, or gzip if its name ends in .gz), which must have that shape.

    IDX: two zero bytes, the type (8: unsigned byte), the number of axes, each axis as a big-endian 32-bit number,
    then the values. DataError if the file is damaged or holds something else.
    """
    try:
        raw = path.read_bytes()
        content = gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    start = 4 + 4 * len(shape)
    header = np.frombuffer(content[:start], ">u4") if len(content) >= start else None
    if header is None or header[0] != 0x800 + len(shape):
        raise DataError(f"{path} is not an IDX file of unsigned bytes with {len(shape)} axes")
    found = tuple(int(n) for n in header[1:])
    if found != shape:
        raise DataError(f"{path} holds an array of shape {found}, not {shape}")
    if len(content) != start + math.prod(shape):
        raise DataError(f"{path} is damaged: {len(content)} bytes, not {start + math.prod(shape)}")
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
