"""What a device family's synthesis makes of memories: which kind Yosys chooses, and how many cells of it.

Yosys (`memory_libmap`) compares the costs that its libraries name: a block RAM, a cell of LUT RAM, a bit in logic.
Where two cost the same, it stays with logic, then with LUT RAM.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...boards.loader import Family

__all__ = ["DSP_BITS", "ENGINES", "MEMORIES", "EngineCosts", "MemoryCosts"]

Integers = NDArray[np.int64]

_KBIT_18 = ((36, 512), (18, 1024), (9, 2048), (4, 4096), (2, 8192), (1, 16384))
_KBIT_4 = ((16, 256), (8, 512), (4, 1024), (2, 2048))


@dataclass(frozen=True, slots=True)
class MemoryCosts:
    """blocks: widths and depths of the smallest block RAM. block_cost: of it; rom_bits: of a ROM that cost 1 in logic.

    lut_rams: width and depth of a cell of LUT RAM, of four LUTs, which costs `lut_ram_cost`; none where the family has
    none: a small memory is then flip-flops, each of which costs 1. around: what it costs that a word which is read
    while it is written goes around a block RAM; 0 where block RAMs do without.
    """

    blocks: tuple[tuple[int, int], ...]
    block_cost: int
    rom_bits: int
    lut_rams: tuple[tuple[int, int], ...]
    lut_ram_cost: int = 0
    around: int = 0

    def count_blocks(self, width: Integers, depth: Integers) -> Integers:
        """Block RAMs of a memory."""
        counts = [-(-width // w) * -(-depth // d) for w, d in self.blocks]
        return np.asarray(np.min(counts, axis=0), dtype=np.int64)

    def stacked(self, width: Integers, depth: Integers) -> Integers:
        """Of these block RAMs, how many lie one behind the other, in the shape with the fewest: multiplexers choose."""
        counts = [-(-width // w) * -(-depth // d) for w, d in self.blocks]
        deep = [-(-depth // d) for _, d in self.blocks]
        least = np.min(counts, axis=0)
        return np.asarray(
            np.min([np.where(n == least, k, depth) for n, k in zip(counts, deep, strict=True)], axis=0), dtype=np.int64
        )

    def rom_in_block(self, width: Integers, depth: Integers) -> NDArray[np.bool_]:
        """Whether Yosys, if nobody asks for one kind, puts a ROM into block RAM."""
        return self.count_blocks(width, depth) * self.block_cost * self.rom_bits < width * depth

    def ram_in_block(self, width: Integers, depth: Integers) -> NDArray[np.bool_]:
        """Whether it does so with a memory that is written and read through registers.

        Multiplexers between cells of LUT RAM cost half a LUT for each bit, and so does what chooses the one to write.
        """
        blocks = 2 * (self.count_blocks(width, depth) * self.block_cost + self.around)
        if not self.lut_rams:
            return np.asarray(blocks < 2 * width * depth)
        banks = [(w, -(-depth // d)) for w, d in self.lut_rams]
        halves = [2 * -(-width * n * self.lut_ram_cost // w) + (width + 1) * (n - 1) for w, n in banks]
        return np.asarray(blocks < np.minimum(np.min(halves, axis=0), 2 * width * depth))


_LUT4_RAMS = ((4, 16),)

MEMORIES: Mapping[Family, MemoryCosts] = {
    Family.XILINX7: MemoryCosts(_KBIT_18, 129, 64, ((6, 32), (3, 64)), 8),
    Family.XILINX_US_PLUS: MemoryCosts(_KBIT_18, 129, 64, ((6, 32), (3, 64)), 8),
    Family.ECP5: MemoryCosts(_KBIT_18, 128, 16, _LUT4_RAMS, 4, 12),
    Family.GOWIN: MemoryCosts(_KBIT_18, 128, 16, _LUT4_RAMS, 4, 12),
    Family.ICE40: MemoryCosts(_KBIT_4, 64, 16, (), around=12),
    Family.ASIC: MemoryCosts(_KBIT_18, 128, 16, _LUT4_RAMS, 4, 12),
}
"""Costs of Yosys 0.70's libraries (share/*/brams*.txt, lutrams*.txt), and of its synth_* commands for logic; `around`
and what chooses between cells are the numbers with which memories of 1 to 24 bits go where Yosys puts them."""


@dataclass(frozen=True, slots=True)
class EngineCosts:
    """Of an engine, in tenths of a LUT if not said otherwise.

    gate_hundredths: for each weight-plane bit handled a cycle, XNOR and popcount; constant_gate_hundredths: where the
    weights are constants, for a layer whose matrix is handled in a cycle. popcount: for each popcount. accumulator: for
    each of its bits; start: for each bit where a vector takes a cycle, so that nothing accumulates, but there is a
    start value. comparator: for each bit. control: once; buffered: once, where a vector is gone through more than once.
    product: of a multiplier without a DSP block, for each pair of its operands' bits.
    """

    gate_hundredths: int
    constant_gate_hundredths: int
    popcount: int
    accumulator: int
    start: int
    comparator: int
    control: int
    buffered: int
    product: int


# Least squares of the engines of `hdl.tools.resource_set` (ECP5 and Gowin, which differ by 2 %), each weighted by its
# size, and of four engines of 32 to 196 columns a cycle.
_LUT4 = EngineCosts(270, 195, -10, 11, 4, 10, 288, 288, 24)
_LUT6 = EngineCosts(83, 90, 15, 10, 10, 10, 350, 0, 17)

ENGINES: Mapping[Family, EngineCosts] = {
    Family.XILINX7: _LUT6,
    Family.XILINX_US_PLUS: _LUT6,
    Family.ECP5: _LUT4,
    Family.GOWIN: _LUT4,
    Family.ICE40: _LUT4,
    Family.ASIC: _LUT4,
}
"""Found by synthesis with Yosys 0.70; `xnorflow bench resources` repeats the comparison."""

DSP_BITS: Mapping[Family, int] = {
    Family.XILINX7: 12,
    Family.XILINX_US_PLUS: 12,
    Family.ECP5: 9,
    Family.GOWIN: 9,
    Family.ICE40: 12,
    Family.ASIC: 9,
}
"""Bits of the smallest product that is put into a DSP block: 7 x 4 bits are on ECP5 and Gowin, not on the others."""
