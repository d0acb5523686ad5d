"""Component benches: one Amaranth component, its Verilog, and the cocotb tests of a module."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from amaranth.lib import wiring

from ..errors import UsageError
from ..hdl.verilog_text import to_verilog
from .build import Optimization
from .runner import build_cocotb, run_cocotb
from .streams import PARAMETERS_VARIABLE
from .verilator import find_verilator

__all__ = ["JSON", "run_bench"]

JSON: TypeAlias = "None | bool | int | float | str | Sequence[JSON] | Mapping[str, JSON]"

_PORT = re.compile(r"^  (?:input|output|inout) (?:\[\d+:\d+\] )?(\w+);$", re.MULTILINE)


def run_bench(
    component: wiring.Component,
    test_module: str,
    *,
    build_dir: Path,
    name: str,
    parameters: Mapping[str, JSON] | None = None,
    memories: Mapping[str, str] | None = None,
    waves: bool = False,
) -> None:
    """Convert `component` to a Verilog module `name`, build it, and run the cocotb tests of `test_module` on it.

    build_dir: folder of this bench (created; kept for a look afterwards); parameters: reach the tests through
    `streams.bench_parameters()`; memories: file name -> text, written beside the simulation for `$readmemh`; waves:
    leave build_dir/<name>.vcd. Raises HardwareError with cocotb's messages when a test fails, ToolError when a tool
    is missing or fails.
    """
    if not re.fullmatch(r"[A-Za-z]\w*", name):
        raise UsageError(f"a bench's name must be an identifier, not {name!r}")
    verilator = find_verilator()
    build_dir.mkdir(parents=True, exist_ok=True)
    text, _ = to_verilog(component, name)
    source = build_dir / f"{name}.v"
    source.write_text(text)
    for file_name, content in (memories or {}).items():
        (build_dir / file_name).write_text(content)
    own = Path(__file__).parent.parent / "hdl" / "verilog"
    executable = build_cocotb(
        verilator,
        top=name,
        ports=_PORT.findall(text[text.index(f"module {name}(") :].partition("endmodule")[0]),
        sources=[source, *sorted(own.glob("*.v"))],
        folder=build_dir / "build",
        waves=waves,
        optimization=Optimization(),
    )
    run_cocotb(
        executable,
        test_module,
        folder=build_dir,
        environment={PARAMETERS_VARIABLE: json.dumps(parameters or {})},
        waves=build_dir / f"{name}.vcd" if waves else None,
    )
