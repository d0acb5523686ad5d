"""Popcount kernels for the CPU, compiled by Numba. Import only where Numba is installed.

Bits travel as planes, uint64 (B, planes, words), as `packing.pack_planes` makes them. Weights lie in tiles of 64
neurons, uint64 (tiles, planes, words, 64): neighbouring neurons are neighbours in memory, so that LLVM turns the
loops over a tile into vector code (AVX-512 has a popcount of 8 words), and one tile yields one word of 1-bit codes.

Kernels release the GIL and work on the samples they are given: `fast_layers.Workers` runs them on several threads.
(Numba's own parallel loops take several times as long to compile.)

A kernel counts differing bits, X[n] = sum_ij 2^(i+j) * popcount(w_i[n] ^ a_j): padding is 0 on both sides and counts
nothing. An accumulator falls as X rises, so a threshold is a limit on X; see `fast_layers.Mismatch`.
"""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import types
from numba.extending import intrinsic
from numpy.typing import NDArray

__all__ = ["TILE", "compiled", "count_codes", "count_sums", "pack", "threshold"]

F = TypeVar("F", bound=Callable[..., Any])

TILE = 64
BLOCK = 64  # samples that pass a tile of weights while it lies in the first-level cache


def compiled(function: F) -> F:
    """Compile on first use. Machine code is kept beside this file, where that can be written, and nowhere else."""
    keep = os.access(Path(__file__).parent, os.W_OK) or "NUMBA_CACHE_DIR" in os.environ
    machine_code: F = numba.njit(nogil=True, cache=keep)(function)
    return machine_code


def _popcount(context: Any, word: Any) -> Any:
    """Typing and code of LLVM's ctpop instruction."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return types.uint64(types.uint64), generate


popcount = intrinsic(_popcount)


def _mismatches(bits, weights, sums):  # type: ignore[no-untyped-def]
    """sums[n] = X[n] of one sample, uint64 (planes, words), and one tile, uint64 (planes, words, TILE)."""
    words = bits.shape[1]
    quads = words // 4 * 4
    for n in range(TILE):
        sums[n] = 0
    for j in range(bits.shape[0]):
        for i in range(weights.shape[0]):
            shift = np.uint64(i + j)
            plane = weights[i]
            for k in range(0, quads, 4):  # four words at a time spare loads and stores of the sums
                a0, a1, a2, a3 = bits[j, k], bits[j, k + 1], bits[j, k + 2], bits[j, k + 3]
                for n in range(TILE):
                    counted = popcount(a0 ^ plane[k, n]) + popcount(a1 ^ plane[k + 1, n])
                    counted += popcount(a2 ^ plane[k + 2, n]) + popcount(a3 ^ plane[k + 3, n])
                    sums[n] += np.int64(counted << shift)
            for k in range(quads, words):
                a0 = bits[j, k]
                for n in range(TILE):
                    sums[n] += np.int64(popcount(a0 ^ plane[k, n]) << shift)


mismatches = numba.njit(inline="always")(_mismatches)


@compiled
def count_codes(
    bits: NDArray[np.uint64],
    weights: NDArray[np.uint64],
    limits: NDArray[np.int64],
    flips: NDArray[np.uint64],
    out: NDArray[np.uint64],
) -> None:
    """Dot product, thresholds and packing in one.

    limits: int64 (tiles, levels, TILE); a code is the number of levels with X <= limit, with all bits inverted for
    the neurons set in flips, uint64 (tiles,). out: uint64 (B, code bits, tiles).
    """
    samples, tiles, levels = bits.shape[0], weights.shape[0], limits.shape[1]
    for block in range((samples + BLOCK - 1) // BLOCK):
        sums, codes = np.empty(TILE, np.int64), np.empty(TILE, np.uint64)
        for tile in range(tiles):
            for b in range(block * BLOCK, min(samples, (block + 1) * BLOCK)):
                mismatches(bits[b], weights[tile], sums)
                for n in range(TILE):
                    codes[n] = np.uint64(sums[n] <= limits[tile, 0, n])
                for level in range(1, levels):
                    for n in range(TILE):
                        codes[n] += np.uint64(sums[n] <= limits[tile, level, n])
                for q in range(out.shape[1]):
                    word = np.uint64(0)
                    for n in range(TILE):
                        word |= ((codes[n] >> np.uint64(q)) & np.uint64(1)) << np.uint64(n)
                    out[b, q, tile] = word ^ flips[tile]


@compiled
def count_sums(bits: NDArray[np.uint64], weights: NDArray[np.uint64], out: NDArray[np.int64]) -> None:
    """X of every sample and neuron: out, int64 (B, tiles * TILE)."""
    samples = bits.shape[0]
    for block in range((samples + BLOCK - 1) // BLOCK):
        for tile in range(weights.shape[0]):
            for b in range(block * BLOCK, min(samples, (block + 1) * BLOCK)):
                mismatches(bits[b], weights[tile], out[b, tile * TILE : (tile + 1) * TILE])


@compiled
def pack(codes: NDArray[np.uint8], out: NDArray[np.uint64]) -> None:
    """Planes of codes, uint8 (B, K): out, uint64 (B, bits, ceil(K / 64))."""
    columns = codes.shape[1]
    for b in range(codes.shape[0]):
        for q in range(out.shape[1]):
            for word in range(out.shape[2]):
                packed = np.uint64(0)
                for n in range(word * 64, min(columns, word * 64 + 64)):
                    packed |= np.uint64((codes[b, n] >> q) & 1) << np.uint64(n - word * 64)
                out[b, q, word] = packed


@compiled
def threshold(
    product: NDArray[Any],
    levels: NDArray[np.int64],
    signs: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> None:
    """Codes of products (B, N), integers of any dtype: how many levels, int64 (levels, N), sign * product reaches."""
    for b in range(product.shape[0]):
        for n in range(product.shape[1]):
            out[b, n] = 0
        for level in range(levels.shape[0]):
            for n in range(product.shape[1]):
                out[b, n] += np.uint8(signs[n] * np.int64(product[b, n]) >= levels[level, n])
