"""Read-only memories whose contents lie in hexadecimal files beside the Verilog."""

from dataclasses import dataclass

import numpy as np
from amaranth import Cat, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from ..compiler.folding import Memory
from ..errors import HardwareError

__all__ = ["LUT6_WORDS", "MAX_WIDTH", "MemoryImage", "Rom", "lut6_tables"]

LUT6_WORDS = 32  # of a memory in explicit LUTs: two outputs share five inputs
_LUTS_PER_PART = 512  # its contents are a parameter: Verilator takes numbers of up to 65,536 bits

# Verilator and Yosys take wider words, but slow down; no fold that fits an FPGA comes near.
MAX_WIDTH = 1 << 16


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """The contents of a memory: `name` (file stem) and bits, uint8 (depth, width), bit 0 of a word first."""

    name: str
    bits: NDArray[np.uint8]

    def __post_init__(self) -> None:
        if self.width > MAX_WIDTH:
            raise HardwareError(
                f"{self.name}: a memory word of {self.width} bits is too wide; "
                f"a smaller PE x SIMD fits (at most {MAX_WIDTH} bits a word)"
            )

    @classmethod
    def of_fields(cls, name: str, fields: NDArray[np.int64], field_bits: int) -> "MemoryImage":
        """Words of equal fields, (depth, fields), field 0 in the least significant bits; two's complement."""
        shifts = np.arange(field_bits, dtype=np.int64)
        bits = (fields[:, :, None] >> shifts) & 1
        return cls(name, bits.astype(np.uint8).reshape(len(fields), -1))

    @property
    def depth(self) -> int:
        """Number of words."""
        return int(self.bits.shape[0])

    @property
    def width(self) -> int:
        """Bits of a word."""
        return int(self.bits.shape[1])

    @property
    def file_name(self) -> str:
        """The file that `$readmemh` reads."""
        return f"{self.name}.hex"

    def word(self, index: int) -> int:
        """One word as an integer."""
        return int.from_bytes(np.packbits(self.bits[index], bitorder="little").tobytes(), "little")

    def hex(self) -> str:
        """The file's text: one word a line, most significant digit first."""
        packed = np.packbits(self.bits, axis=1, bitorder="little")[:, ::-1]
        digits = -(-self.width // 4)
        return "".join(row.tobytes().hex()[-digits:] + "\n" for row in packed)


class Rom(wiring.Component):
    """A memory with a synchronous read port: an instance of `xnorflow_rom`, or constants where one word is all.

    The contents are not in the Verilog but in `image.file_name`, so that a design is generated as fast for a
    megabit as for a byte, and can be read. With `lut6` a memory of at most 32 words that is not asked to be block RAM
    becomes explicit LUT6_2 instances instead (`xnorflow_lut6_rom`, contents as parameters): half a LUT a bit.

    Latency: `data` is the word that `addr` named in the previous cycle.

    Parameters: image, the contents; memory, the kind of memory to ask for; lut6, whether the target has LUT6_2.

    Members: addr, In; data, Out.
    """

    def __init__(self, image: MemoryImage, memory: Memory = Memory.AUTO, *, lut6: bool = False) -> None:
        self._image = image
        self._memory = memory
        self._in_luts = lut6 and memory is not Memory.BLOCK and 1 < image.depth <= LUT6_WORDS
        super().__init__({"addr": In(range(image.depth)), "data": Out(image.width)})

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        in_file = self._image.depth > 1 and not self._in_luts
        return {self._image.file_name: self._image.hex()} if in_file else {}

    def elaborate(self, platform: object) -> Module:
        """Constants, explicit LUTs, or an instance that reads a file."""
        m = Module()
        image = self._image
        if image.depth == 1:
            m.d.comb += self.data.eq(Const(image.word(0), image.width))
            return m
        if self._in_luts:
            self._place_luts(m)
            return m
        m.submodules.rom = Instance(
            "xnorflow_rom",
            p_WIDTH=image.width,
            p_DEPTH=image.depth,
            p_ADDR_WIDTH=len(self.addr),
            p_INIT_FILE=image.file_name,
            p_STYLE=self._memory.value,
            i_clk=ClockSignal(),
            i_addr=self.addr,
            o_data=self.data,
        )
        return m

    def _place_luts(self, m: Module) -> None:
        """LUTs of two bits of all words each, many to an instance."""
        bits = 2 * _LUTS_PER_PART
        parts: list[Signal] = []
        for start in range(0, self._image.width, bits):
            tables = lut6_tables(self._image.bits[:, start : start + bits])
            part = Signal(2 * len(tables), name=f"part_{len(parts)}")
            m.submodules[f"rom_{len(parts)}"] = Instance(
                "xnorflow_lut6_rom",
                p_LUTS=len(tables),
                p_TABLES=Const(sum(table << 64 * k for k, table in enumerate(tables)), 64 * len(tables)),
                i_clk=ClockSignal(),
                i_addr=Cat(self.addr, Const(0, (LUT6_WORDS - 1).bit_length() - len(self.addr))),
                o_data=part,
            )
            parts.append(part)
        m.d.comb += self.data.eq(Cat(parts))


def lut6_tables(bits: NDArray[np.uint8]) -> list[int]:
    """INIT of the LUT6_2 for each two columns of `bits` (words, width): O5 is the first, O6 the second."""
    words, width = bits.shape
    table = np.zeros((-(-width // 2) * 2, LUT6_WORDS), dtype=np.uint8)
    table[:width, :words] = bits.T
    packed = np.packbits(table.reshape(-1, 2 * LUT6_WORDS), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
