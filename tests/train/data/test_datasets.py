import gzip
import hashlib
import struct
import subprocess
import sys

import numpy as np
import pytest

from xnorflow.errors import DataError, UsageError
from xnorflow.train.data.datasets import DATASETS, load_dataset, read_idx

SPLITS = ("train", "validation", "test")


def idx_bytes(array):
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def idx_file(tmp_path):
    array = np.arange(2 * 3 * 4).reshape(2, 3, 4)
    path = tmp_path / "images"
    path.write_bytes(idx_bytes(array))
    return path


@pytest.fixture(scope="module")
def small_mnist(tmp_path_factory):
    """A folder laid out like MNIST, of the right shapes, whose images tell their own index."""
    root = tmp_path_factory.mktemp("data")
    folder = root / "mnist"
    folder.mkdir()
    for stem, count in (("train", 60_000), ("t10k", 10_000)):
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 0, 0], images[:, 0, 1] = np.arange(count) // 256, np.arange(count) % 256
        labels = np.arange(count) % 10
        (folder / f"{stem}-images-idx3-ubyte").write_bytes(idx_bytes(images))
        (folder / f"{stem}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx_bytes(labels), 1))
    return root


def test_digits_are_split_without_overlap_or_loss():
    parts = [load_dataset("digits", split) for split in SPLITS]
    assert [len(p.labels) for p in parts] == [1260, 179, 358]
    assert all(p.images.shape == (len(p.labels), 8, 8) and p.images.dtype == np.uint8 for p in parts)
    assert max(int(p.images.max()) for p in parts) == DATASETS["digits"].top
    assert set(np.concatenate([p.labels for p in parts]).tolist()) == set(range(10))
    rows = np.concatenate([p.images.reshape(-1, 64) for p in parts])
    assert len(np.unique(rows, axis=0)) == 1797  # all samples of the bundled set differ


def test_digits_are_the_same_every_time():
    digest = hashlib.sha256()
    for split in SPLITS:
        samples = load_dataset("digits", split)
        digest.update(samples.images.tobytes() + samples.labels.tobytes())
    assert digest.hexdigest() == "6390e44981da90829d5c8a7815961b22d61b74149c930060d1cb9c369e16b1ba"


def test_mnist_validation_is_the_end_of_training(small_mnist):
    for given in (small_mnist, small_mnist / "mnist"):
        train, validation, test = (load_dataset("mnist", split, given) for split in SPLITS)
        assert [len(p.labels) for p in (train, validation, test)] == [50_000, 10_000, 10_000]
        index = validation.images[:, 0, 0].astype(int) * 256 + validation.images[:, 0, 1]
        assert index.tolist() == list(range(50_000, 60_000))
        assert validation.labels.dtype == np.int64
        assert validation.labels[:12].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]


def test_the_environment_names_the_folder(small_mnist, monkeypatch):
    monkeypatch.setenv("XNORFLOW_DATA", str(small_mnist))
    assert len(load_dataset("mnist", "test").labels) == 10_000


@pytest.mark.mnist
def test_the_real_mnist(data_dir):
    test = load_dataset("mnist", "test", data_dir)
    assert test.labels[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert hashlib.md5(idx_bytes(test.images), usedforsecurity=False).hexdigest() == "2646ac647ad5339dbf082846283269ea"


@pytest.mark.parametrize(
    ("name", "split", "message"),
    [("minst", "test", "did you mean 'mnist'"), ("digits", "tset", "the splits are train, validation, test")],
)
def test_unknown_names_are_usage_errors(name, split, message):
    with pytest.raises(UsageError, match=message):
        load_dataset(name, split)


def test_a_missing_folder_or_file_is_named_with_what_would_do(tmp_path, monkeypatch):
    with pytest.raises(DataError, match="given by --data-dir, is not a folder"):
        load_dataset("mnist", "test", tmp_path / "nowhere")
    monkeypatch.setenv("XNORFLOW_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="given by XNORFLOW_DATA, is not a folder"):
        load_dataset("mnist", "test")
    with pytest.raises(
        DataError, match="neither t10k-images-idx3-ubyte nor t10k-images-idx3-ubyte.gz; give --data-dir"
    ):
        load_dataset("mnist", "test", tmp_path)


def test_read_idx_yields_the_array(idx_file):
    assert np.array_equal(read_idx(idx_file, (2, 3, 4)), np.arange(24).reshape(2, 3, 4))


def test_every_truncation_of_an_idx_file_is_refused(idx_file):
    content = idx_file.read_bytes()
    packed = gzip.compress(content)
    for data, path in ((content, idx_file), (packed, idx_file.with_suffix(".gz"))):
        for length in range(len(data)):
            path.write_bytes(data[:length])
            with pytest.raises(DataError, match=r"images"):
                read_idx(path, (2, 3, 4))


def test_every_flipped_header_bit_of_an_idx_file_is_refused(idx_file):
    content = idx_file.read_bytes()
    for bit in range(16 * 8):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        idx_file.write_bytes(damaged)
        with pytest.raises(DataError, match=r"not an IDX file|holds an array of shape"):
            read_idx(idx_file, (2, 3, 4))


def test_a_damaged_gzip_stream_is_refused(idx_file):
    packed = bytearray(gzip.compress(np.random.default_rng(0).bytes(4000)))
    packed[2000] ^= 0x40
    path = idx_file.with_suffix(".gz")
    path.write_bytes(packed)
    with pytest.raises(DataError, match="is damaged"):
        read_idx(path, (2, 3, 4))
    path.write_bytes(b"not gzip at all")
    with pytest.raises(DataError, match="is damaged"):
        read_idx(path, (2, 3, 4))


def test_something_appended_and_a_folder_are_refused(idx_file, tmp_path):
    idx_file.write_bytes(idx_file.read_bytes() + b"\0")
    with pytest.raises(DataError, match="41 bytes, not 40"):
        read_idx(idx_file, (2, 3, 4))
    with pytest.raises(DataError, match="cannot read"):
        read_idx(tmp_path, (2, 3, 4))


def test_labels_beyond_nine_are_refused(tmp_path):
    (tmp_path / "t10k-images-idx3-ubyte").write_bytes(idx_bytes(np.zeros((10_000, 28, 28))))
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(idx_bytes(np.full(10_000, 10)))
    with pytest.raises(DataError, match="a label of t10k is 10"):
        load_dataset("mnist", "test", tmp_path)


@pytest.mark.parametrize("module", ["data.datasets", "recipe", "data.download", "loop.metrics", "loop.progress"])
def test_reading_data_and_recipes_needs_no_torch(module):
    code = f"import sys, xnorflow.train.{module}; assert 'torch' not in sys.modules"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
