"""train-duo and duo-results: a small recipe through its stages, and what is printed of it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from xnorflow.cli import main


def test_both_stages_then_more_of_them_then_what_they_came_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["train-duo", "digits-duo", "--out", str(tmp_path), "--set", "epochs=1", "--set", "duo.epochs=1"]
    assert main(quick) == 0
    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert "will not reach hardware" not in captured.err
    assert [line.split()[:3] for line in lines[2:]] == [["coupled", "1", "1"], ["decoupled", "1", "1"]]
    assert main([*quick, "--stages", "baseline, coupled", "--resume", "--json"]) == 0
    stages = json.loads(capsys.readouterr().out)["stages"]
    assert [(item["stage"], item["result"]["epochs"]) for item in stages] == [("baseline", 2), ("coupled", 1)]
    assert main(["duo-results", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert [line.split()[0] for line in text.splitlines()[2:5]] == ["baseline", "coupled", "decoupled"]
    assert "decoupled - baseline: " in text and "samples, seed1; 95 % interval over samples" in text
    assert main(["duo-results", str(tmp_path), "--json", "--split", "test"]) == 0
    assert json.loads(capsys.readouterr().out)["gains"][0]["paired"]["over_pairs"] is None


def test_torchruns_processes_share_both_stages_and_one_of_them_speaks(tmp_path: Path) -> None:
    """The second stage meets where the first did; it begins with what the first process wrote."""
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "xnorflow"]
    short = ["--set", "epochs=1", "--set", "duo.epochs=1"]
    done = subprocess.run(
        [*start, "train-duo", "digits-duo", "--out", str(tmp_path), *short],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()[2:]] == ["coupled", "decoupled"]
    assert done.stderr.count("it begins by computing the same") == 1


def test_a_stage_that_cannot_reach_hardware_is_told_of_before_it_trains(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    floats = ["--set", "model.weights.kind=float", "--set", "epochs=1", "--stages", "coupled"]
    assert main(["train-duo", "digits-duo", "--out", str(tmp_path), *floats]) == 0
    err = capsys.readouterr().err
    told, trained = err.index("will not reach hardware"), err.index("epoch 1/1")
    assert told < trained


def test_wrong_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-duo", "digits", "--out", str(tmp_path / "run")]) != 0
    assert capsys.readouterr().err == (
        "xnorflow: error: recipe digits has no duo: section, which says how the decoupled network is tuned\n"
    )
    assert main(["duo-results", str(tmp_path), "--split", "all"]) != 0
    assert "--split takes train, validation or test, not 'all'" in capsys.readouterr().err


def test_gradient_mismatch_prints_a_table_and_writes_both_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = ["gradient-mismatch", "digits", "--out", str(tmp_path), "--coordinates", "30", "--images", "10"]
    assert main([*small, "--surrogates", "identity, reste", "--variable", "weights"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + 3 * 4 + 1
    assert "weights, eps 0.5, BatchNorm in eval mode, 10 images of train" in lines[-1]
    assert {path.name for path in tmp_path.iterdir()} == {"mismatch.json", "mismatch.png"}
    assert main([*small, "--surrogates", "nothing"]) != 0
    assert "--surrogates takes clipped, identity" in capsys.readouterr().err
    assert main([*small, "--variable", "codes"]) != 0
    assert "--variable takes inputs or weights, not 'codes'" in capsys.readouterr().err


def test_inspect_of_a_recipe_shows_a_stage_before_it_is_trained(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", "digits-duo", "--stage", "decoupled"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:6]] == ["conv1", "conv2", "fc1", "fc2"]
    assert "W1 A1" in lines[3] and lines[7].startswith("total")
    assert main(["inspect", "digits", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["layers"][0]["weight_bits"] == 1
    assert main(["inspect", "digits-duo", "--stage", "other"]) != 0
    assert "--stage takes baseline, coupled, tuned or decoupled, not 'other'" in capsys.readouterr().err
    assert main(["inspect", "some.safetensors", "--stage", "coupled"]) != 0
    assert "--stage is for a recipe; some.safetensors is a network already" in capsys.readouterr().err
