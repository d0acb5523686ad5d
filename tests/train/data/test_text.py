"""Words and characters as tokens."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from xnorflow.errors import DataError
from xnorflow.train.data import text
from xnorflow.train.data.datasets import load_dataset
from xnorflow.train.data.text import PRINTABLE, as_samples, read_plain, read_words


def treebank(folder: Path, valid: str = " b c \n") -> None:
    (folder / "ptb.train.txt").write_text(" a b b \n c b a \n")
    (folder / "ptb.valid.txt.gz").write_bytes(gzip.compress(valid.encode()))


def test_words_are_numbered_by_frequency(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "WORDS", 4)
    treebank(tmp_path)
    tokens, words = read_words(tmp_path, "train")
    assert words == ("b", "a", "<eos>", "c")  # of equals, the first to appear
    assert tokens.tolist() == [1, 0, 0, 2, 3, 0, 1, 2]
    tokens, again = read_words(tmp_path, "validation")
    assert again == words and tokens.tolist() == [0, 3, 2]
    with pytest.raises(DataError, match="neither ptb.test.txt nor ptb.test.txt.gz"):
        read_words(tmp_path, "test")
    treebank(tmp_path, " b d \n")
    with pytest.raises(DataError, match="the word 'd' is not in the training text"):
        read_words(tmp_path, "validation")


def test_another_vocabulary_is_refused(tmp_path: Path) -> None:
    treebank(tmp_path)
    with pytest.raises(DataError, match="a vocabulary of 4 words, not 10000"):
        load_dataset("ptb", "train", tmp_path)


def test_plain_texts_are_cut_in_three(tmp_path: Path) -> None:
    content = "Ab\tc\r\n\u00e9\u4e2d~" * 25
    (tmp_path / "my.txt").write_bytes(content.encode())
    parts = [read_plain(tmp_path, split) for split in ("train", "validation", "test")]
    assert [len(part) for part in parts] == [180, 10, 10]
    names = [*PRINTABLE, "?"]
    assert "".join(names[place] for place in np.concatenate(parts)[:16]) == "Ab?c\n??~Ab?c\n??~"
    assert np.array_equal(read_plain(tmp_path / "my.txt", "test"), parts[2])
    (tmp_path / "other.txt").write_text("x")
    with pytest.raises(DataError, match="has 2 texts, such as my.txt"):
        read_plain(tmp_path, "train")
    for name in ("train", "valid", "test"):
        (tmp_path / f"{name}.txt").write_text(name)
    assert [len(read_plain(tmp_path, split)) for split in ("train", "validation", "test")] == [5, 5, 4]


def test_damaged_texts_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no .txt or .txt.gz"):
        read_plain(tmp_path, "train")
    (tmp_path / "a.txt").write_bytes(b"abc\xffdef")
    with pytest.raises(DataError, match="not UTF-8: byte 3 is 0xff"):
        read_plain(tmp_path, "train")
    (tmp_path / "a.txt").rename(tmp_path / "a.txt.gz")
    with pytest.raises(DataError, match="is damaged"):
        read_plain(tmp_path, "train")


def test_samples_are_labelled_with_the_next(tmp_path: Path) -> None:
    tokens = np.arange(100, dtype=np.int32)
    images, labels, steps = as_samples(tokens, "train", 35, "it")
    assert images.shape == (70, 1) and steps == 35 and (labels == images[:, 0] + 1).all()
    images, labels, steps = as_samples(tokens, "test", 35, "it")
    assert len(images) == 90 and steps == 9 and (labels == images[:, 0] + 1).all()
    for split in ("train", "test"):
        with pytest.raises(DataError, match="it: 8 tokens are too few"):
            as_samples(tokens[:8], split, 35, "it")
    (tmp_path / "a.txt").write_text("abc" * 1000)
    samples = load_dataset("text", "test", tmp_path / "a.txt")
    assert samples.images.shape == (140, 1) and samples.steps == 14 and len(samples.class_names) == 97
