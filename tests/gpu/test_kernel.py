"""kernel.cu on the CPU against NumPy: every kernel, epilogue, ragged shape, and the order in which threads may run."""

import ctypes
import mmap
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from host_kernel import (
    INT32,
    REQUANTIZE,
    THRESHOLD,
    Case,
    Pool,
    Product,
    Window,
    aligned,
    build,
    launch,
    packed,
    run,
    unpacked,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.gpu.kernels import KERNELS

PLAIN = [name for name in KERNELS if not name.endswith("_windows")]
WINDOWS = [name for name in KERNELS if name.endswith("_windows")]

SIGNS = {"alpha": 4, "beta": -2}  # of -1/+1: gamma has the rest
CASES = [
    Case(5, 7, 33),
    Case(130, 70, 1100, **SIGNS),
    Case(70, 290, 600, (3, 2), beta=-3, mode=THRESHOLD, bits=2),
    Case(200, 130, 200, mode=THRESHOLD, spare_words=3, **SIGNS),
    Case(9, 40, 4200, (1, 2), 1, 1, REQUANTIZE, 8),
    Case(19, 50, 300, (2, 2), 1, 1, THRESHOLD, 2),
    Case(1, 1, 1, (2, 1), beta=1, mode=REQUANTIZE, bits=3),
    Case(3, 5, 0, beta=2),
    Case(0, 5, 40),
    Case(5, 0, 40),
]
MAPS = [
    Case(2, 20, 3, (8, 1), 1, -1, window=Window((3, 3), padding=(1, 1), pad_level=77)),
    Case(3, 70, 40, (2, 1), 2, -1, THRESHOLD, 2, Window((3, 3), (2, 1), padding=(1, 1), pad_level=3)),
    Case(4, 130, 64, mode=THRESHOLD, window=Window((2, 3), dilation=(2, 1), padding=(1, 0), pad_level=1), **SIGNS),
    Case(3, 40, 128, (1, 2), window=Window((3, 2), (1, 2), padding=(0, 1), pad_level=1), beta=5),
    Case(1, 9, 300, mode=REQUANTIZE, bits=4, window=Window((1, 1)), spare_words=2, **SIGNS),
    Case(2, 7, 70, window=Window((5, 6)), spare_words=1, beta=-1),
]


def cases_of(kernel: str) -> list[Case]:
    """Those of the kernel; where every sum takes five shuffles, which a CPU is slow at, the small ones."""
    cases = MAPS if kernel in WINDOWS else CASES
    return [case for case in cases if kernel.startswith("tile") or case.rows * case.columns < 1000]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ctypes.CDLL]:
    yield build(tmp_path_factory.mktemp("kernel"))


def check(library: ctypes.CDLL, kernel: str, case: Case) -> None:
    got, expected = run(library, kernel, case)
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("order", [(0, 0), (1, 0), (1, 1)], ids=["eager", "lazy", "lazy backwards"])
@pytest.mark.parametrize("kernel", KERNELS)
def test_products(library: ctypes.CDLL, kernel: str, order: tuple[int, int]) -> None:
    library.set_order(*order)
    for case in cases_of(kernel):
        check(library, kernel, case)


