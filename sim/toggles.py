"""How often each net of a mapped design toggles on real images, every result checked against the golden model."""

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..compiler.folds.folding import load_folding
from ..compiler.storage.network_file import load_network
from ..errors import HardwareError, ToolError
from ..hdl.generate import Design
from .bench_source import bench_main, render_bench
from .build import Optimization, build_model
from .interface import Interface
from .process import run_logged, tool_environment
from .vectors import write_vectors
from .verilator import VerilatorInfo

__all__ = ["Toggles", "count_toggles", "read_saif"]

_NET = re.compile(r"\((n\d+)\s(?:\s*\(T[01ZXB] \d+\))*\s*\(TC (\d+)\)")
_CYCLES = re.compile(r"(\d+) mismatches.*, (\d+) cycles")


@dataclass(frozen=True, eq=False)
class Toggles:
    """Toggles of nets over a whole run of `images` frames back to back, in `cycles` cycles, none of them wrong."""

    images: int
    cycles: int
    nets: Mapping[str, int]


def count_toggles(
    design: Design, netlist: Path, verilator: VerilatorInfo, raw: NDArray[np.generic], folder: Path
) -> Toggles:
    """Run samples (B, *input shape) through a netlist of the design that `hdl.asic.mapping` wrote, in `folder`.

    Every result is compared with the golden model. Delays are not simulated, so that glitches are not counted. Raises
    HardwareError for a wrong result, ToolError where a tool fails.
    """
    network = load_network(design.path / "network.safetensors")
    folding = load_folding(design.path / "folding.yaml", network)
    interface = replace(Interface.of(design.manifest), taps=(), buffers=())
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "run").mkdir(parents=True)
    for memory in design.rtl.glob("*.hex"):
        (folder / "run" / memory.name).symlink_to(memory.resolve())
    write_vectors(network, folding, interface, network.input_codes(raw), folder / "run" / "vectors")
    bench = folder / "bench.sv"
    bench.write_text(render_bench(interface, capacity=len(raw)))
    executable = build_model(
        verilator,
        top="bench",
        sources=[bench, netlist, design.rtl / "xnorflow_rom.v"],
        main=bench_main(),
        folder=folder / "build",
        arguments=("--trace-saif", "--x-assign", "fast", "--x-initial", "fast", "--no-assert"),
        optimization=Optimization(fast="-O0"),  # it runs for a second, and has thousands of wires to compile
    )
    log = folder / "run.log"
    log.unlink(missing_ok=True)
    command = [str(executable.resolve()), f"+images={len(raw)}", "+layers=0", "+quick"]
    run_logged(command, cwd=folder / "run", environment=tool_environment({}), log=log)
    found = _CYCLES.search(log.read_text(errors="replace"))
    if found is None:
        raise ToolError(f"the simulation of {netlist} broke off (log: {log})")
    if "PASS" not in log.read_text():
        raise HardwareError(f"{netlist} disagrees with the golden model: {log.read_text().strip()}")
    return Toggles(len(raw), int(found[2]), read_saif(folder / "run" / "toggles.saif"))


def read_saif(file: Path) -> dict[str, int]:
    """Toggle counts of the nets called n<number> in a SAIF file; ToolError if there is none."""
    nets = {name: int(count) for name, count in _NET.findall(file.read_text())}
    if not nets:
        raise ToolError(f"{file} names no nets: Verilator wrote another format than expected")
    return nets
