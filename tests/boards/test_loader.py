import importlib
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated

from xnorflow.boards.loader import DEFAULT_BOARD, Budget, Clock, Family, list_boards, load_board
from xnorflow.boards.tools import constraints, flow_of
from xnorflow.compiler.folds.folding import Popcount
from xnorflow.config import dump_yaml, to_mapping
from xnorflow.errors import UsageError, XnorflowError

NAMES = [
    *("arty-a7-35t", "asic-generic", "icebreaker", "icesugar-pro", "kv260", "pynq-z1", "pynq-z2", "tangnano20k"),
    *("tangnano9k", "ultra96", "ulx3s-85f", "zc706"),
]
PLATFORMS = [
    ("icebreaker", "icebreaker.ICEBreakerPlatform", "clk12", "IO_STANDARD"),
    ("ulx3s-85f", "ulx3s.ULX3S_85F_Platform", "clk25", "IO_TYPE"),
    ("icesugar-pro", "icesugar_pro.ICESugarProPlatform", "clk25", "IO_TYPE"),
    ("tangnano9k", "tang_nano_9k.TangNano9kPlatform", "clk27", "IO_TYPE"),
    ("arty-a7-35t", "arty_a7.ArtyA7_35Platform", "clk100", "IOSTANDARD"),
]


def test_shipped_boards_bear_the_name_of_their_file() -> None:
    assert [board.name for board in list_boards()] == NAMES
    for name in NAMES:
        assert load_board(name).name == name


def test_default_board() -> None:
    board = load_board(DEFAULT_BOARD)
    assert (board.family, board.device, board.clock.hz) == (Family.XILINX7, "xc7z020", 100_000_000)
    assert board.budget == Budget(lut=53200, ff=106400, bram_kbit=140 * 36, dsp=220)
    assert Popcount(board.popcount) is Popcount.LUT6


def test_families_and_their_luts() -> None:
    widths = {board.name: board.family.lut_inputs for board in list_boards()}
    assert widths["icebreaker"] == widths["ulx3s-85f"] == widths["tangnano9k"] == 4
    assert widths["pynq-z1"] == widths["kv260"] == 6
    assert widths["asic-generic"] is None


def test_own_board_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(dump_yaml({**to_mapping(load_board("icebreaker")), "name": "mine"}))
    assert load_board(path) == load_board(str(path))
    assert load_board(path).name == "mine"


def test_unknown_name() -> None:
    with pytest.raises(UsageError, match=r"^no board named 'pynqz1'; did you mean 'pynq-z1'\? \(boards: arty-a7-35t, "):
        load_board("pynqz1")


