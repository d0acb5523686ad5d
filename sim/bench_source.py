"""Rendering the bench: SystemVerilog around one accelerator, stimulus and checkers inside."""

import math
from importlib import metadata
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from .interface import Interface, Stream

__all__ = ["BENCH_PORTS", "bench_main", "cocotb_main", "long_stall", "render_bench", "render_makefile", "watchdog"]

# What cocotb sees of the bench.
BENCH_PORTS = (
    *("clk", "rst", "start", "layers", "images", "source_seed", "sink_seed", "waves_from", "waves_to"),
    *("done", "hang", "mismatches", "cycle"),
)

_LOGGED = 4  # differing beats that each checker writes down; it counts all of them


def render_bench(interface: Interface, *, capacity: int) -> str:
    """The bench's SystemVerilog; capacity: frames its memories hold unless CAPACITY is overridden."""
    result = Stream("result", "result", 1, 1, interface.result_width + 1, interface.result_width + 1)
    return (
        _templates()
        .get_template("bench.sv.j2")
        .render(
            version=metadata.version("xnorflow"),
            module=interface.module,
            input=interface.input,
            checked=[result, *interface.taps],
            buffers=interface.buffers,
            idle=interface.idle,
            weights=interface.weights,
            result_width=interface.result_width,
            capacity=capacity,
            logged=_LOGGED,
            long_stall=long_stall(interface),
            watchdog=watchdog(interface),
            drain=2 * interface.bound + 64,
        )
    )


def long_stall(interface: Interface) -> int:
    """Cycles of the longest stalls: buffers of several frames run full, and back-pressure reaches the first engines."""
    return 1 << min(16, math.ceil(math.log2(8 * interface.bound + 32)))


def watchdog(interface: Interface) -> int:
    """Cycles without a transfer at either port after which the accelerator hangs."""
    return 4 * (interface.cycles + interface.input.beats) + 4 * long_stall(interface) + 1000


def render_makefile(*, images: int) -> str:
    """The Makefile that runs the bench with Verilator alone, over that many frames."""
    return _templates().get_template("Makefile.j2").render(images=images)


def bench_main() -> Path:
    """The C++ main program that runs the bench without cocotb."""
    return Path(__file__).parent / "bench" / "main.cpp"


def cocotb_main() -> Path:
    """The C++ main program that runs the bench under cocotb, with a clock of its own."""
    return Path(__file__).parent / "bench" / "cocotb_main.cpp"


def _templates() -> Environment:
    return Environment(
        loader=PackageLoader("xnorflow.sim", "bench"),
        undefined=StrictUndefined,
        trim_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Verilog and make, not HTML
    )
