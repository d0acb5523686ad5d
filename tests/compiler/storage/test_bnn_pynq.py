"""Published networks: parameters made here, read and compared with the format's own words; the real ones by hash."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import check_folding
from xnorflow.compiler.ir import InputTransform
from xnorflow.compiler.storage.bnn_pynq import import_bnn_pynq
from xnorflow.compiler.storage.network_file import network_bytes
from xnorflow.errors import DataError
from xnorflow.train.data.datasets import load_dataset

GEOMETRY = ((1024, 832, 64, 32), (1024, 1024, 32, 64), (1024, 1024, 64, 32), (64, 1024, 8, 16))  # rows, cols, SIMD, PE
REAL_COLUMNS = 784


def write_words(path: Path, words: list[int]) -> None:
    path.write_bytes(b"".join((word % 2**64).to_bytes(8, "little") for word in words))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[np.ndarray], list[np.ndarray]]:
    """A folder laid out like LFC with random parameters, its matrices and its thresholds."""
    folder = tmp_path_factory.mktemp("lfc")
    rng = np.random.default_rng(3)
    matrices, thresholds = [], []
    for index, (rows, columns, simd, pes) in enumerate(GEOMETRY):
        matrix = rng.integers(0, 2, (rows, columns), dtype=np.uint8)
        used = REAL_COLUMNS if index == 0 else columns
        matrix[:, used:] = 1
        limit = used // 2 + rng.integers(-20, 21, rows)
        limit[:2] = -5, 32767  # always, never
        for pe in range(pes):
            bits = matrix[pe::pes].reshape(-1, simd)  # rows pe, pe + PE, ..., each column group after column group
            packed = np.packbits(bits, axis=1, bitorder="little")
            write_words(
                folder / f"{index}-{pe}-weights.bin", [int.from_bytes(row.tobytes(), "little") for row in packed]
            )
            write_words(folder / f"{index}-{pe}-thres.bin", limit[pe::pes].tolist())
        matrices.append(matrix)
        thresholds.append(limit)
    (folder / "classes.txt").write_text("0\n1\n2\n3\n4\n5\n6\n7\n8\n9")
    return folder, matrices, thresholds


def test_lfc_is_what_the_format_says(made):
    folder, matrices, thresholds = made
    imported = import_bnn_pynq(folder)
    network = imported.network
    check_folding(network, imported.folding)
    images = np.random.default_rng(0).integers(0, 256, (50, 28, 28), dtype=np.uint8)
    bits = np.zeros((50, 832), np.uint8)
    bits[:, :REAL_COLUMNS] = images.reshape(50, -1) >= 128
    for matrix, limit in zip(matrices, thresholds, strict=True):
        counts = (matrix[None] == bits[:, None]).sum(axis=2)
        bits = (counts > limit).astype(np.uint8)
    highest = [max((c for c in range(10) if row[c]), default=0) for row in bits]
    trace = golden.run(network, network.input_codes(images))
    assert np.array_equal(trace["act4"], bits[:, :10])
    assert trace.classes.tolist() == highest
    assert len(set(highest)) > 1
    assert network.provenance["data"] == "mnist"


def test_cnv_pixels_need_no_table():
    pixels = np.arange(256)
    published = np.minimum(127, (512 * pixels + 255) // 510 - 128)
    codes = InputTransform(0.0, 255 * 510 / 512).codes(pixels.astype(np.uint8), 8)
    assert np.array_equal(codes.astype(int) - 128, published)


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("1-63-thres.bin", None, "has no 1-63-thres.bin$"),
        ("2-31-weights.bin", b"short", r"2-31-weights.bin has 5 bytes, not 4096$"),
        ("3-0-weights.bin", b"\xff" * 4096, "3-0-weights.bin has bits set above its 8 columns a word$"),
        ("classes.txt", b"zero one", "classes.txt holds 2 class names, not 10$"),
    ],
)
def test_damaged_folders_are_refused_in_one_line(made, tmp_path: Path, name: str, content, complaint: str):
    for path in made[0].iterdir():
        (tmp_path / path.name).symlink_to(path)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=complaint) as caught:
        import_bnn_pynq(tmp_path)
    assert "\n" not in str(caught.value)


def test_other_folders_are_refused(tmp_path: Path):
    with pytest.raises(DataError, match="holds weights of 0 layers; the known networks are LFC"):
        import_bnn_pynq(tmp_path)
    with pytest.raises(DataError, match="is not a folder"):
        import_bnn_pynq(tmp_path / "nothing")


def published(data_dir: Path, name: str) -> Path:
    folder = data_dir / "bnn-pynq" / name
    if not folder.is_dir():
        pytest.skip(f"XNORFLOW_DATA has no bnn-pynq/{name}")
    return folder


@pytest.mark.mnist
def test_published_lfc(data_dir: Path):
    network = import_bnn_pynq(published(data_dir, "lfcW1A1-mnist")).network
    samples = load_dataset("mnist", "test", data_dir)
    trace = golden.run(network, network.input_codes(samples.images), keep=["act4"])
    assert int((trace.classes == samples.labels).sum()) == 9840
    classes = hashlib.sha256(trace.classes.astype(np.uint8).tobytes()).hexdigest()
    assert classes == "c71120d8db32db0d5c0be53cbf800b6b90285dcecc87826089a39c8d1ddfca38"
    outputs = (trace["act4"].astype(np.int64) << np.arange(10)).sum(axis=1).astype("<u2")
    digest = hashlib.sha256(outputs.tobytes()).hexdigest()
    assert digest == "95ec727d0ea131b34deb6131c4ab70d460d8d345a2391627efe86e446609129c"


@pytest.mark.slow
def test_published_cnv(data_dir: Path):
    network = import_bnn_pynq(published(data_dir, "cnvW1A1-cifar10")).network
    assert len(network_bytes(network)) < 220_000
    if not (data_dir / "cifar-10-batches-bin").is_dir():
        pytest.skip("XNORFLOW_DATA has no cifar-10-batches-bin")
    samples = load_dataset("cifar10", "test", data_dir)
    trace = golden.run(network, network.input_codes(samples.images[:1000]), keep=())
    assert int((trace.classes == samples.labels[:1000]).sum()) == 805
    digest = hashlib.sha256((trace.scores // 2).astype("<u2").tobytes()).hexdigest()
    assert digest == "40579f21b95b2ed997ae45a8b490e7960a4c3ce2f0a24cc097f37e4a9284e0ba"
