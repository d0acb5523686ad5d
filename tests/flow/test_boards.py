"""From a design to a bitstream with the open tools."""

import json
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow import flow
from xnorflow.boards.loader import load_board
from xnorflow.cli import main
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, save_folding
from xnorflow.compiler.storage.network_file import save_network
from xnorflow.config import dump_yaml, to_mapping
from xnorflow.errors import HardwareError, ToolError, UsageError
from xnorflow.flow.boards import Used, _is_full, _slowest
from xnorflow.hdl.tools import yowasp


@pytest.fixture
def network(tmp_path: Path) -> Path:
    save_network(random_network([16, 8, 4]), tmp_path / "network.safetensors")
    return tmp_path / "network.safetensors"


@pytest.mark.slow
def test_a_bitstream_for_an_ice40(network: Path, tmp_path: Path) -> None:
    design = flow.generate(network, board="icebreaker", out=tmp_path / "design").design
    said: list[str] = []
    result = flow.build(design.path, progress=said.append)
    assert said == ["yosys: synthesis", "nextpnr-ice40", "icepack"]
    assert result.bitstream.read_bytes()[:4] == b"\xff\x00\x00\xff"  # the preamble that the device waits for
    assert result.fmax_hz > result.clock_hz == 12_000_000
    assert result.frames_per_s == 12_000_000 / design.manifest.initiation_interval
    assert 0 < result.resources["LUT"].used < 2000
    assert result.resources["LUT"].available == result.resources["FF"].available == 5280
    assert list(result.resources) == ["LUT", "FF", "BRAM", "DSP"]
    assert 300 < result.resources["FF"].used < result.resources["LUT"].used
    assert result.resources["BRAM"].available == 30


@pytest.mark.slow
def test_what_does_not_fit_names_the_layer(tmp_path: Path) -> None:
    """200 kbit of weights in block RAM, of which an iCE40UP5K has 120."""
    network = random_network([512, 400, 4])
    save_network(network, tmp_path / "network.safetensors")
    layers = {"dense0": LayerFold(1, 16, Memory.BLOCK), "dense1": LayerFold(1, 16, Memory.LUT)}
    save_folding(Folding(layers), tmp_path / "folding.yaml")
    flow.generate(
        tmp_path / "network.safetensors",
        board="icebreaker",
        folding=tmp_path / "folding.yaml",
        out=tmp_path / "design",
    )
    message = r"does not fit on icebreaker: layer 'dense0' takes most block RAM, and folding .*; nextpnr-ice40 failed"
    with pytest.raises(HardwareError, match=message):
        flow.build(tmp_path / "design")


@pytest.mark.slow
def test_a_clock_that_is_too_fast_is_said_with_the_slowest_path(network: Path, tmp_path: Path) -> None:
    board = to_mapping(load_board("icebreaker")) | {
        "name": "mine",
        "clock": {"hz": 96_000_000, "oscillator_hz": 12_000_000, "pll": True},
    }
    (tmp_path / "mine.yaml").write_text(dump_yaml(board))
    flow.generate(network, board=str(tmp_path / "mine.yaml"), out=tmp_path / "design")
    message = (
        r"stands \d+\.\d MHz, the clock of mine has 96 MHz: the slowest path is in \w+.*; generate the design with"
    )
    with pytest.raises(HardwareError, match=message):
        flow.build(tmp_path / "design")


@pytest.mark.slow
def test_an_estimate_for_a_board_without_open_tools(
    network: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = flow.generate(network, board="pynq-z1", out=tmp_path / "design").design
    assert main(["build", str(design.path)]) == 0
    said = capsys.readouterr()
    assert said.err == "yosys: synthesis\n"
    assert [line.split()[0] for line in said.out.splitlines()[2:6]] == ["LUT", "FF", "BRAM", "DSP"]
    assert "an estimate for pynq-z1 by Yosys' synthesis alone: no open tools place and route for it" in said.out
    small = to_mapping(load_board("pynq-z1")) | {"budget": {"lut": 100, "ff": 100, "bram_kbit": 36, "dsp": 1}}
    (design.path / "board.yaml").write_text(dump_yaml(small))
    with pytest.raises(HardwareError, match=r"does not fit on pynq-z1: fold layer 'dense\d' more .* of 100, as Yosys"):
        flow.build(design.path)


def test_designs_without_a_top_are_refused(network: Path, tmp_path: Path) -> None:
    flow.generate(network, board="asic-generic", out=tmp_path / "design")
    with pytest.raises(HardwareError, match="board asic-generic: no open tools make a bitstream for none"):
        flow.build(tmp_path / "design")
    flow.generate(network, board="icebreaker", out=tmp_path / "design")
    (tmp_path / "design" / "board" / "board_top.v").unlink()
    with pytest.raises(UsageError, match="has no top for board icebreaker"):
        flow.build(tmp_path / "design")


def test_a_missing_tool_is_said(network: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flow.generate(network, board="icebreaker", out=tmp_path / "design")
    monkeypatch.setitem(yowasp.PACKAGES, "yosys", "yowasp_nowhere")
    with pytest.raises(ToolError, match=r"yowasp-nowhere is missing: pip install 'xnorflow\[fpga\]'"):
        flow.build(tmp_path / "design")


def test_what_a_report_says() -> None:
    path = {"from": {"cell": "linked.accelerator.fc2.input.read__addr_SB_DFF", "loc": [1, 1]}}
    report = {
        "critical_paths": [
            {"from": "<async>", "to": "posedge clk", "path": [{"from": {"cell": "x"}}]},
            {"from": "posedge clk", "to": "posedge clk", "path": [path]},
        ]
    }
    assert _slowest(json.loads(json.dumps(report))) == "fc2.input"
    assert _is_full("nextpnr-ice40 failed (exit 1): ERROR: Unable to place cell 'x', no Bels remaining of type LC")
    assert not _is_full("nextpnr-ice40 failed (exit 1): ERROR: Failed to open PCF file")
    assert Used(1, 2).available == 2