@pytest.mark.parametrize(
    ("base", "change", "message"),
    [
        ("icebreaker", {"clokc": 3}, r"unknown key 'clokc'; did you mean 'clock'\?"),
        ("icebreaker", {"family": "ice4"}, r"family must be one of .*, not 'ice4'; did you mean 'ice40'\?"),
        ("icebreaker", {"clock": {"hz": 0}}, r"clock: hz must lie between 1000 and 1000000000, not 0"),
        ("icebreaker", {"clock": {"hz": 5_000_000_000}}, r"clock: hz must lie between"),
        ("icebreaker", {"clock": {"hz": 48_000_000, "oscillator_hz": 12_000_000}}, r"needs pll: true"),
        ("icebreaker", {"clock": {"hz": 48_000_000, "pll": True}}, r"clock: pll: true needs oscillator_hz"),
        (
            "icebreaker",
            {"clock": {"hz": 5_000_000, "oscillator_hz": 12_000_000, "pll": True}},
            r"makes no clock within 1 % of 5 MHz from 12 MHz; the nearest that it makes: 16.\d+ MHz",
        ),
        (
            "arty-a7-35t",
            {"clock": {"hz": 50_000_000, "oscillator_hz": 100_000_000, "pll": True}},
            r"no PLL of xc7a35t is known behind pins: leave out pll and give its clock as hz",
        ),
        (
            "pynq-z1",
            {"clock": {"hz": 50_000_000, "oscillator_hz": 100_000_000, "pll": True}},
            r"no PLL of xc7z020 is known behind pins",
        ),
        ("icebreaker", {"budget": None}, r"missing budget \(lut, ff, bram_kbit, dsp\): family ice40 has a fixed size"),
        ("icebreaker", {"budget": {"lut": 3, "ff": 3, "dsp": 0}}, r"budget: missing bram_kbit"),
        (
            "icebreaker",
            {"budget": {"lut": 0, "ff": 3, "bram_kbit": 0, "dsp": 0}},
            r"budget: lut must be positive, not 0",
        ),
        ("icebreaker", {"budget": {"lut": 1, "ff": 3, "bram_kbit": -1, "dsp": 0}}, r"bram_kbit must not be negative"),
        ("icebreaker", {"popcount": "lut6"}, r"popcount lut6 needs a family with 6-input LUTs; ice40 has none"),
        ("asic-generic", {"popcount": "lut6"}, r"popcount lut6 needs"),
        ("icebreaker", {"interface": {"kind": "usb"}}, r"interface.kind must be one of uart, axi, none, not 'usb'"),
        ("icebreaker", {"name": ""}, r"name must not be empty"),
        ("icebreaker", {"pins": None}, r"missing pins \(clock, rx, tx, standard\): interface uart needs them"),
        ("icebreaker", {"pins": {"clock": "35", "rx": "6", "standard": "x"}}, r"pins: missing tx"),
        (
            "icebreaker",
            {"pins": {"clock": "35", "rx": "6", "tx": "6", "standard": "x"}},
            r"pins: clock, rx and tx must be three different pins, not '35', '6', '6'",
        ),
        ("icebreaker", {"interface": {"kind": "uart"}}, r"interface: interface uart needs baud"),
        ("icebreaker", {"interface": {"kind": "axi", "baud": 9600}}, r"interface: interface axi takes no baud"),
        ("icebreaker", {"interface": {"kind": "uart", "baud": 5}}, r"baud must lie between 300 and 12000000, not 5"),
    ],
)
def test_a_wrong_board_is_one_clear_line(tmp_path: Path, base: str, change: dict[str, object], message: str) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(dump_yaml({**to_mapping(load_board(base)), **change}))
    with pytest.raises(UsageError, match=rf"wrong.yaml: .*{message}") as caught:
        load_board(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("name", "platform", "clock", "attribute"), PLATFORMS, ids=[p[0] for p in PLATFORMS])
def test_pins_are_those_that_amaranth_boards_knows(name: str, platform: str, clock: str, attribute: str) -> None:
    module, _, kind = platform.partition(".")
    known = getattr(importlib.import_module(f"amaranth_boards.{module}"), kind)()
    resources = {resource.name: resource for resource in known.resources.values()}
    board = load_board(name)
    pins = board.pins
    assert pins is not None
    oscillator, uart = resources[clock], {part.name: part for part in resources["uart"].ios}
    assert [pins.clock] == oscillator.ios[0].names
    assert ([pins.rx], [pins.tx]) == (uart["rx"].ios[0].names, uart["tx"].ios[0].names)
    assert oscillator.clock.frequency == (board.clock.oscillator_hz or board.clock.hz)
    assert pins.standard == oscillator.attrs[attribute]


def test_missing_file() -> None:
    with pytest.raises(UsageError, match="cannot read nowhere.yaml: No such file"):
        load_board("nowhere.yaml")


def test_pll_makes_another_clock() -> None:
    board = replace(load_board("icebreaker"), clock=Clock(47_000_000, oscillator_hz=12_000_000, pll=True))
    assert (board.clock.hz, board.hz) == (47_000_000, 47_250_000)
    assert (load_board("icebreaker").pll, load_board("icebreaker").hz) == (None, 12_000_000)
    assert Clock(12_000_000, oscillator_hz=12_000_000).hz == 12_000_000


@pytest.mark.parametrize("name", ["icebreaker", "ulx3s-85f", "tangnano9k", "arty-a7-35t", "asic-generic"])
@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_thing_changed_is_a_board_or_one_line(name: str, tmp_path: Path, data: st.DataObject) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(dump_yaml(data.draw(mutated(to_mapping(load_board(name))))))
    try:
        board = load_board(path)
    except XnorflowError as error:
        assert "\n" not in str(error) and str(path) in str(error)
        return
    assert board.hz > 0
    with suppress(XnorflowError):
        flow_of(board)
        constraints(board)
