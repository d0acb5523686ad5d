"""Which unit finds the codes of several thresholds, by what both would cost; and the memories that it takes.

The choice depends on the folding alone, never on a board, so that the same folding gives the same hardware: costs are
those of a 7-series device, whose Z7020 has 190 LUTs for each block RAM of 18 kbit. Arguments may be arrays: a search
over foldings prices all of them at once.
"""

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from ..folds.folding import Memory

__all__ = ["search_is_cheaper", "threshold_memories"]

Integers = NDArray[np.int64]
Number: TypeAlias = Integers | int
Memories: TypeAlias = list[tuple[Integers, Integers, Integers]]

_BLOCK_PRICE = 190
_BLOCK_SHAPES = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))


def search_is_cheaper(
    levels: int, threshold_bits: Number, pe: Number, folds: Number, interval: Number, memory: Memory
) -> NDArray[np.bool_]:
    """Whether a binary search (`hdl.threshold_search`) costs less than comparing with all thresholds (`hdl.threshold`).

    levels: thresholds a row. folds: beats of PE rows. interval: cycles between two beats at the soonest.

    Up to 2 bits all thresholds are compared in parallel: their memory is one word for all rows. With more the search
    wins where there is little time, and loses where ceil(T / interval) is as small as its number of stages.
    """
    if levels <= 3:
        return np.zeros(np.broadcast_shapes(*map(np.shape, (pe, folds, interval))), dtype=np.bool_)
    bits = levels.bit_length()
    rounds_luts = pe * (-(-levels // interval)) * (threshold_bits + 2)  # a comparator, and its place in the sum
    stages = -(-bits // np.minimum(bits, interval))
    search_luts = pe * stages * (threshold_bits + bits)  # a comparator, and an address that is built of bits found
    rounds_tenths = 10 * rounds_luts + _tenths(
        threshold_memories(levels, threshold_bits, pe, folds, interval, False), memory
    )
    search_tenths = 10 * search_luts + _tenths(
        threshold_memories(levels, threshold_bits, pe, folds, interval, True), memory
    )
    return np.asarray(search_tenths < rounds_tenths)


def threshold_memories(
    levels: int, threshold_bits: Number, pe: Number, folds: Number, interval: Number, search: bool
) -> Memories:
    """The memories of either unit: how many, and the width and depth of each."""
    one = np.ones(np.broadcast_shapes(*map(np.shape, (threshold_bits, pe, folds, interval))), dtype=np.int64)
    if not search:
        at_once = -(-levels // interval)
        return [(one, one * pe * at_once * threshold_bits, one * folds * -(-levels // at_once))]
    bits = levels.bit_length()
    stages = -(-bits // np.minimum(bits, interval))
    rounds = -(-bits // stages)
    memories: Memories = []
    for known in range(bits):  # the bits found before a stage; only multiples of `rounds` begin one
        begins = one * (known % rounds == 0)
        own = np.minimum(rounds, bits - known)
        words = one << (known + np.where(own > 1, own, 0))
        shared = words == 1
        count = begins * np.where(shared, 1, pe)
        memories.append((count, one * threshold_bits * np.where(shared, pe, 1), folds * words))
    return memories


def _tenths(memories: Memories, memory: Memory) -> Integers:
    """What memories cost in tenths of a LUT, those in block RAM at their price.

    A LUT holds two columns of 32 words or one of 64; of deeper ones Yosys makes a LUT for 12 words.
    """
    total = np.zeros((), dtype=np.int64)
    for count, width, depth in memories:
        in_luts = width * np.where(depth <= 32, 5, np.where(depth <= 64, 10, 10 * depth // 12))
        in_blocks = 10 * _BLOCK_PRICE * np.min([-(-width // w) * -(-depth // d) for w, d in _BLOCK_SHAPES], axis=0)
        match memory:
            case Memory.BLOCK:
                cost = in_blocks
            case Memory.LUT:
                cost = in_luts
            case Memory.AUTO:
                cost = np.minimum(in_luts, in_blocks)
        total = total + count * np.where(depth > 1, cost, 0)
    return total
