"""The device that a folding is priced for: its look-up tables and block RAMs, and what its memories take of them."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...boards.loader import Board, Family
from ..folds.folding import Memory
from .families import DSP_BITS, ENGINES, MEMORIES, EngineCosts, MemoryCosts

__all__ = ["Device", "Shape", "distinct_columns"]

Integers = NDArray[np.int64]
Shape = tuple[Integers, Integers]
"""Width and depth of memories, many at once."""


@dataclass(frozen=True, slots=True)
class Device:
    """What matters of a board: LUT size, how many LUTs (None: no limit) and block RAMs there are.

    A block RAM is the smallest that the family has: half of a RAMB36 (36 x 512 bits and narrower), a DP16KD or a BSRAM
    of 18 kbit, an iCE40 EBR of 4 kbit (16 x 256 and narrower). Without a budget memories cost nothing: nobody knows
    what an ASIC takes.
    """

    lut_inputs: int = 4
    luts: int | None = None
    blocks: int = 0
    block_kbit: int = 18
    family: Family | None = None

    @classmethod
    def of(cls, board: Board | None) -> "Device":
        """The device on a board; one without limits if there is none."""
        if board is None:
            return cls()
        kbit, inputs = 4 if board.family is Family.ICE40 else 18, board.family.lut_inputs or 4
        if board.budget is None:
            return cls(inputs, None, 0, kbit, board.family)
        return cls(inputs, board.budget.lut, board.budget.bram_kbit // kbit, kbit, board.family)

    @property
    def mapping(self) -> MemoryCosts:
        """How Yosys maps memories for the family; where none is named, for one of those with such LUTs."""
        return MEMORIES[self.family or (Family.XILINX7 if self.lut_inputs == 6 else Family.ECP5)]

    @property
    def engine(self) -> EngineCosts:
        """What engines take."""
        return ENGINES[self.family or (Family.XILINX7 if self.lut_inputs == 6 else Family.ECP5)]

    @property
    def dsp_bits(self) -> int:
        """Bits of the smallest product that is put into a DSP block."""
        return DSP_BITS[self.family or (Family.XILINX7 if self.lut_inputs == 6 else Family.ECP5)]

    @property
    def block_price(self) -> int:
        """Tenths of a LUT that a block RAM is worth: the device has so many for each."""
        return 10 * self.luts // self.blocks if self.luts is not None and self.blocks else 0

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Kinds of memory to choose from."""
        if self.luts is None:
            return (Memory.AUTO,)
        return (Memory.BLOCK, Memory.LUT) if self.blocks else (Memory.LUT,)

    def in_blocks(self, shape: Shape) -> Integers:
        """Block RAMs of memories; words of a memory of one word are constants."""
        width, depth = shape
        return np.where(depth > 1, self.mapping.count_blocks(width, depth), 0).astype(np.int64)

    def chosen(self, inputs: Integers | int) -> Integers:
        """LUTs of a multiplexer of one bit; one of six inputs chooses one of four."""
        return np.asarray(-(-(inputs - 1) // 3) if self.lut_inputs == 6 else inputs - 1, dtype=np.int64)

    def behind_blocks(self, shape: Shape) -> Integers:
        """Tenths of a LUT that choose the word of memories of several block RAMs one behind the other."""
        width, depth = shape
        return 10 * width * self.chosen(self.mapping.stacked(width, depth))

    def rom_in_block(self, shape: Shape, memory: Memory) -> NDArray[np.bool_]:
        """Whether read-only memories lie in block RAM: as they are asked to, or as Yosys finds cheaper."""
        width, depth = shape
        if memory is Memory.AUTO and self.blocks:
            return self.mapping.rom_in_block(width, depth)
        return np.full(np.broadcast_shapes(np.shape(width), np.shape(depth)), memory is Memory.BLOCK)

    def in_ram(self, shapes: Iterable[Shape]) -> tuple[Integers, Integers]:
        """Tenths of a LUT and block RAMs of memories that are written and read, where Yosys puts them."""
        tenths, blocks = np.zeros((), dtype=np.int64), np.zeros((), dtype=np.int64)
        for width, depth in shapes:
            block = self.mapping.ram_in_block(width, depth) & (self.blocks > 0)
            around = self.behind_blocks((width, depth)) + (10 * width if self.mapping.around else 0)
            tenths = tenths + np.where(block, around, self.in_lut_ram((width, depth)))
            blocks = blocks + np.where(block, self.in_blocks((width, depth)), 0)
        return tenths, blocks

    def in_luts(self, shape: Shape) -> Integers:
        """Tenths of a LUT of read-only memories.

        A LUT6 holds two columns of 32 words; of deeper ones Yosys makes a LUT for 11 words and more. A LUT4 holds a
        column of 16 words, of no more columns than there are different; of deeper ones Yosys makes a LUT for 7 words.
        """
        width, depth = shape
        if self.lut_inputs == 6:
            each = np.where(depth <= 32, 5, (9 * depth - 80) // 10)
            return np.where(depth > 1, width * each, 0)
        columns = distinct_columns(width, depth)
        each = np.where(depth <= 16, 10, (145 * depth - 700) // 100)
        return np.where(depth > 1, columns * each, 0)

    def in_lut_ram(self, shape: Shape) -> Integers:
        """Tenths of a LUT of small memories that are written and read: four LUT6s hold 6 x 32 or 3 x 64 bits, LUT4s
        4 x 16; where there is no such RAM, multiplexers behind flip-flops."""
        width, depth = shape
        if not self.mapping.lut_rams:
            return 10 * (width * (depth - 1) + depth)
        if self.lut_inputs == 6:
            return np.where(depth <= 32, 40 * -(-width // 6), 40 * -(-width // 3) * -(-depth // 64))
        banks = -(-depth // 16)
        return 40 * -(-width // 4) * banks + 10 * (width + 1) * (banks - 1)


def distinct_columns(width: Integers, depth: Integers) -> Integers:
    """How many of the columns of a memory of random bits differ, on average, rounded up: the others need nothing."""
    kinds = 2.0 ** np.minimum(depth, 60)
    return np.ceil(kinds * -np.expm1(width * np.log1p(-1 / kinds)) - 1e-6).astype(np.int64)
