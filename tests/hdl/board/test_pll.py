"""The cells that a PLL becomes: parameters as the vendors' calculators write them."""

import re

import pytest

from xnorflow.boards.pll import pll_kind, solve_pll
from xnorflow.hdl.board.pll import Pll
from xnorflow.hdl.verilog_text import to_verilog


def parameters(family: str, device: str, pin: str, source: int, hz: int) -> tuple[str, dict[str, str]]:
    """The cell's name, and its parameters and attributes as they stand in Verilog."""
    kind = pll_kind(family, device, "SG48", pin)
    assert kind is not None
    text, _ = to_verilog(Pll(solve_pll(kind, source * 1_000_000, hz * 1_000_000), "GW1NR-9C"), "pll")
    cell = re.search(r"^  (\w+) #\(", text, re.MULTILINE)
    assert cell is not None
    found = dict(re.findall(r"\.(\w+)\((?:\d+'s?[hd])?\"?([\w-]+)\"?\)", text))
    return cell[1], found | dict(re.findall(r'\(\* (\w+) = "([\w.]+)" \*\)', text))


@pytest.mark.parametrize(
    ("pin", "primitive", "port"), [("35", "SB_PLL40_PAD", "PACKAGEPIN"), ("20", "SB_PLL40_CORE", "REFERENCECLK")]
)
def test_ice40(pin: str, primitive: str, port: str) -> None:
    cell, found = parameters("ice40", "iCE40UP5K", pin, 12, 48)
    assert cell == primitive
    # icepll -i 12 -o 48
    wanted = {"DIVR": "0", "DIVF": "3f", "DIVQ": "4", "FILTER_RANGE": "1", "FEEDBACK_PATH": "SIMPLE"}
    assert wanted.items() <= found.items()
    assert {port: "i", "PLLOUTGLOBAL": "o", "LOCK": "locked", "RESETB": "1", "BYPASS": "0"}.items() <= found.items()


@pytest.mark.parametrize(("source", "filter_range"), [(12, 1), (17, 2), (26, 3), (48, 4), (70, 5), (110, 6)])
def test_the_loop_filter_of_an_ice40(source: int, filter_range: int) -> None:
    """Bands as in icepll; the phase detector gets the oscillator itself where the reference divider is 1."""
    assert parameters("ice40", "iCE40UP5K", "20", source, source * 2)[1]["FILTER_RANGE"] == str(filter_range)


def test_ecp5() -> None:
    cell, found = parameters("ecp5", "LFE5U-85F", "G2", 25, 50)
    assert cell == "EHXPLLL"
    # ecppll -i 25 -o 50
    dividers = {"CLKI_DIV": "1", "CLKFB_DIV": "2", "CLKOP_DIV": "12", "CLKOP_CPHASE": "5", "FEEDBK_PATH": "CLKOP"}
    assert dividers.items() <= found.items()
    assert {"FREQUENCY_PIN_CLKI": "25", "FREQUENCY_PIN_CLKOP": "50", "ICP_CURRENT": "12"}.items() <= found.items()
    assert {
        "CLKI": "i",
        "CLKOP": "o",
        "CLKFB": "o",
        "LOCK": "locked",
        "RST": "0",
        "STDBY": "0",
    }.items() <= found.items()


def test_gowin() -> None:
    cell, found = parameters("gowin", "GW1NR-LV9", "52", 27, 54)
    assert cell == "rPLL"
    assert {"FCLKIN": "27", "IDIV_SEL": "0", "FBDIV_SEL": "1", "ODIV_SEL": "16"}.items() <= found.items()
    assert {"DEVICE": "GW1NR-9C", "CLKFB_SEL": "internal", "DYN_ODIV_SEL": "false"}.items() <= found.items()
    assert {"CLKIN": "i", "CLKOUT": "o", "LOCK": "locked", "RESET": "0", "RESET_P": "0"}.items() <= found.items()
