"""The operators on a CPU: exact, on NumPy arrays of uint32 words.

Two ways make D. `Way.POPCOUNT` counts differing bits with the kernels of `compiler.fast` (Numba): as
popcount(a & b) = (popcount(a) + popcount(b) - popcount(a ^ b)) / 2, sums over all pairs of planes follow from them.
`Way.BYTES` unpacks levels and multiplies bytes (torch's int8 product), or floats where a level is wider. The first was
measured quicker (docs/performance.md, `xnorflow bench operator`) and is taken where Numba is installed.
"""

import importlib.util
from enum import StrEnum

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..compiler.fast.layers import Workers
from .forms import WORD, Affine, Windows

__all__ = [
    "Way",
    "accumulators",
    "int8_product",
    "pack",
    "pack_bits",
    "pack_codes",
    "pool",
    "requantized",
    "thresholded",
    "unpack",
]

Words = NDArray[np.uint32]
Integers = NDArray[np.int64]

INT8_LEVELS = 64  # of one side, 127 of the other: CPUs without VNNI add two products in 16 bits
SPREAD = 1 << 24  # pairs of words from which on several threads pay


class Way(StrEnum):
    """How D is computed."""

    POPCOUNT = "popcount"
    BYTES = "bytes"


def best_way() -> Way:
    """The quicker way of those that are installed."""
    return Way.POPCOUNT if importlib.util.find_spec("numba") is not None else Way.BYTES


def accumulators(
    a: Words, b: Words, gamma: NDArray[np.int32], form: Affine, windows: Windows | None, way: Way | None = None
) -> NDArray[np.int32]:
    """acc, int32 (M, N), modulo 2^32. a: (planes, M, words), of windows (planes, images, H, W, words); b: (planes, N,
    words); gamma: (N,)."""
    rows = a if windows is None else gathered(a, windows)
    used = min(rows.shape[2], b.shape[2])  # behind it one of the two holds zeros
    rows, columns = rows[:, :, :used], b[:, :, :used]
    sums = level_sums(rows)
    if 0 in (rows.shape[1], columns.shape[1], used):
        counts: Integers = np.zeros((rows.shape[1], columns.shape[1]), np.int64)
    elif (way or best_way()) is Way.POPCOUNT:
        counts = _by_popcount(rows, columns, sums)
    else:
        counts = _by_bytes(rows, columns)
    acc = form.alpha * counts + form.beta * sums[:, None] + gamma
    return acc.astype(np.int32)


def gathered(maps: Words, windows: Windows) -> Words:
    """The windows of maps as rows: (planes, images * positions, taps * words)."""
    planes, images, height, width, words = maps.shape
    span_y = (windows.kernel_y - 1) * windows.dilation_y + 1
    span_x = (windows.kernel_x - 1) * windows.dilation_x + 1
    need_y = (windows.out_height - 1) * windows.stride_y + span_y
    need_x = (windows.out_width - 1) * windows.stride_x + span_x
    framed = np.empty(
        (planes, images, max(need_y, windows.top + height), max(need_x, windows.left + width), words), np.uint32
    )
    for plane in range(planes):
        framed[plane] = pad_words(windows, plane, words)
    framed[:, :, windows.top : windows.top + height, windows.left : windows.left + width] = maps
    every = sliding_window_view(framed, (span_y, span_x), axis=(2, 3))
    chosen = every[
        :,
        :,
        : need_y - span_y + 1 : windows.stride_y,
        : need_x - span_x + 1 : windows.stride_x,
        :,
        :: windows.dilation_y,
        :: windows.dilation_x,
    ]
    rows = chosen.transpose(0, 1, 2, 3, 5, 6, 4)
    return np.ascontiguousarray(rows).reshape(planes, images * windows.positions, windows.taps * words)


def pad_words(windows: Windows, plane: int, words: int) -> Words:
    """A pixel outside the map, (words,): the bit of pad_level in each channel."""
    bits = np.zeros(words * WORD, np.uint8)
    bits[: windows.channels] = windows.pad_level >> plane & 1
    return np.packbits(bits, bitorder="little").view(np.uint32)


def level_sums(words: Words) -> Integers:
    """S of each row, int64 (rows,), of planes (planes, rows, words)."""
    counts = np.bitwise_count(words).sum(axis=2, dtype=np.int64)
    sums: Integers = (counts << np.arange(len(words))[:, None]).sum(axis=0)
    return sums


