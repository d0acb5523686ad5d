"""Reading samples: what is right comes out exactly, what is wrong is said."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xnorflow.errors import DataError
from xnorflow.images import read_array, read_samples

PIXELS = np.arange(12, dtype=np.uint8).reshape(3, 4) * 20


def write(path: Path, array: object) -> Path:
    np.save(path, array)
    return path


def shapes(path: Path, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    return [sample.raw.shape for sample in read_samples(path, shape)]


def test_a_png_is_its_pixels(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "grey.png")
    (sample,) = read_samples(tmp_path / "grey.png", (1, 3, 4))
    assert sample.raw.shape == (1, 3, 4)
    assert np.array_equal(sample.raw[0], PIXELS)
    Image.fromarray(PIXELS > 100).save(tmp_path / "bits.png")
    (sample,) = read_samples(tmp_path / "bits.png", (3, 4))
    assert np.array_equal(sample.raw, np.where(PIXELS > 100, 255, 0))


def test_a_network_of_colours_takes_rgb_and_no_other_does(tmp_path: Path) -> None:
    colours = np.stack([PIXELS, PIXELS // 2, 255 - PIXELS], axis=2)
    Image.fromarray(colours).save(tmp_path / "rgb.png")
    Image.fromarray(PIXELS).save(tmp_path / "grey.png")
    (sample,) = read_samples(tmp_path / "rgb.png", (3, 4, 3))
    assert np.array_equal(sample.raw, colours)
    with pytest.raises(DataError, match="expected an RGB image, not mode L"):
        shapes(tmp_path / "grey.png", (3, 4, 3))
    for grey in ((3, 4), (1, 3, 4), (3, 4, 1)):
        with pytest.raises(DataError, match="expected an 8-bit grey image, not mode RGB"):
            shapes(tmp_path / "rgb.png", grey)


def test_arrays_are_one_sample_or_a_batch(tmp_path: Path) -> None:
    assert shapes(write(tmp_path / "a.npy", np.zeros((3, 4))), (3, 4)) == [(3, 4)]
    assert shapes(write(tmp_path / "a.npy", np.zeros((5, 3, 4))), (3, 4)) == [(3, 4)] * 5
    assert shapes(write(tmp_path / "a.npy", np.zeros(12)), (3, 4)) == [(3, 4)]
    assert shapes(write(tmp_path / "a.npy", np.zeros((5, 12))), (3, 4)) == [(3, 4)] * 5
    assert shapes(write(tmp_path / "a.npy", np.zeros((1, 3, 4))), (3, 4)) == [(3, 4)]
    assert shapes(write(tmp_path / "a.npy", np.zeros((3, 4))), (1, 3, 4)) == [(1, 3, 4)]
    assert shapes(write(tmp_path / "a.npy", np.zeros((5, 3))), (3,)) == [(3,)] * 5
    assert shapes(write(tmp_path / "a.npy", np.zeros((0, 3, 4))), (3, 4)) == []


@pytest.mark.parametrize("wrong", [(4, 3), (5, 4, 3), (13,), (5, 13), (2, 2, 3, 4), (24,), ()])
def test_other_shapes_are_refused(tmp_path: Path, wrong: tuple[int, ...]) -> None:
    with pytest.raises(DataError, match="the network expects 3 x 4, not"):
        shapes(write(tmp_path / "a.npy", np.zeros(wrong)), (3, 4))


@pytest.mark.parametrize("array", [np.array(["a"]), np.zeros(3, complex), np.array([np.inf]), np.array([{}])])
def test_other_values_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"a\.npy"):
        read_array(write(tmp_path / "a.npy", array))


def test_every_truncation_and_any_tail_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.npy", PIXELS)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError):
            read_array(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DataError, match="nothing else"):
        read_array(path)


def test_a_png_that_is_cut_or_changed_anywhere_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    whole = path.read_bytes()
    end = whole.index(b"IEND") - 4  # there the closing chunk begins, which is empty
    flips = [whole[:n] + bytes([whole[n] ^ 1 << n % 8]) + whole[n + 1 :] for n in range(end)]
    for damaged in [whole[:length] for length in range(end + 8)] + flips:
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"a\.png"):
            shapes(path, (3, 4))


def npy(header: str) -> bytes:
    text = header.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + bytes(64)


@pytest.mark.parametrize(
    "header",
    [
        "((((",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999999999999999999,), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 8, 8), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (999999999999, 8), }",
        "  {\n x",
    ],
)
def test_headers_that_lie_are_refused(tmp_path: Path, header: str) -> None:
    (tmp_path / "lie.npy").write_bytes(npy(header))
    with pytest.raises(DataError, match=r"lie\.npy is not an \.npy array"):
        read_array(tmp_path / "lie.npy")
