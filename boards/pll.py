"""PLLs: which dividers make a clock from a board's oscillator, inside the limits of the device's data sheet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from ..errors import UsageError

__all__ = ["PllKind", "PllSetting", "pll_kind", "solve_pll"]

_MOST_OFF = Fraction(1, 100)  # of the clock that was asked for


@dataclass(frozen=True, slots=True)
class PllKind:
    """A device's PLL: what its dividers can be, and its limits in Hz (both ends belong to them).

    primitive: the cell. The oscillator divided by `references` is compared with what is fed back, divided by
    `feedbacks`: with feedback_from "vco" the oscillator inside, which `outputs` divides afterwards; with "output" that
    clock itself, so that the oscillator inside runs `outputs` times as fast.
    """

    primitive: str
    references: Sequence[int]
    feedbacks: Sequence[int]
    outputs: Sequence[int]
    feedback_from: str
    source: tuple[int, int]
    compared: tuple[int, int]
    vco: tuple[int, int]
    made: tuple[int, int]


@dataclass(frozen=True, slots=True)
class PllSetting:
    """Dividers of a PLL, with what comes in (source), runs inside (vco) and goes out (hz), exactly, in Hz."""

    kind: PllKind
    reference: int
    feedback: int
    output: int
    source: int
    vco: Fraction
    hz: Fraction

    @property
    def compared(self) -> Fraction:
        """The frequency of the phase detector, in Hz."""
        return Fraction(self.source, self.reference)


_MHZ = 1_000_000


def _ice40(primitive: str) -> PllKind:
    # iCE40 sysCLOCK PLL guide FPGA-TN-02052, iCE40 UltraPlus data sheet FPGA-DS-02008: table "sysCLOCK PLL timing"
    return PllKind(
        primitive=primitive,
        references=range(1, 17),
        feedbacks=range(1, 129),
        outputs=(2, 4, 8, 16, 32, 64),
        feedback_from="vco",
        source=(10 * _MHZ, 133 * _MHZ),
        compared=(10 * _MHZ, 133 * _MHZ),
        vco=(533 * _MHZ, 1066 * _MHZ),
        made=(16 * _MHZ, 275 * _MHZ),
    )


# ECP5 data sheet FPGA-DS-02012: table "sysCLOCK PLL timing". The feedback comes from the output that is used.
_ECP5 = PllKind(
    primitive="EHXPLLL",
    references=range(1, 129),
    feedbacks=range(1, 81),
    outputs=range(1, 129),
    feedback_from="output",
    source=(8 * _MHZ, 400 * _MHZ),
    compared=(3_125_000, 400 * _MHZ),
    vco=(400 * _MHZ, 800 * _MHZ),
    made=(3_125_000, 400 * _MHZ),
)
_GOWIN_OUTPUTS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


def _gowin(compared: int, vco: tuple[int, int], made: tuple[int, int]) -> PllKind:
    return PllKind(
        primitive="rPLL",
        references=range(1, 65),
        feedbacks=range(1, 65),
        outputs=_GOWIN_OUTPUTS,
        feedback_from="output",
        source=(3 * _MHZ, compared),
        compared=(3 * _MHZ, compared),
        vco=vco,
        made=made,
    )


# Gowin DS117 (GW1NR, speed C6/I5) and DS226 (GW2AR, speed C8/I7): "PLL switching characteristics"
_GOWIN = {
    "GW1NR-LV9": _gowin(400 * _MHZ, (400 * _MHZ, 1200 * _MHZ), (3_125_000, 600 * _MHZ)),
    "GW2AR-LV18": _gowin(500 * _MHZ, (500 * _MHZ, 1250 * _MHZ), (3_906_250, 625 * _MHZ)),
}
# Clock pins whose pad the PLL itself takes as its input: the pad is no ordinary input then.
_ICE40_PADS = {("iCE40UP5K", "SG48", "35")}


def pll_kind(family: str, device: str, package: str, clock_pin: str) -> PllKind | None:
    """The PLL of a device that open tools know; None where there is none."""
    match family:
        case "ice40":
            padded = (device, package, clock_pin) in _ICE40_PADS
            return _ice40("SB_PLL40_PAD" if padded else "SB_PLL40_CORE")
        case "ecp5":
            return _ECP5
        case "gowin":
            return _GOWIN.get(device)
    return None


@lru_cache(maxsize=64)
def solve_pll(kind: PllKind, source: int, hz: int) -> PllSetting:
    """The setting whose clock is nearest to `hz`; among equals the least reference divider, then the middle of the VCO.

    UsageError if the oscillator is beyond the PLL's limits, or nothing comes within 1 %: it names the nearest clocks.
    """
    least, most = kind.source
    if not least <= source <= most:
        raise UsageError(
            f"the PLL ({kind.primitive}) takes an oscillator from {_mhz(least)} to {_mhz(most)} MHz, "
            f"not of {_mhz(source)} MHz"
        )
    middle = Fraction(sum(kind.vco), 2)
    settings = list(_settings(kind, source))
    best = min(settings, key=lambda s: (abs(s.hz - hz), s.reference, abs(s.vco - middle), s.output))
    if abs(best.hz - hz) > hz * _MOST_OFF:
        below = max((s.hz for s in settings if s.hz < hz), default=None)
        above = min((s.hz for s in settings if s.hz > hz), default=None)
        named = " and ".join(_mhz(clock) for clock in (below, above) if clock is not None)
        raise UsageError(
            f"the PLL ({kind.primitive}) makes no clock within 1 % of {_mhz(hz)} MHz from {_mhz(source)} MHz; "
            f"the nearest that it makes: {named} MHz"
        )
    return best


def _settings(kind: PllKind, source: int) -> Iterator[PllSetting]:
    """All settings inside the limits."""
    for reference in kind.references:
        compared = Fraction(source, reference)
        if not kind.compared[0] <= compared <= kind.compared[1]:
            continue
        for feedback in kind.feedbacks:
            fed = compared * feedback
            for output in kind.outputs:
                vco, made = (fed, fed / output) if kind.feedback_from == "vco" else (fed * output, fed)
                if kind.vco[0] <= vco <= kind.vco[1] and kind.made[0] <= made <= kind.made[1]:
                    yield PllSetting(kind, reference, feedback, output, source, vco, made)


def _mhz(hz: int | Fraction) -> str:
    return f"{float(hz) / 1e6:.6g}"
