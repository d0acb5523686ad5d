"""Read-only memories whose contents lie in hexadecimal files beside the Verilog."""

from dataclasses import dataclass

import numpy as np
from amaranth import ClockSignal, Const, Instance, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from ..compiler.folding import Memory
from ..errors import HardwareError

__all__ = ["MAX_WIDTH", "MemoryImage", "Rom"]

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
    megabit as for a byte, and can be read.

    Latency: `data` is the word that `addr` named in the previous cycle.

    Parameters: image, the contents; memory, the kind of memory to ask for.

    Members: addr, In; data, Out.
    """

    def __init__(self, image: MemoryImage, memory: Memory = Memory.AUTO) -> None:
        self._image = image
        self._memory = memory
        super().__init__({"addr": In(range(image.depth)), "data": Out(image.width)})

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        return {self._image.file_name: self._image.hex()} if self._image.depth > 1 else {}

    def elaborate(self, platform: object) -> Module:
        """An instance, or constants."""
        m = Module()
        image = self._image
        if image.depth == 1:
            m.d.comb += self.data.eq(Const(image.word(0), image.width))
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
