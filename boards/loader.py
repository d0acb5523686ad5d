"""Boards as data: one YAML file per board, checked into frozen dataclasses."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

from ..config import from_mapping, load_yaml, nearest
from ..errors import UsageError
from .pll import PllSetting, pll_kind, solve_pll

__all__ = ["DEFAULT_BOARD", "Board", "Budget", "Clock", "Family", "Interface", "Pins", "list_boards", "load_board"]

DEFAULT_BOARD = "pynq-z1"

_FOLDER = Path(__file__).parent
_HZ_MIN, _HZ_MAX = 1_000, 1_000_000_000
_BAUD_MIN, _BAUD_MAX = 300, 12_000_000


class Family(StrEnum):
    """Device families, named as synthesis knows them."""

    ICE40 = "ice40"
    ECP5 = "ecp5"
    GOWIN = "gowin"
    XILINX7 = "xilinx7"
    XILINX_US_PLUS = "xilinx-us+"
    ASIC = "asic"

    @property
    def lut_inputs(self) -> int | None:
        """Inputs of the family's look-up table; None where there is none."""
        if self is Family.ASIC:
            return None
        return 6 if self in (Family.XILINX7, Family.XILINX_US_PLUS) else 4


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock the accelerator runs on (hz), and the oscillator it comes from where a PLL makes it."""

    hz: int
    oscillator_hz: int | None = None
    pll: bool = False

    def __post_init__(self) -> None:
        for name, value in (("hz", self.hz), ("oscillator_hz", self.oscillator_hz)):
            if value is not None and not _HZ_MIN <= value <= _HZ_MAX:
                raise UsageError(f"{name} must lie between {_HZ_MIN} and {_HZ_MAX}, not {value}")
        if not self.pll and self.oscillator_hz not in (None, self.hz):
            raise UsageError(f"{self.hz} Hz from an oscillator of {self.oscillator_hz} Hz needs pll: true")
        if self.pll and self.oscillator_hz is None:
            raise UsageError("pll: true needs oscillator_hz, what the PLL is fed with")


@dataclass(frozen=True, slots=True)
class Budget:
    """What the device has: look-up tables, flip-flops, kilobits of initialisable block RAM, 18-bit multipliers."""

    lut: int
    ff: int
    bram_kbit: int
    dsp: int

    def __post_init__(self) -> None:
        for name in ("lut", "ff"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name} must be positive, not {getattr(self, name)}")
        for name in ("bram_kbit", "dsp"):
            if getattr(self, name) < 0:
                raise UsageError(f"{name} must not be negative, not {getattr(self, name)}")


@dataclass(frozen=True, slots=True)
class Interface:
    """How the board's top talks to the outside: a UART, a processor's AXI bus, or nothing (the bare accelerator).

    baud: of a UART, as the clock can make it.
    """

    kind: Literal["uart", "axi", "none"] = "none"
    baud: int | None = None

    def __post_init__(self) -> None:
        if (self.kind == "uart") != (self.baud is not None):
            raise UsageError(f"interface {self.kind} {'needs' if self.kind == 'uart' else 'takes no'} baud")
        if self.baud is not None and not _BAUD_MIN <= self.baud <= _BAUD_MAX:
            raise UsageError(f"baud must lie between {_BAUD_MIN} and {_BAUD_MAX}, not {self.baud}")


@dataclass(frozen=True, slots=True)
class Pins:
    """Where the board's top is connected: the clock, and the UART as the device sees it (it receives at rx).

    standard: the input/output standard, in the words of the family's tools.
    """

    clock: str
    rx: str
    tx: str
    standard: str

    def __post_init__(self) -> None:
        used = (self.clock, self.rx, self.tx)
        if not all(used) or len(set(used)) != len(used):
            raise UsageError(f"clock, rx and tx must be three different pins, not {', '.join(map(repr, used))}")


@dataclass(frozen=True, slots=True)
class Board:
    """One board: its device, clock, budget (None for an ASIC alone), interface and default way to count bits.

    part: the device as the family's tools want it named, where device and package do not say it. pins: of a board
    with a UART. popcount is a `compiler.folding.Popcount` by value; "lut6" needs a family with 6-input LUTs.
    """

    name: str
    title: str
    vendor: str
    family: Family
    device: str
    package: str
    clock: Clock
    budget: Budget | None = None
    interface: Interface = Interface()
    part: str | None = None
    pins: Pins | None = None
    popcount: Literal["adders", "lut6"] = "adders"

    def __post_init__(self) -> None:
        if not self.name:
            raise UsageError("name must not be empty")
        if self.budget is None and self.family is not Family.ASIC:
            raise UsageError(f"missing budget (lut, ff, bram_kbit, dsp): family {self.family} has a fixed size")
        if self.interface.kind == "uart" and self.pins is None:
            raise UsageError("missing pins (clock, rx, tx, standard): interface uart needs them")
        if self.clock.pll:
            _ = self.pll  # says what is impossible
        if self.popcount == "lut6" and self.family.lut_inputs != 6:
            raise UsageError(f"popcount lut6 needs a family with 6-input LUTs; {self.family} has none, use adders")

    @property
    def pll(self) -> PllSetting | None:
        """How a PLL makes the clock, None where the oscillator is the clock.

        UsageError where the open tools know no PLL of the device, or it cannot make this clock.
        """
        if not self.clock.pll or self.clock.oscillator_hz is None:
            return None
        kind = pll_kind(self.family, self.device, self.package, self.pins.clock) if self.pins else None
        if kind is None:
            raise UsageError(f"no PLL of {self.device} is known behind pins: leave out pll and give its clock as hz")
        return solve_pll(kind, self.clock.oscillator_hz, self.clock.hz)

    @property
    def hz(self) -> int:
        """The clock that the accelerator really has, to a whole Hz: a PLL comes within 1 % of what is asked for."""
        setting = self.pll
        return self.clock.hz if setting is None else round(setting.hz)


def load_board(name_or_path: str | Path) -> Board:
    """The shipped board of that name, or the board in that YAML file; UsageError if there is none or it is wrong."""
    text = str(name_or_path)
    if isinstance(name_or_path, Path) or text.endswith((".yaml", ".yml")) or "/" in text:
        return _read(Path(name_or_path))
    names = [path.stem for path in _shipped()]
    if text not in names:
        raise UsageError(
            f"no board named {text!r}; did you mean {nearest(text, names)!r}? "
            f"(boards: {', '.join(names)}, or the path of a YAML file)"
        )
    return _read(_FOLDER / f"{text}.yaml")


def list_boards() -> tuple[Board, ...]:
    """All shipped boards, by name."""
    return tuple(_read(path) for path in _shipped())


def _shipped() -> list[Path]:
    return sorted(_FOLDER.glob("*.yaml"))


def _read(path: Path) -> Board:
    return from_mapping(Board, load_yaml(path), str(path))
