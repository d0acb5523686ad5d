"""The bench that goes with a design: the same bytes every time, and it runs with Verilator alone."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from xnorflow.errors import DataError, UsageError
from xnorflow.sim.design_bench import write_bench
from xnorflow.sim.verilator import find_verilator


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def make(bench: Path) -> "subprocess.CompletedProcess[str]":
    """Run it as a stranger would: no Python, no variables of ours."""
    environment = {"PATH": os.environ["PATH"], "VERILATOR": str(find_verilator().path)}
    return subprocess.run(
        ["make", "-s", "-C", str(bench)], env=environment, capture_output=True, text=True, check=False
    )


def test_runs_alone_and_fails_on_a_changed_weight(design: Path) -> None:
    bench = write_bench(design)
    run = make(bench)
    assert run.returncode == 0, run.stdout + run.stderr
    verdicts = [line for line in run.stdout.splitlines() if "images" in line]
    assert [verdict.partition(" cycles")[0].rpartition(",")[0] for verdict in verdicts] == [
        "PASS: 128 images, 0 mismatches"
    ] * 2
    assert verdicts[0] != verdicts[1]  # stalls take time
    weights = design / "rtl" / "dense2_weights.hex"
    weights.write_text(weights.read_text().translate(str.maketrans("01", "10")))
    run = make(bench)
    assert run.returncode != 0 and "FAIL: 128 images, " in run.stdout


def test_same_bytes(design: Path) -> None:
    first = contents(write_bench(design))
    assert contents(write_bench(design)) == first
    assert set(first) == {
        *("Makefile", "bench.sv", "main.cpp", "vectors/input.hex", "vectors/last.hex", "vectors/result.hex"),
        *("vectors/tap_act0.hex", "vectors/tap_act1.hex", "vectors/tap_scores.hex"),
    }
    assert not [name for name, text in first.items() if str(design).encode() in text]


def test_with_samples_of_one_s_own(design: Path, samples: NDArray[np.uint8]) -> None:
    bench = write_bench(design, raw_images=samples[:3])
    assert (bench / "vectors" / "result.hex").read_text().count("\n") == 3
    assert "+images=3" in (bench / "Makefile").read_text()


def test_what_cannot_be_benched(design: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="takes images of shape"):
        write_bench(design, raw_images=np.zeros((3, 7), dtype=np.uint8))
    with pytest.raises(UsageError, match="design folder"):
        write_bench(tmp_path)
