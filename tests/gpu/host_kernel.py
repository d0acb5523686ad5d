"""kernel.cu on the CPU: compiled by g++ behind host_shim.cpp, launched with arrays; and what it should compute."""

import ctypes
import itertools
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import xnorflow.gpu

SOURCE = Path(xnorflow.gpu.__file__).parent / "kernel.cu"
SHIM = Path(__file__).parent / "host_shim.cpp"

Array = NDArray[Any]
INT32, THRESHOLD, REQUANTIZE = 0, 1, 2


def structure(name: str) -> type[ctypes.Structure]:
    """The struct of that name as kernel.cu declares it: another list of its fields cannot be wrong with this one."""
    body = SOURCE.read_text().split(f"struct {name} {{")[1].split("};")[0]
    kinds = {"i64": ctypes.c_int64, "int": ctypes.c_int}
    fields: list[tuple[str, Any]] = []
    for line in body.splitlines():
        statement = line.split("//")[0].strip().rstrip(";").removeprefix("const ")
        if statement:
            kind, names = statement.split(" ", 1)
            for one in names.split(","):
                pointer = one.strip().startswith("*")
                fields.append((one.strip(" *"), ctypes.c_void_p if pointer else kinds[kind]))
    return type(name, (ctypes.Structure,), {"_fields_": fields})


Product = structure("Product")
Pool = structure("Pool")


def build(folder: Path, *flags: str, source: Path = SOURCE) -> ctypes.CDLL:
    """The kernels as a library of the host. Skips the test where there is no g++."""
    if shutil.which("g++") is None:
        pytest.skip("g++ is not on PATH: the CUDA kernel cannot be compiled for the CPU")
    library = folder / "kernel.so"
    command = ["g++", "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas", "-shared", "-fPIC"]
    subprocess.run([*command, f'-DXNORFLOW_KERNEL="{source}"', *flags, "-o", str(library), str(SHIM)], check=True)
    return ctypes.CDLL(str(library))