def _by_popcount(a: Words, b: Words, sums: Integers) -> Integers:
    """2 D = (2^J - 1) S_a + (2^I - 1) S_b - X, X counting differing bits with their powers; I, J planes of A and B."""
    from ..compiler.fast import kernels

    wide_a, wide_b = _as_wide(a), _as_wide(b)
    rows, tile = len(wide_b), kernels.TILE
    tiles = -(-rows // tile)
    padded = np.zeros((tiles * tile, *wide_b.shape[1:]), np.uint64)
    padded[:rows] = wide_b
    weights = np.ascontiguousarray(padded.reshape(tiles, tile, *wide_b.shape[1:]).transpose(0, 2, 3, 1))
    differing = np.empty((len(wide_a), tiles * tile), np.int64)
    threads = torch.get_num_threads() if wide_a.size * rows >= SPREAD else 1
    with Workers(threads) as workers:
        workers.spread(len(wide_a), lambda part: kernels.count_sums(wide_a[part], weights, differing[part]))
    doubled: Integers = ((1 << len(b)) - 1) * sums[:, None] + ((1 << len(a)) - 1) * level_sums(b) - differing[:, :rows]
    return doubled >> 1


def _as_wide(words: Words) -> NDArray[np.uint64]:
    """(planes, rows, words) of 32 bits as (rows, planes, words) of 64."""
    planes, rows, count = words.shape
    wide = np.zeros((rows, planes, -(-count // 2) * 2), np.uint32)
    wide[:, :, :count] = words.transpose(1, 0, 2)
    return wide.view(np.uint64)


def _by_bytes(a: Words, b: Words) -> Integers:
    """Levels unpacked and multiplied."""
    narrow, wide = sorted((len(a), len(b)))
    if narrow <= INT8_LEVELS.bit_length() - 1 and wide < 8:
        left, right = (torch.from_numpy(unpack(one, one.shape[2] * WORD).view(np.int8)) for one in (a, b))
        return int8_product(left, right.t()).numpy().astype(np.int64)
    rows, columns = unpack_levels(a).astype(np.float64), unpack_levels(b).astype(np.float64)
    exact: Integers = (rows @ columns.T).astype(np.int64)
    return exact


def int8_product(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """a b of int8 (M, K) and (K, N), int32. torch._int_mm on a CPU takes strides of axes of length 1 at their word and
    then, without a word, yields something else (pytorch issue 195066): such operands go another way."""
    if 1 in (*a.shape, *b.shape):
        return (a.double() @ b.double()).to(torch.int32)
    return torch._int_mm(a, b)


def unpack_levels(words: Words) -> Integers:
    """Levels of planes (planes, rows, words): int64 (rows, 32 * words)."""
    bits = np.unpackbits(np.ascontiguousarray(words).view(np.uint8), axis=2, bitorder="little")
    levels = np.zeros(bits.shape[1:], np.int64)
    for plane in range(len(words)):
        levels += bits[plane].astype(np.int64) << plane
    return levels


def thresholded(
    acc: NDArray[np.int32], thresholds: NDArray[np.int32], flip: NDArray[np.int32], bits: int, words: int
) -> Words:
    """Planes (bits, M, words) of the codes of acc (M, N): how many of its neuron's thresholds (levels, N), which are
    exclusive-or'ed with flip as acc is, are reached."""
    codes = np.zeros(acc.shape, np.uint8)
    if importlib.util.find_spec("numba") is not None:
        from ..compiler.fast import kernels

        signs = 1 + 2 * flip.astype(np.int64)  # ~x >= t where -x >= t + 1
        kernels.threshold(acc, thresholds.astype(np.int64) - flip, signs, codes)
    else:
        turned = acc ^ flip
        for level in thresholds:
            codes += turned >= level
    return pack_codes(codes, bits, words)


def requantized(
    acc: NDArray[np.int32], multiplier: Integers, offset: Integers, shift: int, bits: int, words: int
) -> Words:
    """Planes (bits, M, words) of clip((multiplier[n] * acc + offset[n]) >> shift, 0, 2^bits - 1)."""
    codes = np.clip((acc * multiplier + offset) >> shift, 0, (1 << bits) - 1)
    return pack_codes(codes.astype(np.uint8), bits, words)


def pack(codes: NDArray[np.uint8], table: NDArray[np.uint8], planes: int, words: int) -> Words:
    """Planes (planes, rows, words) of the levels table[code] of codes (rows, columns)."""
    return pack_codes(table[codes], planes, words)


def pack_codes(codes: NDArray[np.uint8], planes: int, words: int) -> Words:
    """Planes (planes, rows, words) of codes (rows, columns), zeros behind the columns."""
    one = np.uint8(1)
    return np.stack([pack_bits(codes >> np.uint8(plane) & one, words) for plane in range(planes)])


def pack_bits(bits: NDArray[np.uint8], words: int) -> Words:
    """(rows, words) of bits (rows, columns)."""
    octets = np.packbits(bits, axis=1, bitorder="little")
    packed = np.zeros((len(bits), words * 4), np.uint8)
    packed[:, : octets.shape[1]] = octets
    return packed.view(np.uint32)


def pool(maps: Words, kernel: tuple[int, int], stride: tuple[int, int]) -> Words:
    """The largest level of each window, channel by channel: (planes, images, H', W', words) of (planes, images, H, W,
    words)."""
    every = sliding_window_view(maps, kernel, axis=(2, 3))[:, :, :: stride[0], :: stride[1]]
    if len(maps) == 1:
        return np.ascontiguousarray(np.bitwise_or.reduce(every, axis=(5, 6)))
    largest = unpack(every.reshape(len(maps), -1, 1), WORD).reshape(*every.shape[1:], WORD).max(axis=(4, 5))
    return pack_codes(largest.reshape(-1, WORD), len(maps), 1).reshape(every.shape[:5])


def unpack(planes: Words, columns: int) -> NDArray[np.uint8]:
    """Levels below 256 of planes (planes, rows, words), uint8 (rows, columns)."""
    octets = np.ascontiguousarray(planes).view(np.uint8)
    bits = np.unpackbits(octets, axis=2, count=columns, bitorder="little")
    levels = np.zeros(bits.shape[1:], np.uint8)
    for plane, of_plane in enumerate(bits):
        levels |= of_plane << plane
    return levels
