"""What the open tools of a family are told about a board: constraints, and the arguments from Verilog to bitstream."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..errors import HardwareError
from .loader import Board, Family, Pins

__all__ = ["PLL_CLOCK", "Flow", "Step", "build_script", "constraints", "flow_of", "gowin_device", "vivado_script"]

PLL_CLOCK = "core_clk"
"""The net in a board's top that clocks the accelerator: the constraints name it where a PLL drives it."""


@dataclass(frozen=True, slots=True)
class Step:
    """A program of the tool flow and its arguments; {name} stands for the top's name. produces: the file it writes."""

    tool: str
    arguments: tuple[str, ...]
    produces: str


@dataclass(frozen=True, slots=True)
class Flow:
    """From Verilog to a bitstream. synth: the Yosys command that makes {name}.json; constraints: its file's name."""

    synth: str
    constraints: str
    steps: tuple[Step, ...]

    @property
    def bitstream(self) -> str:
        """The last file."""
        return self.steps[-1].produces


# What nextpnr has databases of.
_ICE40_DEVICES = ("lp1k", "lp4k", "lp8k", "hx1k", "hx4k", "hx8k", "up3k", "up5k")
_ECP5_SIZES = ("12k", "25k", "45k", "85k")
_GOWIN_FAMILIES = {"GW1NR-LV9": "GW1N-9C", "GW2AR-LV18": "GW2A-18C"}
_DEVICES: dict[Family, tuple[str, ...]] = {
    Family.ICE40: tuple(f"iCE40{name.upper()}" for name in _ICE40_DEVICES),
    Family.ECP5: tuple(f"LFE5U-{size.removesuffix('k')}F" for size in _ECP5_SIZES),
    Family.GOWIN: tuple(_GOWIN_FAMILIES),
}
_GOWIN_PLLS = {"GW1NR-LV9": "GW1NR-9C", "GW2AR-LV18": "GW2AR-18C"}


def gowin_device(board: Board) -> str:
    """What a Gowin PLL wants to be told it stands in; empty for other families."""
    return _GOWIN_PLLS.get(board.device, "")


def flow_of(board: Board) -> Flow:
    """The open flow of a board with a UART; HardwareError for families and devices that have none."""
    device = board.device.removeprefix("iCE40").lower().removesuffix("k") + "k"
    size = board.device.removeprefix("LFE5U-").removesuffix("F").lower() + "k"
    match board.family:
        case Family.ICE40 if device in _ICE40_DEVICES:
            # -dsp: UltraPlus alone has multipliers; -device: whose delays abc9 reckons with
            kind = "-dsp -abc9 -device u" if device.startswith("up") else f"-abc9 -device {device[:2]}"
            return Flow(
                f"synth_ice40 {kind}",
                "{name}.pcf",
                (
                    Step(
                        "nextpnr-ice40",
                        (
                            f"--{device}", "--package", board.package.lower(), "--json", "{name}.json",
                            "--pcf", "{name}.pcf", "--freq", _mhz(board), "--asc", "{name}.asc",
                            "--report", "{name}.report.json", "--timing-allow-fail",
                        ),
                        "{name}.asc",
                    ),
                    Step("icepack", ("{name}.asc", "{name}.bin"), "{name}.bin"),
                ),
            )  # fmt: skip
        case Family.ECP5 if size in _ECP5_SIZES:
            return Flow(
                "synth_ecp5 -nowidelut",
                "{name}.lpf",
                (
                    Step(
                        "nextpnr-ecp5",
                        (
                            f"--{size}", "--package", board.package, "--speed", "6", "--json", "{name}.json",
                            "--lpf", "{name}.lpf", "--freq", _mhz(board), "--textcfg", "{name}.config",
                            "--report", "{name}.report.json", "--timing-allow-fail",
                        ),
                        "{name}.config",
                    ),
                    Step("ecppack", ("{name}.config", "{name}.bit"), "{name}.bit"),
                ),
            )  # fmt: skip
        case Family.GOWIN if board.device in _GOWIN_FAMILIES and board.part is not None:
            family = _GOWIN_FAMILIES[board.device]
            kind = "gw2a" if family.startswith("GW2A") else "gw1n"
            return Flow(
                f"synth_gowin -family {kind} -nowidelut",
                "{name}.cst",
                (
                    Step(
                        "nextpnr-himbaechel-gowin",
                        (
                            "--device", board.part, "--vopt", f"family={family}", "--vopt", "cst={name}.cst",
                            "--json", "{name}.json", "--freq", _mhz(board), "--write", "{name}.pnr.json",
                            "--report", "{name}.report.json", "--timing-allow-fail",
                        ),
                        "{name}.pnr.json",
                    ),
                    Step("gowin_pack", ("-d", family, "-o", "{name}.fs", "{name}.pnr.json"), "{name}.fs"),
                ),
            )  # fmt: skip
    known = ", ".join(_DEVICES.get(board.family, (Family.ICE40, Family.ECP5, Family.GOWIN)))
    raise HardwareError(f"board {board.name}: no open tools make a bitstream for {board.device} (they do for {known})")


