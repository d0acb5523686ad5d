"""Running cocotb tests on a built simulation: quiet unless something fails."""

import logging
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO
from xml.etree import ElementTree

from cocotb_tools import config
from cocotb_tools import runner as cocotb_runner

from ..errors import HardwareError, ToolError
from .build import Optimization, build_model, public_ports
from .process import run_logged, tool_environment
from .verilator import VerilatorInfo

__all__ = ["build_cocotb", "run_cocotb"]


class _Runner(cocotb_runner.Verilator):  # type: ignore[misc]  # cocotb_tools is skipped by our mypy settings
    """cocotb's runner for its environment variables; our own build, and children that die with us."""

    def _execute_cmds(
        self, cmds: Sequence[list[str]], cwd: "cocotb_runner.PathLike", stdout: TextIO | None = None
    ) -> None:
        for command in cmds:
            log = Path(str(self.log_file))
            status = run_logged(command, cwd=Path(cwd), environment=tool_environment(self.env), log=log)
            if status != 0:  # cocotb goes on to the results when it sees this exception
                raise subprocess.CalledProcessError(status, command)


def build_cocotb(
    verilator: VerilatorInfo,
    *,
    top: str,
    ports: Sequence[str],
    sources: Sequence[Path],
    folder: Path,
    arguments: Sequence[str] = (),
    parameters: Mapping[str, int] | None = None,
    waves: bool = False,
    optimization: Optimization,
    main: Path | None = None,
) -> Path:
    """Build `top` for cocotb with nothing but `ports` visible to it; return the executable.

    main: the C++ main program, cocotb's own unless given. cocotb's runner makes every signal public
    (`--public-flat-rw`), which costs most of the speed; hence our own command line. Raises ToolError.
    """
    folder.mkdir(parents=True, exist_ok=True)
    control = folder / "public.vlt"
    control.write_text(public_ports(top, ports))
    libraries = config.libs_dir
    return build_model(
        verilator,
        top=top,
        sources=[control, *sources],
        main=main or config.share_dir / "lib" / "verilator" / "verilator.cpp",
        folder=folder,
        arguments=["--vpi", *arguments],
        parameters=parameters,
        link=[f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"],
        waves=waves,
        optimization=optimization,
    )


def run_cocotb(
    executable: Path,
    test_module: str,
    *,
    folder: Path,
    environment: Mapping[str, str] | None = None,
    plusargs: Sequence[str] = (),
    waves: Path | None = None,
) -> None:
    """Run the cocotb tests of `test_module` (importable from this process's sys.path) on `executable` in `folder`.

    Output goes to folder/cocotb.log, results to folder/results.xml, a waveform to `waves` where the executable was
    built with tracing. Raises HardwareError with the tests that failed and why, ToolError if the simulation died.
    """
    top = executable.name
    log, results = folder / "cocotb.log", folder / "results.xml"
    log.unlink(missing_ok=True)
    runner = _Runner()
    runner.log.setLevel(logging.CRITICAL + 1)  # failures are reported by the exception below
    died = 0
    try:
        runner.test(
            test_module=test_module,
            hdl_toplevel=top,
            hdl_toplevel_lang="verilog",
            build_dir=executable.parent,
            test_dir=folder,
            results_xml=str(results.resolve()),
            test_args=["--trace"] if waves is not None else [],
            plusargs=list(plusargs),
            extra_env=dict(environment or {}),
            log_file=log,
        )
    except SystemExit as stop:  # how cocotb's runner says that something failed
        died = stop.code if isinstance(stop.code, int) else 1
    if waves is not None and (folder / "dump.vcd").is_file():
        (folder / "dump.vcd").replace(waves)
    _raise_failures(results, log, died)


def _raise_failures(results: Path, log: Path, died: int) -> None:
    if not results.is_file():
        lines = log.read_text(errors="replace").splitlines()
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        raise ToolError(f"the simulation ended without a result (exit {died}): {last} (log: {log})")
    cases = ElementTree.parse(results).getroot().findall("testsuite/testcase")
    failures = [
        f"{case.get('name')}: {(problem.text or problem.get('message') or 'failed').strip()}"
        for case in cases
        for problem in case
        if problem.tag in ("failure", "error")
    ]
    if failures or not cases:
        text = "\n".join(failures) or "no test was found"
        raise HardwareError(f"cocotb: {text}\n(log: {log})")
    if died:
        raise ToolError(f"the simulation passed its tests and then died (exit {died}); log: {log}")
