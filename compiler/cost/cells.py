"""Cells of a device: what memories and multiplexers come to, in numbers of them."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..folds.folding import Memory
from .device import Device, distinct_columns

__all__ = ["Cells", "Resources", "counter_bits", "total"]


@dataclass(frozen=True, slots=True)
class Resources:
    """Numbers of cells. blocks: the smallest block RAMs that the family has (a RAMB36 is two). dsps: multipliers."""

    luts: int = 0
    flip_flops: int = 0
    blocks: int = 0
    dsps: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(
            self.luts + other.luts,
            self.flip_flops + other.flip_flops,
            self.blocks + other.blocks,
            self.dsps + other.dsps,
        )


def total(parts: Mapping[str, Resources]) -> Resources:
    """The sum."""
    return sum(parts.values(), Resources())


def counter_bits(states: int) -> int:
    """Of a counter of so many states."""
    return (states - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Cells:
    """What memories and multiplexers take of a device."""

    device: Device

    def ram(self, width: int, depth: int, *, registered: bool = True) -> Resources:
        """A memory that is written and read, in the cycle after its address where it is `registered`."""
        if width == 0 or depth == 0:
            return Resources()
        shape = (np.array([width], dtype=np.int64), np.array([depth], dtype=np.int64))
        logic = 0 if self.device.mapping.lut_rams else width * depth
        if not registered:
            return Resources(-(-int(self.device.in_lut_ram(shape)[0]) // 10), logic)
        tenths, blocks = self.device.in_ram([shape])
        luts = -(-int(tenths[0]) // 10)
        if not blocks[0]:
            return Resources(luts, width + logic)
        held = 2 * width + 1 + counter_bits(depth) if self.device.mapping.around else 0
        return Resources(luts, held, int(blocks[0]))

    def rom(self, width: int, depth: int, memory: Memory, shallow: int = 0) -> Resources:
        """A memory that is only read; one word is constants, and no more than `shallow` words are never in block RAM.
        Equal columns share a flip-flop."""
        if depth < 2 or width == 0:
            return Resources()
        shape = (np.array([width], dtype=np.int64), np.array([depth], dtype=np.int64))
        if depth > shallow and bool(self.device.rom_in_block(shape, memory)[0]):
            return Resources(int(self.device.behind_blocks(shape)[0]) // 10, 0, int(self.device.in_blocks(shape)[0]))
        columns = width if self.device.lut_inputs == 6 else int(distinct_columns(shape[0], shape[1])[0])
        return Resources(-(-int(self.device.in_luts(shape)[0]) // 10), columns)

    def chosen(self, inputs: int) -> int:
        """LUTs that choose one of so many bits."""
        return int(self.device.chosen(inputs))

    def multiplier(self, a: int, b: int) -> Resources:
        """Of numbers of so many bits. Yosys leaves those with few to logic."""
        if min(a, b) < 2 or a + b < self.device.dsp_bits:
            return Resources(self.device.engine.product * a * b // 10)
        return Resources(dsps=1)
