"""From Verilog to a simulation program: Verilator, then make, with Verilator's own run time compiled only once."""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ToolError
from ..hdl.tools.netlist import CellModels
from .process import run_logged, tool_environment
from .verilator import VerilatorInfo

__all__ = ["Optimization", "build_model", "cell_arguments", "first_error", "public_ports"]

_PREFIX = "Vtop"
# Makefile variables on which Verilator's run time depends: all but the lists of this design's files.
_RUNTIME_SETTING = re.compile(r"(VM_(?!CLASSES_|SUPPORT_|USER_(CLASSES|DIR|LDLIBS))\w+|VERILATOR_ROOT) *\+?=")


@dataclass(frozen=True, slots=True)
class Optimization:
    """C++ optimisation: `fast` for what runs every cycle, `slow` for start-up code, `runtime` for Verilator's own."""

    fast: str = "-O1"
    slow: str = "-O0"
    runtime: str = "-O2"

    @property
    def make_variables(self) -> tuple[str, ...]:
        """Definitions for make's command line."""
        return (f"OPT_FAST={self.fast}", f"OPT_SLOW={self.slow}", f"OPT_GLOBAL={self.runtime}")


def public_ports(top: str, ports: Iterable[str]) -> str:
    """A Verilator control file that opens those ports of module `top` to VPI.

    Everything else stays hidden and can be optimised: with all signals public a design runs several times slower.
    """
    lines = ["`verilator_config", *(f'public_flat_rw -module "{top}" -var "{port}"' for port in ports)]
    return "\n".join(lines) + "\n"


def cell_arguments(models: CellModels) -> tuple[str, ...]:
    """What Verilator is told to find models of cells; those of our own are sources, and count before the library's."""
    library = models.library.resolve()
    return ("-v", str(library), f"+incdir+{library.parent}", *(f"-D{macro}" for macro in models.defines))


def build_model(
    verilator: VerilatorInfo,
    *,
    top: str,
    sources: Sequence[Path],
    main: Path,
    folder: Path,
    arguments: Sequence[str] = (),
    parameters: Mapping[str, int] | None = None,
    link: Sequence[str] = (),
    waves: bool = False,
    optimization: Optimization,
) -> Path:
    """Build the module `top` of `sources` around the C++ main program `main` inside `folder`; return the executable.

    arguments: more options for Verilator; parameters: Verilog parameters of `top`; link: linker options; waves:
    include tracing. What the tools print is kept in folder/build.log. Raises ToolError with the first error line.
    """
    folder = folder.resolve()  # the tools run inside it
    if re.search(r"\s", str(folder)):
        raise ToolError(f"make cannot build in a folder with a space in its path: {folder}; choose another one")
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "build.log"
    log.unlink(missing_ok=True)
    environment = tool_environment(verilator.environment)

    def run(command: Sequence[str], what: str) -> None:
        if run_logged(command, cwd=folder, environment=environment, log=log) != 0:
            raise ToolError(f"{what} failed: {first_error(log)} (log: {log})")

    run(
        [
            str(verilator.path),
            *("--cc", "--exe", "--Mdir", ".", "--top-module", top, "--prefix", _PREFIX, "-o", top),
            *("--timescale-override", "1ns/1ps", "-Wno-fatal", *(("--trace",) if waves else ())),
            *arguments,
            *(f"-G{name}={value}" for name, value in (parameters or {}).items()),
            *(word for option in link for word in ("-LDFLAGS", option)),
            *(str(path.resolve()) for path in (main, *sources)),
        ],
        "Verilator",
    )
    variables = (*verilator.make_variables, *optimization.make_variables)
    shared = _shared_objects(verilator, folder, optimization.runtime)
    if shared is not None and shared.is_dir():
        for item in shared.iterdir():
            shutil.copyfile(item, folder / item.name)
    jobs = min(4, os.cpu_count() or 1)
    run(["make", "-f", f"{_PREFIX}.mk", f"-j{jobs}", *variables], "the C++ build")
    if shared is not None and not shared.is_dir():
        _share(folder, shared)
    return folder / top


def first_error(log: Path) -> str:
    """The first line of a build log that reports an error, without leading marks; else its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    for line in lines:
        if line.startswith("%Error") or re.search(r"\berror:| \*\*\* ", line):
            return line.lstrip("%")
    return lines[-1] if lines else "no output"


def _shared_objects(verilator: VerilatorInfo, folder: Path, runtime: str) -> Path | None:
    """Where compiled objects of Verilator's run time with exactly these settings are kept; None: nowhere.

    They take four fifths of the build of a small bench. The place is inside the virtual environment, so that
    nothing outside it is written; without one there is no sharing.
    """
    if sys.prefix == sys.base_prefix or not os.access(sys.prefix, os.W_OK):
        return None
    compiler = subprocess.run(["g++", "--version"], capture_output=True, text=True, check=False).stdout
    makefiles = "\n".join((folder / name).read_text() for name in (f"{_PREFIX}.mk", f"{_PREFIX}_classes.mk"))
    settings = [
        " ".join(line.split())
        for line in makefiles.replace("\\\n", " ").splitlines()  # a list of objects goes over several lines
        if _RUNTIME_SETTING.match(line)
    ]
    key = hashlib.sha256("\n".join([verilator.version, str(verilator.path), compiler, runtime, *settings]).encode())
    return Path(sys.prefix) / "var" / "xnorflow" / f"verilated-{key.hexdigest()[:16]}"


def _share(folder: Path, shared: Path) -> None:
    objects = sorted(folder.glob("verilated*.o"))
    shared.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=shared.parent))
    for item in objects:
        shutil.copyfile(item, temporary / item.name)
    try:
        temporary.rename(shared)
    except OSError:  # another process was quicker: its objects are the same
        shutil.rmtree(temporary)
