"""Read-only memories whose contents lie in hexadecimal files beside the Verilog."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from amaranth import Cat, ClockSignal, Const, Instance, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray

from ...compiler.folds.folding import Memory
from ...errors import HardwareError

__all__ = ["LUT6_WORDS", "MAX_WIDTH", "MemoryImage", "Rom", "lut6_tables", "memories_of"]

LUT6_WORDS = 32  # of a memory in explicit LUTs: two outputs share five inputs
_LUTS_PER_PART = 512  # its contents are a parameter: Verilator takes numbers of up to 65,536 bits

# Verilator and Yosys take wider words, but slow down; no fold that fits an FPGA comes near.
MAX_WIDTH = 1 << 16


@dataclass(frozen=True, eq=False)
class MemoryImage:
    """The contents of a memory: `name` (file stem) and bits, uint8 (depth, width), bit 0 of a word first.

    layout: what hardware takes for granted about the words beside their width, such as the bits of their fields.
    """

    name: str
    bits: NDArray[np.uint8]
    layout: tuple[int, ...] = ()

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

    A writable one is an instance of `xnorflow_ram`, whatever its size.

    Latency: `data` is the word that `addr` named in the previous cycle.

    Parameters: image, the contents; memory, the kind of memory to ask for; lut6, whether the target has LUT6_2;
    writable, whether it has a write port.

    Members: addr, In; data, Out. Of a writable one also: write_enable, In, a bit for each byte, four for each 32 bits
    of a word; write_addr, In; write_data, In(32).
    """

    def __init__(
        self, image: MemoryImage, memory: Memory = Memory.AUTO, *, lut6: bool = False, writable: bool = False
    ) -> None:
        self._image = image
        self._memory = memory
        self._writable = writable
        self._in_luts = lut6 and not writable and memory is not Memory.BLOCK and 1 < image.depth <= LUT6_WORDS
        members = {"addr": In(range(image.depth)), "data": Out(image.width)}
        if writable:
            enables = 4 * -(-image.width // 32)
            members |= {"write_enable": In(enables), "write_addr": In(range(image.depth)), "write_data": In(32)}
        super().__init__(members)

    @property
    def writable(self) -> bool:
        """Whether it has a write port."""
        return self._writable

    @property
    def image(self) -> MemoryImage:
        """The contents."""
        return self._image

    @property
    def memories(self) -> dict[str, str]:
        """File name -> text of what the Verilog reads."""
        in_file = (self._image.depth > 1 and not self._in_luts) or self._writable
        return {self._image.file_name: self._image.hex()} if in_file else {}

    def elaborate(self, platform: object) -> Module:
        """Constants, explicit LUTs, or an instance that reads a file."""
        m = Module()
        image = self._image
        if self._writable:
            self._place_ram(m)
            return m
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

    def _place_ram(self, m: Module) -> None:
        """An instance with a write port; a single word has an address that never moves."""
        m.submodules.ram = Instance(
            "xnorflow_ram",
            p_WIDTH=self._image.width,
            p_DEPTH=self._image.depth,
            p_ADDR_WIDTH=max(1, len(self.addr)),
            p_INIT_FILE=self._image.file_name,
            p_STYLE=self._memory.value,
            i_clk=ClockSignal(),
            i_addr=self.addr if len(self.addr) else Const(0, 1),
            o_data=self.data,
            i_write_enable=self.write_enable,
            i_write_addr=self.write_addr if len(self.addr) else Const(0, 1),
            i_write_data=self.write_data,
        )

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


def memories_of(roms: Iterable[Rom]) -> dict[str, str]:
    """File name -> text of what the Verilog of several memories reads."""
    return {name: text for rom in roms for name, text in rom.memories.items()}


def lut6_tables(bits: NDArray[np.uint8]) -> list[int]:
    """INIT of the LUT6_2 for each two columns of `bits` (words, width): O5 is the first, O6 the second."""
    words, width = bits.shape
    table = np.zeros((-(-width // 2) * 2, LUT6_WORDS), dtype=np.uint8)
    table[:width, :words] = bits.T
    packed = np.packbits(table.reshape(-1, 2 * LUT6_WORDS), axis=1, bitorder="little")
    return [int.from_bytes(row.tobytes(), "little") for row in packed]
