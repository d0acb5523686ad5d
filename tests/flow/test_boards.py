"""From a design to a bitstream with the open tools."""

import json
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow import flow
from xnorflow.compiler.storage.network_file import save_network
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
    assert result.resources["LUT"].available == 5280
    assert result.resources["BRAM"].available == 30


def test_designs_for_other_boards_are_refused(network: Path, tmp_path: Path) -> None:
    flow.generate(network, board="pynq-z1", out=tmp_path / "design")
    with pytest.raises(HardwareError, match="board pynq-z1: no open tools make a bitstream for xc7z020"):
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
