"""AXI4-Lite: memories that a processor writes, and registers that it reads."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..dot.rom import Rom

__all__ = ["FRAMES", "STATUS", "WORD_BITS", "AxiLiteSlave", "Region", "address_map", "axi_lite_ports"]

WORD_BITS = 32
STATUS, FRAMES = 0, 4
"""Addresses of the registers. Since reset: bit 0 short_frame, bit 1 long_frame; number of results, mod 2^32."""

_REGISTERS = 16  # bytes in front of the first memory
_OKAY, _SLVERR = 0, 2


@dataclass(frozen=True, slots=True)
class Region:
    """A memory in the address map: `depth` words of `width` bits, each in `parts` words of 32 bits, low bits first.

    Word w's part p is at base + 4 * (w * stride + p); stride is `parts` rounded up to a power of two, and the region is
    aligned to its size, which is one too.
    """

    name: str
    base: int
    depth: int
    width: int

    @property
    def parts(self) -> int:
        """Words of 32 bits for a word of the memory."""
        return -(-self.width // WORD_BITS)

    @property
    def part_bits(self) -> int:
        """Address bits that tell the parts of a word."""
        return (self.parts - 1).bit_length()

    @property
    def stride(self) -> int:
        """Distance between words, in words of 32 bits."""
        return 1 << self.part_bits

    @property
    def size(self) -> int:
        """Bytes, a power of two."""
        return 4 * self.stride << (self.depth - 1).bit_length()

    def address(self, word: int, part: int) -> int:
        """Byte address of a part of a word."""
        return self.base + 4 * (word * self.stride + part)


def address_map(memories: Iterable[tuple[str, int, int]]) -> tuple[Region, ...]:
    """Regions for memories of (name, depth, width), in that order, behind the registers."""
    regions: list[Region] = []
    free = _REGISTERS
    for name, depth, width in memories:
        size = Region(name, 0, depth, width).size
        region = Region(name, -(-free // size) * size, depth, width)
        free = region.base + size
        regions.append(region)
    return tuple(regions)


def axi_lite_ports(prefix: str, address_bits: int) -> dict[str, wiring.Member]:
    """The members of a 32-bit slave."""
    ports = {
        "awaddr": In(address_bits),
        "awprot": In(3),
        "awvalid": In(1),
        "awready": Out(1),
        "wdata": In(WORD_BITS),
        "wstrb": In(WORD_BITS // 8),
        "wvalid": In(1),
        "wready": Out(1),
        "bresp": Out(2),
        "bvalid": Out(1),
        "bready": In(1),
        "araddr": In(address_bits),
        "arprot": In(3),
        "arvalid": In(1),
        "arready": Out(1),
        "rdata": Out(WORD_BITS),
        "rresp": Out(2),
        "rvalid": Out(1),
        "rready": In(1),
    }
    return {f"{prefix}_{name}": member for name, member in ports.items()}


class AxiLiteSlave(wiring.Component):
    """Writes to memories, byte by byte as WSTRB says; reads of the registers.

    Address and data of a write may come in any order. A write to where no memory is, and a read of anything but a
    register, is answered with SLVERR and changes nothing. One write and one read are under way at a time: a write
    takes 3 cycles, a read 2, if the master is ready. Addresses are of words of 32 bits: their lowest two bits are
    ignored, and so is the protection.

    Parameters
    ----------
    regions: where the memories are.

    Members
    -------
    s_axil_*: AXI4-Lite, 32 bits.
    short_frame, long_frame: In(1), of the status register. frame: In(1), high in a cycle for each result.
    write: Out(1), high in the cycle of a write, with write_address (of words of 32 bits), write_data, write_strobe.
    """

    def __init__(self, regions: Sequence[Region]) -> None:
        self._regions = tuple(regions)
        end = max((region.base + region.size for region in self._regions), default=_REGISTERS)
        self._address_bits = (end - 1).bit_length()
        super().__init__(
            {
                **axi_lite_ports("s_axil", self._address_bits),
                "short_frame": In(1),
                "long_frame": In(1),
                "frame": In(1),
                "write": Out(1),
                "write_address": Out(self._address_bits - 2),
                "write_data": Out(WORD_BITS),
                "write_strobe": Out(WORD_BITS // 8),
            }
        )

    @property
    def regions(self) -> tuple[Region, ...]:
        """Where the memories are."""
        return self._regions

    @property
    def address_bits(self) -> int:
        """Bits of a byte address."""
        return self._address_bits

    def connect(self, m: Module, region: Region, rom: Rom) -> None:
        """In the module around the slave: writes to a region go to its memory."""
        hit, part, word = _decoded(self.write_address, region)
        enables = [Mux(self.write & hit & (part == index), self.write_strobe, 0)[:4] for index in range(region.parts)]
        m.d.comb += [
            rom.write_enable.eq(Cat(enables)),
            rom.write_addr.eq(word),
            rom.write_data.eq(self.write_data),
        ]

    def elaborate(self, platform: object) -> Module:
        """A register for each channel, an answer for each transfer."""
        m = Module()
        has_address, has_data = Signal(), Signal()
        m.d.comb += [self.s_axil_awready.eq(~has_address), self.s_axil_wready.eq(~has_data)]
        with m.If(self.s_axil_awvalid & self.s_axil_awready):
            m.d.sync += [has_address.eq(1), self.write_address.eq(self.s_axil_awaddr[2:])]
        with m.If(self.s_axil_wvalid & self.s_axil_wready):
            m.d.sync += [
                has_data.eq(1),
                self.write_data.eq(self.s_axil_wdata),
                self.write_strobe.eq(self.s_axil_wstrb),
            ]
        mapped = Signal()
        m.d.comb += mapped.eq(Cat(self._holds(region) for region in self._regions).any())
        with m.If(has_address & has_data & ~self.s_axil_bvalid):
            m.d.comb += self.write.eq(mapped)
            m.d.sync += [
                has_address.eq(0),
                has_data.eq(0),
                self.s_axil_bvalid.eq(1),
                self.s_axil_bresp.eq(Mux(mapped, _OKAY, _SLVERR)),
            ]
        with m.If(self.s_axil_bvalid & self.s_axil_bready):
            m.d.sync += self.s_axil_bvalid.eq(0)

        frames = Signal(WORD_BITS)
        m.d.sync += frames.eq(frames + self.frame)
        m.d.comb += self.s_axil_arready.eq(~self.s_axil_rvalid)
        with m.If(self.s_axil_arvalid & self.s_axil_arready):
            m.d.sync += [self.s_axil_rvalid.eq(1), self.s_axil_rdata.eq(0), self.s_axil_rresp.eq(_OKAY)]
            with m.Switch(self.s_axil_araddr[2:]):
                with m.Case(STATUS // 4):
                    m.d.sync += self.s_axil_rdata.eq(Cat(self.short_frame, self.long_frame))
                with m.Case(FRAMES // 4):
                    m.d.sync += self.s_axil_rdata.eq(frames)
                with m.Default():
                    m.d.sync += self.s_axil_rresp.eq(_SLVERR)
        with m.If(self.s_axil_rvalid & self.s_axil_rready):
            m.d.sync += self.s_axil_rvalid.eq(0)
        return m

    def _holds(self, region: Region) -> Value:
        """Whether the address of the write is one of the region's parts; its padding holds nothing."""
        hit, part, word = _decoded(self.write_address, region)
        return hit & (part < region.parts) & (word < region.depth)


def _decoded(address: Value, region: Region) -> tuple[Value, Value, Value]:
    """Whether an address (of 32-bit words) lies in the region; the part and the word that it then names."""
    bits = (region.size // 4 - 1).bit_length()
    return address[bits:] == region.base // region.size, address[: region.part_bits], address[region.part_bits : bits]
