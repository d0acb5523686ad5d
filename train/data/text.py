"""Text as samples: characters one-hot in sequences, or words and characters as tokens in one piece; no torch.

A token is the index of a class, sample (1,), labelled with the token behind it. Trained on, a text of tokens is cut
into streams that are read side by side (`loop.language`); validated and tested, into ten, here.
"""

import gzip
import zlib
from collections import Counter
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

__all__ = [
    "CHARACTERS",
    "PRINTABLE",
    "STREAMS",
    "WORDS",
    "as_samples",
    "one_hot",
    "read_characters",
    "read_plain",
    "read_shakespeare",
    "read_words",
]

CHARACTERS = "\n !$&',-.3:;?ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
"""The characters of tiny-shakespeare, in the order of their numbers."""

PRINTABLE = "\n" + "".join(map(chr, range(32, 127)))
"""The characters of any text, in the order of their numbers; all others share the number behind them."""

WORDS = 10_000
"""The vocabulary of the Penn Treebank as Mikolov et al. (2010) cut it, <eos> among it."""

STREAMS = 10
"""Into so many pieces a text of tokens is cut for validation and test; each begins with an empty state."""

_SHARES = {"train": (0.0, 0.9), "validation": (0.9, 0.95), "test": (0.95, 1.0)}
_PARTS = {"train": "train", "validation": "valid", "test": "test"}  # as files are called


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
    places = read_shakespeare(folder, split)
    count = (len(places) - 1) // steps * steps
    if count < steps:
        raise DataError(f"{folder}: {len(places)} characters are too few for a sequence of {steps} in {split}")
    samples: NDArray[np.uint8] = np.eye(len(CHARACTERS), dtype=np.uint8)[places[:count]]
    return samples, places[1 : count + 1].astype(np.int64)


def read_shakespeare(folder: Path, split: str) -> NDArray[np.int32]:
    """The characters of a split of `folder`/input.txt as places in CHARACTERS; errors as for `read_characters`."""
    path = _existing(folder, "input.txt")
    table = np.full(256, -1, np.int32)
    table[np.frombuffer(CHARACTERS.encode("ascii"), np.uint8)] = np.arange(len(CHARACTERS))
    places: NDArray[np.int32] = table[np.frombuffer(_content(path), np.uint8)]
    if (places < 0).any():
        raise DataError(f"{path}: byte {int(np.argmax(places < 0))} is none of the {len(CHARACTERS)} characters")
    return _shared(places, split)


def read_words(folder: Path, split: str) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """The tokens of a split of the Penn Treebank and its 10,000 words, <eos> at the end of every line.

    Words are numbered by how often they stand in the training text, words that are equally frequent as they appear.
    The files are ptb.train.txt, ptb.valid.txt and ptb.test.txt, gzip-packed with .gz behind the name. DataError for
    files that are missing or damaged, another vocabulary than 10,000 words, and words that training does not have.
    """
    path = _existing(folder, "ptb.train.txt")
    words = _words(path)
    counts = Counter(words)  # in the order of appearance, which a stable sort keeps
    if len(counts) != WORDS:
        raise DataError(f"{path} has a vocabulary of {len(counts)} words, not {WORDS}")
    vocabulary = sorted(counts, key=lambda word: -counts[word])
    numbers = {word: number for number, word in enumerate(vocabulary)}
    if split != "train":
        path = _existing(folder, f"ptb.{_PARTS[split]}.txt")
        words = _words(path)
    unknown = next((word for word in words if word not in numbers), None)
    if unknown is not None:
        raise DataError(f"{path}: the word {unknown!r} is not in the training text")
    return np.array([numbers[word] for word in words], np.int32), tuple(vocabulary)


def read_plain(source: Path, split: str) -> NDArray[np.int32]:
    """The characters of a split of a text of the user's own, as places in PRINTABLE.

    source: a .txt or .txt.gz file in UTF-8, or the folder of one. It is cut 90 : 5 : 5 in the order train, validation,
    test, unless its folder has one file for each, train.txt, valid.txt and test.txt. Carriage returns are left out.
    DataError if there is none, or more than one to choose from, or it is damaged.
    """
    if source.is_file():
        return _shared(_places(source), split)
    if any((source / f"train.txt{suffix}").is_file() for suffix in ("", ".gz")):
        return _places(_existing(source, f"{_PARTS[split]}.txt"))
    texts = sorted(path for path in source.glob("*.txt*") if path.name.endswith((".txt", ".txt.gz")))
    if len(texts) != 1:
        found = f"{len(texts)} texts, such as {texts[0].name}" if texts else "no .txt or .txt.gz"
        raise DataError(f"{source} has {found}; give --data-dir the file, or a folder with one text")
    return _shared(_places(texts[0]), split)


def as_samples(
    tokens: NDArray[np.int32], split: str, steps: int, what: str
) -> tuple[NDArray[np.int32], NDArray[np.int64], int]:
    """Samples (B, 1), labels (B,) and how many samples a sequence has: `steps` in training, a tenth elsewhere.

    What is left behind the last whole sequence is not used. DataError where not one sequence is whole.
    """
    length = steps if split == "train" else (len(tokens) - 1) // STREAMS
    if length < 1 or len(tokens) <= length:
        raise DataError(f"{what}: {len(tokens)} tokens are too few in {split}")
    count = (len(tokens) - 1) // length * length if split == "train" else length * STREAMS
    return tokens[:count, None], tokens[1 : count + 1].astype(np.int64), length


def _existing(folder: Path, name: str) -> Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    raise DataError(f"{folder} has neither {name} nor {name}.gz; give --data-dir or XNORFLOW_DATA a folder that has")


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked where its name ends in .gz."""
    try:
        raw = path.read_bytes()
        return gzip.decompress(raw) if path.suffix == ".gz" else raw
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is damaged: {error}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def _text(path: Path) -> str:
    try:
        return _content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8: byte {error.start} is {error.object[error.start]:#04x}") from error


def _words(path: Path) -> list[str]:
    return _text(path).replace("\n", " <eos> ").split()


def _places(path: Path) -> NDArray[np.int32]:
    """Places in PRINTABLE of a file's characters."""
    points = np.frombuffer(_text(path).replace("\r", "").encode("utf-32-le"), "<u4")
    table = np.full(128, len(PRINTABLE), np.int32)
    table[[ord(character) for character in PRINTABLE]] = np.arange(len(PRINTABLE))
    places: NDArray[np.int32] = table[np.minimum(points, 127)]  # 127 is a control character: one of the others
    return places


def _shared(places: NDArray[np.int32], split: str) -> NDArray[np.int32]:
    begin, end = (int(len(places) * share) for share in _SHARES[split])
    return places[begin:end]
