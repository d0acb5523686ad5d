from pathlib import Path

import pytest

from xnorflow.boards.loader import Family, list_boards, load_board
from xnorflow.compiler.cost.rivals import Assumptions
from xnorflow.errors import HardwareError
from xnorflow.hdl.tools.design_cells import DesignCells, count_cells, synthesize_sources

MULTIPLIER = """\
module multiplier (input signed [7:0] a, input signed [7:0] b, output signed [15:0] p); assign p = a * b; endmodule
"""


@pytest.mark.parametrize(
    ("family", "cells", "expected"),
    [
        (
            Family.XILINX7,
            {
                "LUT6": 5,
                "LUT1": 1,
                "INV": 2,
                "RAM32M": 1,
                "CARRY4": 9,
                "FDRE": 3,
                "FDSE": 4,
                "DSP48E1": 2,
                "RAMB18E1": 3,
            },
            (12, 7, 2, 1.5),
        ),
        (
            Family.ECP5,
            {"LUT4": 5, "CCU2C": 3, "TRELLIS_DPR16X4": 1, "PFUMX": 9, "TRELLIS_FF": 2, "MULT18X18D": 4, "DP16KD": 6},
            (15, 2, 4, 6.0),
        ),
        (
            Family.ICE40,
            {"SB_LUT4": 5, "SB_CARRY": 9, "SB_DFF": 1, "SB_DFFESR": 2, "SB_MAC16": 3, "SB_RAM40_4K": 4},
            (5, 3, 3, 4.0),
        ),
        (
            Family.GOWIN,
            {
                "LUT1": 1,
                "LUT4": 2,
                "ALU": 4,
                "MUX2_LUT5": 9,
                "RAM16SDP4": 1,
                "DFFRE": 5,
                "MULT9X9": 2,
                "SDPX9B": 3,
                "SPX9": 1,
            },
            (11, 5, 2, 4.0),
        ),
    ],
)
def test_cells_by_hand(family: Family, cells: dict[str, int], expected: tuple[int, int, int, float]) -> None:
    counted = count_cells(family, {**cells, "$scopeinfo": 3})
    assert (counted.luts, counted.flip_flops, counted.dsps, counted.block_rams) == expected
    assert counted.cells == dict(sorted(cells.items()))


def test_the_larger_xilinx_family_counts_alike() -> None:
    assert count_cells(Family.XILINX_US_PLUS, {"LUT6": 3}) == DesignCells(3, 0, 0, 0.0, {"LUT6": 3})


def test_an_asic_has_no_cells_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "rtl").mkdir()
    with pytest.raises(HardwareError, match="asic-generic has no cells"):
        synthesize_sources(tmp_path / "rtl", "part", load_board("asic-generic"), tmp_path / "work")


@pytest.mark.slow
@pytest.mark.parametrize("name", ["pynq-z1", "ulx3s-85f", "icebreaker", "tangnano9k"])
def test_a_multiplier_takes_a_dsp_block_or_so_many_luts(name: str, tmp_path: Path) -> None:
    board = load_board(name)
    (tmp_path / "rtl").mkdir()
    (tmp_path / "rtl" / "multiplier.v").write_text(MULTIPLIER)
    plain = synthesize_sources(tmp_path / "rtl", "multiplier", board, tmp_path / "plain", dsp=False)
    assert (plain.luts, plain.dsps) == (Assumptions().dsp_luts(board.family), 0)
    # a lone 8 x 8 is too small for some families' inference, a product of 16 bits is not
    (tmp_path / "rtl" / "multiplier.v").write_text(
        MULTIPLIER.replace("[7:0]", "[15:0]").replace("[15:0] p", "[31:0] p")
    )
    assert synthesize_sources(tmp_path / "rtl", "multiplier", board, tmp_path / "blocks").dsps >= 1


def test_every_fpga_family_has_an_equivalent() -> None:
    for board in list_boards():
        assert (Assumptions().dsp_luts(board.family) > 0) == (board.family is not Family.ASIC)
