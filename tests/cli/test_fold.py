"""`xnorflow fold`: the table, the JSON object, the file for `generate`, and what it says where there is no room."""

import json
from pathlib import Path

import pytest

from xnorflow import flow
from xnorflow.boards.loader import load_board
from xnorflow.cli import main
from xnorflow.compiler.folds.folding import load_folding
from xnorflow.compiler.folds.solver import estimate_luts, fastest_folding, fold_for_cycles, fold_for_fps
from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.errors import UsageError


def test_the_table_marks_the_slowest(network_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fold", str(network_file), "--cycles", "20", "--board", "icebreaker"]) == 0
    printed, warned = capsys.readouterr()
    folded = flow.fold(network_file, cycles=20, board="icebreaker")
    lines = printed.splitlines()
    assert lines[0].split()[:4] == ["layer", "memory", "PE", "SIMD"]
    for line, layer in zip(lines[2:4], folded.layers, strict=True):
        assert line.split()[:7] == [layer.layer, layer.memory, *map(str, (layer.pe, layer.simd)), *line.split()[4:7]]
        assert line.endswith("slowest") == layer.bottleneck
    assert any(layer.bottleneck for layer in folded.layers)
    assert lines[4].split()[:2] == ["total", str(folded.cycles)]
    assert lines[5].startswith(f"one frame every {folded.cycles} cycles, {12_000_000 / folded.cycles:,.0f} a second")
    assert lines[6].endswith("icebreaker has 5,280 LUTs and 120 kbit of block RAM")
    assert len(warned.splitlines()) == len(folded.warnings)


def test_more_than_a_tenth_of_padding_is_warned_of(network_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fold", str(network_file), "--cycles", "14"]) == 0
    table, warned = capsys.readouterr()
    wasted = flow.fold(network_file, cycles=14).warnings
    assert warned == "".join(f"warning: {line}\n" for line in wasted)
    assert wasted
    assert main(["fold", str(network_file), "--cycles", "60"]) == 0
    assert capsys.readouterr().err == ""


def test_each_wish_is_met(network: IntegerNetwork, network_file: Path) -> None:
    board = load_board("icebreaker")
    assert flow.fold(network_file, board="icebreaker").folding == fastest_folding(network, board)
    assert flow.fold(network_file, board="icebreaker", cycles=9).folding == fold_for_cycles(network, 9, board)
    rate = flow.fold(network_file, board="icebreaker", fps=500_000)
    assert rate.folding == fold_for_fps(network, 500_000, board)
    assert rate.frames_per_second >= 500_000
    small = flow.fold(network_file, board="icebreaker", max_luts=200)
    assert small.folding == fastest_folding(network, board, 200)
    assert small.luts == estimate_luts(network, small.folding, board) <= 200
    assert small.luts_available == 5280


@pytest.mark.parametrize("wishes", [{"fps": 1.0, "cycles": 5}, {"cycles": 5, "max_luts": 10}])
def test_one_wish_at_a_time(network_file: Path, wishes: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=f"give one of fps, cycles and max_luts, not {' and '.join(wishes)}"):
        flow.fold(network_file, **wishes)


def test_json_and_the_file_for_generate(
    network_file: Path, network: IntegerNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "folding.yaml"
    assert main(["fold", str(network_file), "--cycles", "15", "--out", str(out), "--json"]) == 0
    folded = json.loads(capsys.readouterr().out)
    folding = load_folding(out, network)
    assert folded["cycles"] == initiation_interval(network, folding) <= 15
    assert folded["path"] == str(out)
    assert [(layer["layer"], layer["pe"], layer["simd"], layer["memory"]) for layer in folded["layers"]] == [
        (name, fold.pe, fold.simd, fold.memory) for name, fold in folding.layers.items()
    ]
    assert sum(layer["block_kbit"] for layer in folded["layers"]) == folded["block_kbit"]
    command = ["generate", str(network_file), "--folding", str(out), "--out", str(tmp_path / "design")]
    assert main(command) == 0
    assert load_folding(tmp_path / "design" / "folding.yaml") == folding


def test_no_room(network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = tmp_path / "small.yaml"
    board.write_text(
        "{name: small, title: Small, vendor: any, family: ice40, device: x, package: x, clock: {hz: 1000000}, "
        "budget: {lut: 690, ff: 690, bram_kbit: 8, dsp: 0}}"
    )
    out = tmp_path / "folding.yaml"
    assert main(["fold", str(network_file), "--board", str(board), "--cycles", "1", "--out", str(out)]) == 5
    message = capsys.readouterr().err
    assert "1 cycles a frame need about " in message
    assert "small has 690 and 8, 95 % of the logic cells to be counted on; layer 'fc1' alone needs " in message
    fits = int(message.split("; ")[-1].split()[0])
    assert message.endswith(f"{fits} cycles ({1_000_000 / fits:.0f} frames a second) would fit\n")
    assert message.count("\n") == 1
    assert not out.exists()
    assert main(["fold", str(network_file), "--board", str(board), "--cycles", str(fits)]) == 0
    assert main(["fold", str(network_file), "--board", str(board)]) == 0
    assert f"one frame every {fits} cycles" in capsys.readouterr().out


def test_an_asic_has_no_limits(network_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fold", str(network_file), "--board", "asic-generic", "--cycles", "4"]) == 0
    assert "asic-generic has no limits" in capsys.readouterr().out
    assert main(["fold", str(network_file), "--board", "asic-generic"]) == 2
    assert "asic-generic sets no limit" in capsys.readouterr().err