def aligned(array: Array) -> Array:
    """A copy that begins at a multiple of 16 bytes, as tensors on a GPU do."""
    space = np.empty(array.nbytes + 16, np.uint8)
    start = -space.ctypes.data % 16
    copy = space[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def packed(levels: Array, planes: int, words: int) -> Array:
    """Levels (..., K) to planes (planes, ..., words) of uint32, bit k % 32 of word k // 32, zeros behind K."""
    wide = np.zeros((planes, *levels.shape[:-1], words * 32), np.uint8)
    for plane in range(planes):
        wide[plane, ..., : levels.shape[-1]] = levels >> plane & 1
    return np.packbits(wide, axis=-1, bitorder="little").view(np.uint32)


def unpacked(planes: Array, columns: int) -> Array:
    """Planes (planes, rows, words) to levels (rows, columns)."""
    bits = np.unpackbits(planes.view(np.uint8), axis=-1, bitorder="little")[..., :columns]
    return sum(bits[plane].astype(np.int64) << plane for plane in range(len(planes)))


@dataclass(frozen=True)
class Window:
    """kernel_y x kernel_x windows; top, left: padding at both ends of an axis."""

    kernel: tuple[int, int] = (3, 3)
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    pad_level: int = 0


@dataclass(frozen=True)
class Case:
    """A product. plain: rows of `size` levels; with a window: maps (rows, height, width, size)."""

    rows: int
    columns: int
    size: int
    planes: tuple[int, int] = (1, 1)
    alpha: int = 1
    beta: int = 0
    mode: int = INT32
    bits: int = 1
    window: Window | None = None
    map: tuple[int, int] = (5, 6)
    spare_words: int = 0
    grid: int | None = None
    seed: int = 0


def matrix_of(case: Case, a: Array) -> Array:
    """Rows of A as they are multiplied: windows of (images, H, W, C) in the order (ky, kx, c)."""
    w = case.window
    if w is None:
        return a
    pad = [(0, 0), (w.padding[0],) * 2, (w.padding[1],) * 2, (0, 0)]
    wide = np.pad(a, pad, constant_values=w.pad_level)
    span = [(w.kernel[i] - 1) * w.dilation[i] + 1 for i in (0, 1)]
    rows, k = [], w.kernel[0] * w.kernel[1] * a.shape[3]
    for y, x in itertools.product(
        range(0, wide.shape[1] - span[0] + 1, w.stride[0]), range(0, wide.shape[2] - span[1] + 1, w.stride[1])
    ):
        rows.append(wide[:, y : y + span[0] : w.dilation[0], x : x + span[1] : w.dilation[1]].reshape(len(a), k))
    return np.stack(rows, axis=1).reshape(-1, k)


def run(library: ctypes.CDLL, kernel: str, case: Case) -> tuple[Array, Array]:
    """What the kernel writes, and what it should: accumulators (M, N), or codes (M, N) and the packed tail behind."""
    random = np.random.default_rng(case.seed)
    a_planes, b_planes = case.planes
    shape = (case.rows, case.size) if case.window is None else (case.rows, *case.map, case.size)
    a = random.integers(0, 1 << a_planes, shape, dtype=np.int64)
    matrix = matrix_of(case, a)
    m, k = matrix.shape
    n = case.columns
    b = random.integers(0, 1 << b_planes, (n, k), dtype=np.int64)
    gamma = random.integers(-50, 50, n).astype(np.int32)
    acc = case.alpha * (matrix @ b.T) + case.beta * matrix.sum(axis=1, keepdims=True) + gamma
    assert np.abs(acc).max(initial=0) < 1 << 31

    p = Product()
    keep = []

    def give(name: str, array: Array) -> Array:
        keep.append(aligned(array))
        setattr(p, name, keep[-1].ctypes.data)
        return keep[-1]

    if case.window is None:
        words = -(-k // 128) * 4
        a_bits = give("a", packed(a, a_planes, words))
        b_bits = give("b", packed(b, b_planes, words))
        p.k_words, p.a_row, p.a_plane = words, words, a_bits[0].size
    else:
        w = case.window
        pixel_words = -(-case.size // 32) + case.spare_words
        taps = w.kernel[0] * w.kernel[1]
        a_bits = give("a", packed(a, a_planes, pixel_words))
        by_pixel = packed(b.reshape(n, taps, case.size), b_planes, pixel_words).reshape(b_planes, n, -1)
        words = -(-taps * pixel_words // 4) * 4
        b_bits = give("b", np.pad(by_pixel, [(0, 0), (0, 0), (0, words - by_pixel.shape[2])]))
        p.k_words, p.a_plane = taps * pixel_words, a_bits[0].size
        p.height, p.width, p.pixel_words, p.channels = *case.map, pixel_words, case.size
        p.kernel_y, p.kernel_x = w.kernel
        p.stride_y, p.stride_x = w.stride
        p.dilation_y, p.dilation_x = w.dilation
        p.top, p.left = w.padding
        p.pad_level = w.pad_level
        p.out_height, p.out_width = (
            (case.map[i] + 2 * w.padding[i] - (w.kernel[i] - 1) * w.dilation[i] - 1) // w.stride[i] + 1 for i in (0, 1)
        )
    p.b_row, p.b_plane = words, b_bits[0].size
    p.M, p.N, p.a_planes, p.b_planes, p.alpha, p.beta, p.mode = (
        m,
        n,
        a_planes,
        b_planes,
        case.alpha,
        case.beta,
        case.mode,
    )
    give("gamma", gamma)

    if case.mode == THRESHOLD:
        p.bits, p.levels = case.bits, (1 << case.bits) - 1
        flip = -random.integers(0, 2, n).astype(np.int32)
        middle = (
            np.quantile(acc, np.linspace(0, 1, p.levels + 2)[1:-1], axis=0).astype(np.int64)
            if m
            else np.zeros((p.levels, n))
        )
        least = np.sort(np.where(flip, ~middle.astype(np.int64), middle.astype(np.int64)), axis=0).astype(np.int32)
        give("flip", flip)
        give("thresholds", least)
        expected = ((acc ^ flip)[None] >= least[:, None]).sum(axis=0)
    elif case.mode == REQUANTIZE:
        p.bits, p.shift = case.bits, 7
        multiplier, offset = random.integers(-300, 300, n), random.integers(-3000, 3000, n)
        give("multiplier", multiplier)
        give("offset", offset)
        expected = np.clip((multiplier * acc + offset) >> 7, 0, (1 << case.bits) - 1)
    else:
        expected = acc
    if case.mode == INT32:
        out = give("out", np.full((m, n), -559038737, np.int32))
    else:
        p.out_row = -(-n // 32) + case.spare_words
        out = give("out", np.full((case.bits, m, p.out_row), 0xDEADBEEF, np.uint32))
        p.out_plane = m * p.out_row
        expected = np.pad(expected, [(0, 0), (0, p.out_row * 32 - n)])
    launch(library, kernel, case.grid or 3, p)
    return (out if case.mode == INT32 else unpacked(out, out.shape[2] * 32)), expected


def launch(library: ctypes.CDLL, kernel: str, grid: int, *arguments: Any) -> None:
    """Launch a kernel with ctypes values, or arrays for pointers."""
    values = [ctypes.c_void_p(one.ctypes.data) if isinstance(one, np.ndarray) else one for one in arguments]
    pointers = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
    assert library.launch(kernel.encode(), ctypes.c_int64(grid), pointers) == 0
