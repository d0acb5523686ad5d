import logging

import numpy as np
import pytest
from scipy.io import savemat

from xnorflow.errors import DataError
from xnorflow.train.data import pictures
from xnorflow.train.data.datasets import load_dataset

SPLITS = ("train", "validation", "test")


@pytest.fixture
def cifar(tmp_path, monkeypatch):
    """A folder laid out like CIFAR-10 with 40 records a batch; the first pixel tells the batch and the record."""
    monkeypatch.setattr(pictures, "_RECORDS", 40)
    monkeypatch.setattr(pictures, "_HELD_OUT", 30)
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for number, name in enumerate([*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]):
        records = np.zeros((40, 3073), np.uint8)
        records[:, 0] = np.arange(40) % 10
        records[:, 1], records[:, 1 + 1024], records[:, 1 + 2048 + 33] = number, np.arange(40), 7
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return tmp_path


def test_cifar10_is_channel_last_and_split_by_index(cifar, caplog):
    parts = [load_dataset("cifar10", split, cifar) for split in SPLITS]
    assert [p.images.shape for p in parts] == [(170, 32, 32, 3), (30, 32, 32, 3), (40, 32, 32, 3)]
    train = np.concatenate([parts[0].images, parts[1].images])
    assert train[:, 0, 0, 0].tolist() == [n for n in range(5) for _ in range(40)]
    assert train[:, 0, 0, 1].tolist() == list(range(40)) * 5
    assert (train[:, 1, 1, 2] == 7).all()
    assert np.array_equal(np.concatenate([p.labels for p in parts[:2]]), np.arange(200) % 40 % 10)
    assert (parts[2].images[:, 0, 0, 0] == 5).all()
    assert not caplog.records


def test_another_whole_number_of_records_is_used_and_told_of(cifar, caplog):
    folder = cifar / "cifar-10-batches-bin"
    for name, kept in (("test_batch", 3), ("data_batch_5", 33)):
        path = folder / f"{name}.bin"
        path.write_bytes(path.read_bytes()[: kept * 3073])
    with caplog.at_level(logging.WARNING):
        assert [len(load_dataset("cifar10", split, folder).labels) for split in SPLITS] == [163, 30, 3]
    said = [record.getMessage() for record in caplog.records]
    assert f"{folder / 'test_batch.bin'} has 3 images, not 40; all of them are used" in said
    assert f"{folder / 'data_batch_5.bin'} has 33 images, not 40; all of them are used" in said


def test_damaged_cifar10_is_refused(cifar):
    folder = cifar / "cifar-10-batches-bin"
    whole = (folder / "test_batch.bin").read_bytes()
    for content, message in (
        (whole[:-1], "122919 bytes, not a multiple of 3073"),
        (b"", "0 bytes, not a multiple"),
        (b"\x0a" + whole[1:], "a label is 10; CIFAR-10 has 0 to 9"),
    ):
        (folder / "test_batch.bin").write_bytes(content)
        with pytest.raises(DataError, match=message):
            load_dataset("cifar10", "test", folder)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(DataError, match=r"there is no .*data_batch_3\.bin; give --data-dir"):
        load_dataset("cifar10", "train", folder)


def test_too_few_training_images_are_said(cifar):
    for i in range(1, 6):
        path = cifar / "cifar-10-batches-bin" / f"data_batch_{i}.bin"
        path.write_bytes(path.read_bytes()[: 6 * 3073])
    with pytest.raises(DataError, match="30 training images are too few; 30 are held out of them"):
        load_dataset("cifar10", "train", cifar)


@pytest.fixture
def svhn(tmp_path, monkeypatch):
    """A folder like SVHN's: the first pixel tells the image, labels are 1 to 10."""
    monkeypatch.setattr(pictures, "_HELD_OUT", 6)
    folder = tmp_path / "svhn"
    folder.mkdir()
    for split, count in (("train", 25), ("test", 11)):
        images = np.zeros((32, 32, 3, count), np.uint8)
        images[0, 0, 0], images[2, 5, 1] = np.arange(count), np.arange(count) + 100
        savemat(
            folder / f"{split}_32x32.mat", {"X": images, "y": (np.arange(count) % 10 + 1)[:, None].astype(np.uint8)}
        )
    return tmp_path


def test_svhn_comes_image_by_image_and_ten_is_the_digit_0(svhn):
    parts = [load_dataset("svhn", split, svhn) for split in SPLITS]
    assert [len(p.labels) for p in parts] == [19, 6, 11]
    for part, first in zip(parts, (0, 19, 0), strict=True):
        numbers = np.arange(len(part.labels)) + first
        assert part.images.dtype == np.uint8
        assert np.array_equal(part.images[:, 0, 0, 0], numbers)
        assert np.array_equal(part.images[:, 2, 5, 1], numbers + 100)
        assert np.array_equal(part.labels, (numbers % 10 + 1) % 10)


def test_damaged_svhn_is_refused(svhn):
    path = svhn / "svhn" / "test_32x32.mat"
    whole = path.read_bytes()
    for content in (b"", b"no matlab", whole[: len(whole) // 2]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="is damaged, or no MATLAB file with X and y"):
            load_dataset("svhn", "test", svhn)
    pixels = np.zeros((32, 32, 3, 4), np.uint8)
    for arrays, message in (
        ({"X": pixels}, "is damaged, or no MATLAB file with X and y"),
        ({"X": pixels, "y": np.ones((5, 1))}, "and 5 labels, not SVHN's"),
        ({"X": pixels.astype(float), "y": np.ones((4, 1))}, "holds float64 of shape"),
        ({"X": pixels, "y": np.full((4, 1), 11)}, "a label is 11; SVHN has 1 to 10"),
    ):
        savemat(path, arrays)
        with pytest.raises(DataError, match=message):
            load_dataset("svhn", "test", svhn)
    path.unlink()
    with pytest.raises(DataError, match=r"there is no .*test_32x32\.mat; give --data-dir or XNORFLOW_DATA"):
        load_dataset("svhn", "test", svhn)