@given(
    kernel=st.sampled_from(PLAIN),
    shape=st.tuples(st.integers(0, 90), st.integers(1, 140), st.integers(0, 700)),
    planes=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    factors=st.tuples(st.integers(-4, 4), st.integers(-3, 3)),
    mode=st.sampled_from([(INT32, 1), (THRESHOLD, 1), (THRESHOLD, 3), (REQUANTIZE, 8)]),
    order=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    grid=st.integers(1, 5),
    spare=st.integers(0, 3),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_any_product(
    library: ctypes.CDLL,
    kernel: str,
    shape: tuple[int, int, int],
    planes: tuple[int, int],
    factors: tuple[int, int],
    mode: tuple[int, int],
    order: tuple[int, int],
    grid: int,
    spare: int,
    seed: int,
) -> None:
    library.set_order(*order)
    check(library, kernel, Case(*shape, planes, *factors, *mode, spare_words=spare, grid=grid, seed=seed))


PAIRS = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    kernel=st.sampled_from(WINDOWS),
    shape=st.tuples(st.integers(0, 3), st.integers(1, 70), st.integers(1, 140)),
    planes=st.tuples(st.integers(1, 3), st.integers(1, 2)),
    window=st.tuples(
        PAIRS, PAIRS, st.tuples(st.integers(1, 2), st.integers(1, 2)), st.tuples(st.integers(0, 2), st.integers(0, 2))
    ),
    mode=st.sampled_from([(INT32, 1), (THRESHOLD, 1), (REQUANTIZE, 2)]),
    order=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    grid=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
@settings(max_examples=12, deadline=None)
def test_any_convolution(
    library: ctypes.CDLL,
    kernel: str,
    shape: tuple[int, int, int],
    planes: tuple[int, int],
    window: tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int]],
    mode: tuple[int, int],
    order: tuple[int, int],
    grid: int,
    seed: int,
) -> None:
    library.set_order(*order)
    about = Window(*window, pad_level=seed % (1 << planes[0]))
    check(library, kernel, Case(*shape, planes, 2, -3, *mode, window=about, map=(6, 5), grid=grid, seed=seed))


@pytest.mark.slow
def test_bits_are_multiplied_as_bytes_where_tensor_cores_have_no_bits(tmp_path: Path) -> None:
    library = build(tmp_path, "-DXNORFLOW_BYTES=1")
    library.set_order(1, 0)
    for kernel in KERNELS:
        for case in cases_of(kernel):
            check(library, kernel, case)


@pytest.mark.parametrize("kernel", [name for name in KERNELS if name.startswith("tile")])
def test_shared_memory_is_met_without_bank_conflicts(library: ctypes.CDLL, kernel: str) -> None:
    both = (ctypes.c_int64 * 2)()
    library.bank_conflicts(both)
    check(library, kernel, replace(MAPS[3] if kernel in WINDOWS else CASES[1], seed=1))
    library.bank_conflicts(both)
    accesses, conflicts = both
    assert accesses > 500
    assert conflicts == 0


def test_the_table_of_kernels_is_the_sources(library: ctypes.CDLL) -> None:
    for name, kernel in KERNELS.items():
        threads, shared = ctypes.c_int(), ctypes.c_int()
        assert library.needs(name.encode(), ctypes.byref(threads), ctypes.byref(shared)) == 1
        assert (kernel.threads, kernel.shared) == (threads.value, shared.value), name
        assert kernel.shared <= 227 << 10


@pytest.mark.parametrize("kernel", PLAIN)
def test_operands_may_be_larger_than_32_bits_count(library: ctypes.CDLL, kernel: str) -> None:
    """Rows 2^30 words apart, in memory that is mapped but hardly touched."""
    stride, words, rows = 1 << 30, 4, 3
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE
    space = mmap.mmap(-1, (stride * (rows - 1) + words) * 4, flags=flags)
    operand = np.frombuffer(space, np.uint32)
    levels = np.random.default_rng(0).integers(0, 2, (rows, 128), dtype=np.int64)
    for row in range(rows):
        operand[row * stride :][:words] = packed(levels[row], 1, words)[0]
    gamma, out = np.zeros(rows, np.int32), aligned(np.zeros((rows, rows), np.int32))
    p = Product(M=rows, N=rows, k_words=words, a_row=stride, b_row=stride, a_planes=1, b_planes=1, alpha=1)
    p.a = p.b = operand.ctypes.data
    p.gamma, p.out = gamma.ctypes.data, out.ctypes.data
    launch(library, kernel, 1, p)
    np.testing.assert_array_equal(out, levels @ levels.T)


