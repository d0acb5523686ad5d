"""Child processes: output into a log file, the whole process group gone when we are interrupted."""

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..errors import InterruptedRunError

__all__ = ["run_logged", "tool_environment"]

# An outer `make` hands its job server and flags down; our own `make` must neither wait for it nor obey them.
_INHERITED_MAKE = ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")


def tool_environment(additions: Mapping[str, str]) -> dict[str, str]:
    """This process's environment without an outer make's variables, with `additions`."""
    return {k: v for k, v in os.environ.items() if k not in _INHERITED_MAKE} | dict(additions)


def run_logged(command: Sequence[str], *, cwd: Path, environment: Mapping[str, str], log: Path) -> int:
    """Run a command, append both of its output streams to `log`, and return its exit status.

    The child leads its own process group. However we leave (Ctrl-C included) no process of that group survives;
    KeyboardInterrupt becomes InterruptedRunError.
    """
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            cwd=cwd,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            return child.wait()
        except KeyboardInterrupt:
            raise InterruptedRunError("interrupted; what was written before is intact") from None
        finally:
            if child.poll() is None:
                with suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
