"""`xnorflow compare` and `fetch`: tables, one JSON object, the files of --out, and complaints of one line."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from xnorflow import flow
from xnorflow.cli import main
from xnorflow.cli.compare import print_comparison
from xnorflow.flow.compare import AsicSide
from xnorflow.hdl.tools.design_cells import DesignCells


def test_the_table_has_every_design_and_every_assumption(
    network_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(network_file)]) == 0
    printed = capsys.readouterr().out
    result = flow.compare(network_file)
    lines = printed.splitlines()
    assert lines[0].startswith(f"{network_file} on pynq-z1: one frame every {result.cycles:,} cycles")
    assert lines[2].split() == ["on", "paper,", "a", "frame", "XNOR", "int8", "MAC", "fp16", "MAC", "fp32", "MAC"]
    rows = {line[:28].strip(): line[28:].split() for line in lines[4:16]}
    assert rows["multiplications"] == [f"{rival.total.multiplications:,}" for rival in result.rivals]
    assert rows["times XNOR"] == [f"{rival.energy.ratio:.2f}" for rival in result.rivals]
    for assumption in result.assumptions:
        assert assumption.what in printed and assumption.source in printed
    assert "note: The int8 design has random weights" in printed
    assert "LUT" not in printed


def test_what_was_built_is_in_the_table(network_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    result = flow.compare(network_file)
    cells = DesignCells(1234, 56, 7, 8.5, {})
    asic = AsicSide(98765.0, 4321, 99, 777, 100, 5000.0, 2000.0, 1000.0, 2000.0)
    sides = tuple(replace(side, fpga=cells, lut_equivalent=2522.0, fmax_mhz=61.2, asic=asic) for side in result.sides)
    print_comparison(replace(result, sides=sides, library="small"))
    rows = {line[:32].strip(): line[32:].split() for line in capsys.readouterr().out.splitlines()}
    assert rows["xilinx7 LUT"] == ["1,234"] * 2
    assert rows["xilinx7 BRAM"] == ["8.5"] * 2
    assert rows["xilinx7 LUT + DSP as LUT"] == ["2,522"] * 2
    assert rows["small cells"] == ["4,321"] * 2
    assert rows["area, square micrometres"] == ["98,765"] * 2
    assert rows["energy a frame, pJ (100 images)"] == ["5,000"] * 2


def test_json_and_files(network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(network_file), "--out", str(tmp_path / "out"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rivals"][0]["name"] == "XNOR"
    assert printed["sides"][0]["fpga"] is None
    written = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert written.pop("shown")["network_hash"] == written["network_hash"]  # what a report shows of it
    assert written == printed
    assert (tmp_path / "out" / "compare.html").is_file()


def test_training_counts(network_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(network_file), "--training"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert sum(line.split()[:2] == ["BinaryConnect", "all"] for line in lines) == 1
    assert main(["compare", str(network_file), "--training", "--json"]) == 0
    methods = json.loads(capsys.readouterr().out)["methods"]
    assert [method["method"] for method in methods] == ["float", "BinaryConnect", "BNN"]
    assert methods[0]["passes"]["forward"]["multiplications"] == 12 * 5 + 5 * 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--liberty", "x.lib"], "--liberty is for --asic"),
        (["--fmax"], "Fmax is measured on ECP5 alone"),
        (["--assumptions", "missing.yaml"], "cannot read missing.yaml"),
        (["--int8", "missing.safetensors"], "missing.safetensors"),
        (["--out", __file__], "--out names a folder, but "),
        (["--training", "--int8", "x"], "--int8 is for a comparison of designs; --training counts a training step"),
        (["--training", "--asic"], "--asic is for a comparison of designs"),
    ],
)
def test_complaints_are_one_line(
    network_file: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["compare", str(network_file), *arguments]) != 0
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xnorflow: error: ") and message in line


def test_fetch_knows_one_thing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "osu019"]) == 2
    assert "known: osu018" in capsys.readouterr().err