@given(
    rows=st.integers(0, 9),
    columns=st.integers(1, 140),
    planes=st.integers(1, 8),
    spare=st.integers(0, 2),
    grid=st.integers(1, 3),
)
@settings(max_examples=25, deadline=None)
def test_codes_to_planes_and_back(
    library: ctypes.CDLL, rows: int, columns: int, planes: int, spare: int, grid: int
) -> None:
    random = np.random.default_rng(rows + columns)
    words = -(-columns // 32) + spare
    table = random.integers(0, 1 << planes, 256).astype(np.uint8)
    codes = random.integers(0, 256, (rows, columns)).astype(np.uint8)
    out = np.full((planes, rows, words), 0xDEADBEEF, np.uint32)
    sizes = [ctypes.c_int64(rows), ctypes.c_int64(columns), ctypes.c_int64(words), ctypes.c_int(planes)]
    launch(library, "pack", grid, codes, table, out, *sizes)
    np.testing.assert_array_equal(out, packed(table[codes], planes, words))
    levels = np.full((rows, columns), 99, np.uint8)
    launch(library, "unpack", grid, out, levels, *sizes)
    np.testing.assert_array_equal(levels, table[codes])
    values = (table[codes].astype(np.float32) - 3) * 2
    out[...] = 0xDEADBEEF
    launch(library, "pack_floats", grid, values, ctypes.c_float(-6), ctypes.c_float(0.5), out, *sizes)
    np.testing.assert_array_equal(out, packed(table[codes], planes, words))


@given(
    images=st.integers(0, 3),
    size=st.tuples(st.integers(3, 7), st.integers(3, 6), st.integers(1, 70)),
    planes=st.integers(1, 8),
    kernel=PAIRS,
    stride=PAIRS,
)
@settings(max_examples=25, deadline=None)
def test_pools_take_the_largest_level(
    library: ctypes.CDLL,
    images: int,
    size: tuple[int, int, int],
    planes: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
) -> None:
    height, width, channels = size
    levels = np.random.default_rng(channels).integers(0, 1 << planes, (images, *size))
    expected = np.lib.stride_tricks.sliding_window_view(levels, kernel, (1, 2)).max(axis=(4, 5))
    expected = expected[:, :: stride[0], :: stride[1]]
    words = -(-channels // 32)
    maps = packed(levels, planes, words)
    out = np.full((planes, *expected.shape[:3], words), 0xDEADBEEF, np.uint32)
    p = Pool(images=images, planes=planes, height=height, width=width, words=words)
    p.out_height, p.out_width = expected.shape[1:3]
    (p.kernel_y, p.kernel_x), (p.stride_y, p.stride_x) = kernel, stride
    setattr(p, "in", maps.ctypes.data)
    p.out = out.ctypes.data
    launch(library, "pool", 2, p)
    np.testing.assert_array_equal(out, packed(expected, planes, words))


@given(
    rows=st.integers(0, 20), classes=st.integers(1, 70), spread=st.sampled_from([2, 1 << 20]), seed=st.integers(0, 99)
)
@settings(max_examples=25, deadline=None)
def test_the_first_largest_score_wins(library: ctypes.CDLL, rows: int, classes: int, spread: int, seed: int) -> None:
    random = np.random.default_rng(seed)
    acc = random.integers(-spread, spread, (rows, classes)).astype(np.int32)
    multiplier, offset = (random.integers(-spread, spread, classes) for _ in range(2))
    offset = offset * spread
    scores, best = np.zeros((rows, classes), np.int64), np.full(rows, -1, np.int64)
    sizes = [ctypes.c_int64(rows), ctypes.c_int64(classes)]
    launch(library, "scores", 2, acc, multiplier, offset, scores, best, *sizes)
    expected = acc * multiplier + offset
    np.testing.assert_array_equal(scores, expected)
    np.testing.assert_array_equal(best, expected.argmax(axis=1))


def test_levels_of_a_case_come_back() -> None:
    levels = np.arange(40).reshape(2, 20) % 8
    np.testing.assert_array_equal(unpacked(packed(levels, 3, 2), 20), levels)
