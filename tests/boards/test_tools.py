"""What the tools of a family are told: constraints line by line, arguments, and who is refused."""

from dataclasses import replace

import pytest

from xnorflow.boards.loader import Clock, load_board
from xnorflow.boards.tools import build_script, constraints, flow_of
from xnorflow.errors import HardwareError


def test_constraints_of_each_family() -> None:
    assert constraints(load_board("icebreaker")) == "set_io clk 35\nset_io rx 6\nset_io tx 9\nset_frequency clk 12\n"
    quick = replace(load_board("icebreaker"), clock=Clock(24_000_000, oscillator_hz=12_000_000, pll=True))
    assert constraints(quick).splitlines()[3:] == ["set_frequency clk 12", "set_frequency core_clk 24"]
    assert constraints(load_board("ulx3s-85f")).splitlines() == [
        *('LOCATE COMP "clk" SITE "G2";', 'LOCATE COMP "rx" SITE "M1";', 'LOCATE COMP "tx" SITE "L4";'),
        *(f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "rx", "tx")),
        'FREQUENCY PORT "clk" 25 MHZ;',
        'FREQUENCY NET "core_clk" 50 MHZ;',
    ]
    assert constraints(load_board("tangnano20k")).splitlines() == [
        *('IO_LOC "clk" 4;', 'IO_LOC "rx" 70;', 'IO_LOC "tx" 69;'),
        *(f'IO_PORT "{port}" IO_TYPE=LVCMOS33;' for port in ("clk", "rx", "tx")),
    ]
    assert constraints(load_board("arty-a7-35t")).splitlines()[::3] == [
        "set_property -dict {PACKAGE_PIN E3 IOSTANDARD LVCMOS33} [get_ports clk]",
        "create_clock -name clk -period 10.000 [get_ports clk]",
    ]


@pytest.mark.parametrize(
    ("board", "tools", "words", "bitstream"),
    [
        ("icebreaker", ["nextpnr-ice40", "icepack"], ["--up5k", "sg48", "12"], "{name}.bin"),
        ("ulx3s-85f", ["nextpnr-ecp5", "ecppack"], ["--85k", "CABGA381", "50"], "{name}.bit"),
        ("icesugar-pro", ["nextpnr-ecp5", "ecppack"], ["--25k", "CABGA256", "50"], "{name}.bit"),
        (
            "tangnano9k",
            ["nextpnr-himbaechel-gowin", "gowin_pack"],
            ["GW1NR-LV9QN88PC6/I5", "family=GW1N-9C", "27"],
            "{name}.fs",
        ),
        (
            "tangnano20k",
            ["nextpnr-himbaechel-gowin", "gowin_pack"],
            ["GW2AR-LV18QN88C8/I7", "family=GW2A-18C", "27"],
            "{name}.fs",
        ),
    ],
)
def test_flows(board: str, tools: list[str], words: list[str], bitstream: str) -> None:
    flow = flow_of(load_board(board))
    assert [step.tool for step in flow.steps] == tools
    assert set(words) <= set(flow.steps[0].arguments)
    assert flow.bitstream == bitstream


def test_ice40s_without_multipliers() -> None:
    board = replace(load_board("icebreaker"), device="iCE40HX8K", package="CT256")
    assert flow_of(board).synth == "synth_ice40 -abc9 -device hx"
    assert flow_of(board).steps[0].arguments[:3] == ("--hx8k", "--package", "ct256")


def test_script() -> None:
    script = build_script(flow_of(load_board("icebreaker")), "board_top", ["a.v", "b.v"]).splitlines()
    assert script[2] == (
        'yosys -p "read_verilog a.v b.v; synth_ice40 -dsp -abc9 -device u -top board_top -json board_top.json"'
    )
    assert script[3].startswith(
        "nextpnr-ice40 --up5k --package sg48 --json board_top.json --pcf board_top.pcf --freq 12"
    )
    assert script[4] == "icepack board_top.asc board_top.bin"


def test_boards_without_an_open_flow_are_refused() -> None:
    for name in ("pynq-z1", "asic-generic"):
        with pytest.raises(HardwareError, match=rf"board {name}: no open tools make a bitstream"):
            flow_of(load_board(name))
    with pytest.raises(HardwareError, match="no open tools make a bitstream for GW5A"):
        flow_of(replace(load_board("tangnano9k"), device="GW5A"))
    with pytest.raises(HardwareError, match=r"LFE5U-99F \(they do for LFE5U-12F, LFE5U-25F, LFE5U-45F, LFE5U-85F\)"):
        flow_of(replace(load_board("ulx3s-85f"), device="LFE5U-99F"))
    with pytest.raises(HardwareError, match=r"iCE40UP9K \(they do for iCE40LP1K, .*, iCE40UP5K\)"):
        flow_of(replace(load_board("icebreaker"), device="iCE40UP9K"))
    with pytest.raises(HardwareError, match="board pynq-z1 names no pins"):
        constraints(load_board("pynq-z1"))
