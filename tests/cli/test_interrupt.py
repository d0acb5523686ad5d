"""Ctrl-C, SIGTERM and full disks: one line, the right exit code, and what was written before stays."""

import errno
import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from xnorflow.cli import main

DATA, INTERRUPTED = 3, 130


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until the process has written `path`; its own end is a failure."""
    while not path.exists():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_training_stops_in_one_line_and_goes_on(sent: signal.Signals, interruptible: list[str], tmp_path: Path) -> None:
    arguments = [*interruptible, "train", "digits", "--out", "run", "--epochs", "2000"]
    with subprocess.Popen(arguments, cwd=tmp_path, text=True, stdout=-1, stderr=-1, start_new_session=True) as process:
        wait_for(tmp_path / "run" / "checkpoint.safetensors", process)
        process.send_signal(sent)
        printed, complained = process.communicate(timeout=120)
    assert (process.returncode, printed) == (INTERRUPTED, "")
    last = complained.splitlines()[-1]
    assert last.startswith("xnorflow: error: training interrupted")
    assert "--resume" in last
    assert "Traceback" not in complained
    epochs = [json.loads(line)["epoch"] for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert epochs == list(range(1, len(epochs) + 1))


def test_an_interrupt_anywhere_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], network_file: Path
) -> None:
    from xnorflow import flow

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(flow, "inspect_file", interrupted)
    assert main(["inspect", str(network_file)]) == INTERRUPTED
    assert capsys.readouterr().err == "xnorflow: error: interrupted; what was written before is intact\n"


@pytest.mark.parametrize("writes", [0, 1, 7])
def test_a_full_disk_leaves_the_earlier_design(
    writes: int,
    network_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    command = ["generate", str(network_file), "--out", str(tmp_path / "design")]
    assert main(command) == 0
    earlier = contents(tmp_path)
    left = iter(range(writes))

    def fsync(_: int) -> None:
        if next(left, None) is None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("xnorflow.files.os.fsync", fsync)
    capsys.readouterr()
    assert main([*command, "--fps", "1000000"]) == DATA
    out, complained = capsys.readouterr()
    assert out == "" and complained.startswith(f"xnorflow: error: No space left on device: {tmp_path}/design/")
    assert contents(tmp_path) == earlier


def test_a_disk_that_fills_at_the_very_end_leaves_the_earlier_design(
    network_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ["generate", str(network_file), "--out", str(tmp_path / "design")]
    assert main(command) == 0
    earlier = contents(tmp_path)

    def write_bench(_: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("xnorflow.sim.design_bench.write_bench", write_bench)
    assert main([*command, "--fps", "1000000"]) == DATA
    assert contents(tmp_path) == earlier


def contents(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_folder_without_permission_is_one_line(
    network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("in the way")
    assert main(["generate", str(network_file), "--out", str(tmp_path / "file" / "design")]) == DATA
    assert capsys.readouterr().err == f"xnorflow: error: File exists: {tmp_path / 'file'}\n"
