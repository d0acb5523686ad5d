"""The core file of a design, read by FuseSoC itself."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from random_networks import random_network

from xnorflow import flow
from xnorflow.compiler.storage.network_file import save_network


def fusesoc(design: Path, *arguments: str) -> str:
    """What FuseSoC says of the cores in a design folder; nothing of the user's own settings is read."""
    done = subprocess.run(
        [sys.executable, "-m", "fusesoc.main", "--cores-root", ".", *arguments],
        cwd=design,
        env={**os.environ, "XDG_CONFIG_HOME": str(design.parent), "XDG_CACHE_HOME": str(design.parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def generated(folder: Path, board: str) -> Path:
    save_network(random_network([16, 8, 4]), folder / "network.safetensors")
    return flow.generate(folder / "network.safetensors", board=board, fps=1000, out=folder / "design").design.path


@pytest.mark.parametrize(
    ("board", "words"),
    [
        (
            "icebreaker",
            ["nextpnr-ice40 -l next.log --up5k --package sg48 --freq 12 --pcf ", "board_top.pcf", "icepack"],
        ),
        ("ulx3s-85f", ["nextpnr-ecp5 -l next.log --85k --package CABGA381 --speed 6 --freq 50 ", "board_top.lpf"]),
        (
            "tangnano9k",
            ["--device GW1NR-LV9QN88PC6/I5 --vopt family=GW1N-9C --freq 27 ", "board_top.cst", "gowin_pack -d GW1N-9C"],
        ),
        ("arty-a7-35t", ["board_top.xdc", "xc7a35ticsg324-1L"]),
    ],
)
def test_fusesoc_sets_up_the_bitstream(tmp_path: Path, board: str, words: list[str]) -> None:
    design = generated(tmp_path, board)
    core = yaml.safe_load((design / "xnorflow.core").read_text().removeprefix("CAPI=2:\n"))
    shown = fusesoc(design, "core", "show", core["name"])
    assert f"Name:        {core['name']}" in shown
    assert "bitstream" in shown
    fusesoc(design, "run", "--setup", "--target", "bitstream", "--build-root", str(tmp_path / "build"), core["name"])
    (folder,) = (tmp_path / "build").glob("*/bitstream")
    text = "".join(
        path.read_text() for path in folder.iterdir() if path.is_file() and path.suffix in (".yml", ".tcl", "")
    )
    for word in (*words, "board_top"):
        assert word in text, word
    memories = {path.name for path in (design / "rtl").glob("*.hex")}
    assert memories
    assert memories == {path.name for path in folder.glob("*.hex")}  # where the tools run
    assert set(core["filesets"]["rtl"]["files"][0]) == {"rtl/accelerator.v"}


def test_without_a_top_there_is_the_accelerator_alone(tmp_path: Path) -> None:
    design = generated(tmp_path, "asic-generic")
    core = yaml.safe_load((design / "xnorflow.core").read_text().removeprefix("CAPI=2:\n"))
    assert list(core["targets"]) == ["default"]
    assert core["targets"]["default"]["toplevel"] == "accelerator"
    assert "default" in fusesoc(design, "core", "show", core["name"])