def constraints(board: Board) -> str:
    """The constraints file: where clk, rx and tx are, and how fast it is, and the clock that a PLL makes of it.

    A Gowin device's has pins alone: nextpnr takes the clock from its command line. HardwareError without pins.
    """
    pins = board.pins
    if pins is None:
        raise HardwareError(f"board {board.name} names no pins: no constraints are written")
    match board.family:
        case Family.ICE40:
            lines = [f"set_io {port} {pin}" for port, pin in _ports(pins)]
            lines += [f"set_frequency {net} {mhz}" for net, mhz in _clocks(board)]
        case Family.ECP5:
            lines = [f'LOCATE COMP "{port}" SITE "{pin}";' for port, pin in _ports(pins)]
            lines += [f'IOBUF PORT "{port}" IO_TYPE={pins.standard};' for port, _ in _ports(pins)]
            kinds = {"clk": "PORT"}
            lines += [f'FREQUENCY {kinds.get(net, "NET")} "{net}" {mhz} MHZ;' for net, mhz in _clocks(board)]
        case Family.GOWIN:
            lines = [f'IO_LOC "{port}" {pin};' for port, pin in _ports(pins)]
            lines += [f'IO_PORT "{port}" IO_TYPE={pins.standard};' for port, _ in _ports(pins)]
        case _:
            lines = [
                f"set_property -dict {{PACKAGE_PIN {pin} IOSTANDARD {pins.standard}}} [get_ports {port}]"
                for port, pin in _ports(pins)
            ]
            lines.append(f"create_clock -name clk -period {1e9 / board.hz:.3f} [get_ports clk]")
    return "\n".join(lines) + "\n"


def build_script(flow: Flow, name: str, sources: Sequence[str]) -> str:
    """The same flow as a shell script, for the tools as their makers ship them."""
    read = f"read_verilog {' '.join(sources)}; {flow.synth} -top {name} -json {name}.json"
    steps = [" ".join((step.tool, *step.arguments)).replace("{name}", name) for step in flow.steps]
    return "\n".join(("#!/bin/sh", "set -e", f'yosys -p "{read}"', *steps)) + "\n"


def vivado_script(board: Board, name: str, sources: Sequence[str]) -> str:
    """Vivado's flow without a project, `vivado -mode batch -source build.tcl`; HardwareError if no part is named."""
    if board.part is None:
        raise HardwareError(f"board {board.name} names no part (such as xc7a35ticsg324-1L), which Vivado asks for")
    return (
        "\n".join(
            (
                *(f"read_verilog {source}" for source in sources),
                f"read_xdc {name}.xdc",
                f"synth_design -top {name} -part {board.part}",
                *("opt_design", "place_design", "phys_opt_design", "route_design"),
                *(f"report_timing_summary -file {name}.timing.rpt", f"report_utilization -file {name}.utilization.rpt"),
                f"write_bitstream -force {name}.bit",
            )
        )
        + "\n"
    )


def _ports(pins: Pins) -> tuple[tuple[str, str], ...]:
    return ("clk", pins.clock), ("rx", pins.rx), ("tx", pins.tx)


def _clocks(board: Board) -> tuple[tuple[str, str], ...]:
    """Nets with a clock of their own, and its MHz."""
    if board.pll is None:
        return (("clk", _mhz(board)),)
    return ("clk", f"{board.pll.source / 1e6:.6g}"), (PLL_CLOCK, _mhz(board))


def _mhz(board: Board) -> str:
    return f"{board.hz / 1e6:.6g}"
