"""What README.md shows works as it stands there."""

import json
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np

from xnorflow.cli.app import app

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()


def test_a_network_of_your_own_from_a_folder_outside(tmp_path: Path) -> None:
    block = README.split("## A network of your own\n\n")[1].split("\n\n[")[0]
    np.save(tmp_path / "samples.npy", np.random.default_rng(0).integers(0, 256, (20, 100), dtype=np.uint8))
    subprocess.run([sys.executable, "-c", textwrap.dedent(block)], cwd=tmp_path, check=True)
    predict = [sys.executable, "-m", "xnorflow", "predict", "mine.safetensors", "samples.npy", "--json"]
    done = subprocess.run(predict, cwd=tmp_path, check=True, capture_output=True, text=True)
    assert len(json.loads(done.stdout)["predictions"]) == 20
    assert (tmp_path / "design" / "rtl" / "accelerator.v").exists()


def test_every_command_shown_exists() -> None:
    known = {command.name for command in app.registered_commands}
    lines = [line.strip().removeprefix("$ ") for line in README.splitlines() if line.startswith("    ")]
    shown = {shlex.split(line)[1] for line in lines if line.startswith("xnorflow ")}
    assert len(shown) >= 6
    assert shown <= known


def test_the_links_lead_somewhere() -> None:
    links = [part.split(")")[0] for part in README.split("](")[1:]]
    assert links
    assert all((ROOT / link).exists() for link in links)
