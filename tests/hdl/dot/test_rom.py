"""Read-only memories: what lies where, and a proof that memories in explicit LUTs hold what a file would."""

from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog
from hypothesis import given, settings
from hypothesis import strategies as st
from proof import PROOF, needs_yosys, prove

from xnorflow.compiler.folds.folding import Memory
from xnorflow.hdl.dot.rom import LUT6_WORDS, MemoryImage, Rom, lut6_tables
from xnorflow.hdl.tools import synthesis

OWN_VERILOG = Path(synthesis.__file__).parent.parent / "verilog"


def image(depth: int, width: int) -> MemoryImage:
    return MemoryImage("words", np.random.default_rng(depth).integers(0, 2, (depth, width), dtype=np.uint8))


def text(rom: Rom) -> str:
    return verilog.convert(rom, name="rom", emit_src=False, strip_internal_attrs=True)


@settings(deadline=None)
@given(st.integers(1, LUT6_WORDS), st.integers(1, 9))
def test_tables_hold_two_bits_of_every_word(depth: int, width: int) -> None:
    bits = image(depth, width).bits
    tables = lut6_tables(bits)
    assert len(tables) == (width + 1) // 2
    read = [[tables[bit // 2] >> (bit % 2 * 32 + word) & 1 for bit in range(width)] for word in range(depth)]
    assert read == bits.tolist()


@pytest.mark.parametrize(
    ("depth", "memory", "lut6", "part"),
    [
        (32, Memory.AUTO, True, "xnorflow_lut6_rom"),
        (2, Memory.LUT, True, "xnorflow_lut6_rom"),
        (33, Memory.LUT, True, "xnorflow_rom"),
        (16, Memory.BLOCK, True, "xnorflow_rom"),
        (16, Memory.LUT, False, "xnorflow_rom"),
        (1, Memory.AUTO, True, None),
    ],
)
def test_only_few_words_lie_in_explicit_luts(depth: int, memory: Memory, lut6: bool, part: str | None) -> None:
    rom = Rom(image(depth, 6), memory, lut6=lut6)
    assert list(rom.memories) == (["words.hex"] if part == "xnorflow_rom" else [])
    written = text(rom)
    assert [name for name in ("xnorflow_rom", "xnorflow_lut6_rom") if f"{name} #" in written] == (
        [part] if part else []
    )


@needs_yosys
@pytest.mark.slow
@pytest.mark.parametrize(("depth", "width"), [(2, 3), (29, 8)])
def test_explicit_luts_of_xilinx_own_model_equal_the_file(tmp_path: Path, depth: int, width: int) -> None:
    """The proof reads Yosys' model of LUT6_2, not ours. Addresses beyond the last word are not compared."""
    contents = image(depth, width)
    (tmp_path / "words.hex").write_text(contents.hex())
    for lut6 in (False, True):
        (tmp_path / f"{lut6}.v").write_text(
            text(Rom(contents, Memory.LUT, lut6=lut6)).replace("module rom(", f"module rom_{lut6}(")
        )
    for name in ("xnorflow_rom.v", "xnorflow_lut6_rom.v"):
        (tmp_path / name).write_text((OWN_VERILOG / name).read_text())
    bits = (depth - 1).bit_length()
    (tmp_path / "tops.v").write_text(
        "\n".join(
            f"module top_{lut6}(input clk, input [{bits - 1}:0] addr, output [{width - 1}:0] data);"
            f" rom_{lut6} rom(.clk(clk), .rst(1'b0), .addr(addr < {depth} ? addr : {bits}'d0), .data(data)); endmodule"
            for lut6 in (False, True)
        )
    )
    files = ("False.v", "True.v", "tops.v", "xnorflow_rom.v", "xnorflow_lut6_rom.v")
    script = "\n".join(f"read_verilog /proof/{name}" for name in files) + "\nread_verilog +/xilinx/cells_sim.v\n"
    proof = PROOF.format(one="top_False", other="top_True").replace("opt\n", "memory -nomap\nmemory_map\nopt\n")
    prove(tmp_path, script + proof.replace("sat ", "sat -tempinduct -seq 1 -set-def-inputs "))
