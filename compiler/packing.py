"""Bit packing: codes in as many bits as they have, element 0 in the least significant bits.

Two layouts of the same bits:

- *dense* (`pack_codes`): one code behind the other without gaps, as bytes; the network file stores weights so
- *planes* (`pack_planes`): bit i of 64 neighbouring codes in one uint64 word, as popcount kernels want it

Unused bits are 0 in both.
"""

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

__all__ = ["pack_codes", "pack_planes", "packed_size", "unpack_codes", "unpack_planes"]

WORD = 64


def packed_size(count: int, bits: int) -> int:
    """Bytes of `count` codes of `bits` bits in the dense layout."""
    return -(-count * bits // 8)


def pack_codes(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint8]:
    """Dense bytes, uint8 (packed_size,), of codes of any shape in C order. UsageError if a code needs more bits."""
    check(codes, bits)
    if bits == 1:
        return np.packbits(codes.reshape(-1), bitorder="little")
    planes = (codes.reshape(-1, 1) >> np.arange(bits, dtype=np.uint8)) & 1
    return np.packbits(planes.reshape(-1), bitorder="little")


def unpack_codes(packed: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.uint8]:
    """The first `count` codes, uint8 (count,), of dense bytes; UsageError if there are not exactly enough bytes."""
    if packed.size != packed_size(count, bits):
        raise UsageError(f"{count} codes of {bits} bits take {packed_size(count, bits)} bytes, not {packed.size}")
    planes = np.unpackbits(packed.reshape(-1), count=count * bits, bitorder="little").reshape(count, bits)
    if bits == 1:
        return planes.reshape(count)
    weighted: NDArray[np.uint8] = (planes << np.arange(bits, dtype=np.uint8)).sum(axis=1, dtype=np.uint8)
    return weighted


def pack_planes(codes: NDArray[np.uint8], bits: int) -> NDArray[np.uint64]:
    """Bit planes of codes (..., K): uint64 (..., bits, ceil(K / 64)); bit k % 64 of word k // 64 is element k."""
    check(codes, bits)
    columns = codes.shape[-1]
    words = -(-columns // WORD)
    packed = np.zeros((*codes.shape[:-1], bits, words * 8), np.uint8)
    used = -(-columns // 8)
    for plane in range(bits):
        packed[..., plane, :used] = np.packbits((codes >> plane) & 1, axis=-1, bitorder="little")
    return packed.view("<u8").astype(np.uint64, copy=False)


def unpack_planes(planes: NDArray[np.uint64], columns: int) -> NDArray[np.uint8]:
    """Codes (..., columns) of bit planes (..., bits, words): the inverse of `pack_planes`."""
    contiguous = np.ascontiguousarray(planes.astype("<u8", copy=False))
    codes = np.zeros((*planes.shape[:-2], columns), np.uint8)
    for plane in range(planes.shape[-2]):
        octets = np.ascontiguousarray(contiguous[..., plane, :]).view(np.uint8)
        codes |= np.unpackbits(octets, axis=-1, count=columns, bitorder="little") << plane
    return codes


def check(codes: NDArray[np.uint8], bits: int) -> None:
    """Refuse codes that `bits` bits cannot hold: their high bits would be lost without a word."""
    if not 1 <= bits <= 8:
        raise UsageError(f"bits must be 1 to 8, not {bits}")
    if codes.dtype != np.uint8:
        raise UsageError(f"codes must be uint8, not {codes.dtype}")
    if codes.size and int(codes.max()) >> bits:
        raise UsageError(f"code {int(codes.max())} does not fit into {bits} bits")
