"""Child processes: logged, and gone with all their children when we are interrupted."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from xnorflow.sim.process import run_logged, tool_environment


def test_output_and_status_are_kept(tmp_path: Path) -> None:
    log = tmp_path / "log"
    script = ["sh", "-c", "echo out; echo err >&2; exit 3"]
    assert run_logged(script, cwd=tmp_path, environment=os.environ, log=log) == 3
    assert run_logged(["pwd"], cwd=tmp_path, environment=os.environ, log=log) == 0
    assert log.read_text() == f"out\nerr\n{tmp_path.resolve()}\n"


def test_an_outer_make_does_not_reach_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAKEFLAGS", "-n --jobserver-auth=3,4")
    monkeypatch.setenv("KEPT", "yes")
    environment = tool_environment({"ADDED": "too"})
    assert "MAKEFLAGS" not in environment
    assert (environment["KEPT"], environment["ADDED"]) == ("yes", "too")


def test_an_interrupt_ends_the_whole_group(tmp_path: Path) -> None:
    program = (
        "import os, sys, signal; from pathlib import Path; from xnorflow.sim.process import run_logged\n"
        "from xnorflow.errors import InterruptedRunError\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a background job may start with it ignored
        "try: run_logged(['sh', '-c', 'sleep 600 & echo $! > grandchild.part; mv grandchild.part grandchild; wait'],"
        " cwd=Path.cwd(), environment=os.environ, log=Path('log'))\n"
        "except InterruptedRunError as error: print(error); sys.exit(130)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, stdout=-1, text=True) as process:
        while not (tmp_path / "grandchild").exists():
            assert process.poll() is None
            time.sleep(0.02)
        grandchild = int((tmp_path / "grandchild").read_text())
        process.send_signal(signal.SIGINT)
        printed, _ = process.communicate(timeout=60)
    assert (process.returncode, printed) == (130, "interrupted; what was written before is intact\n")
    deadline = time.monotonic() + 10
    while running(grandchild):
        assert time.monotonic() < deadline, "the grandchild lives on"
        time.sleep(0.05)


def running(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"
