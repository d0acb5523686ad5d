"""train-duo and duo-results: a small recipe through its stages, and what is printed of it."""

import json
from pathlib import Path

import pytest

from xnorflow.cli import main


def test_both_stages_then_more_of_them_then_what_they_came_to(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    quick = ["train-duo", "digits-duo", "--out", str(tmp_path), "--set", "epochs=1", "--set", "duo.epochs=1"]
    assert main(quick) == 0
    lines = capsys.readouterr().out.splitlines()
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


def test_wrong_use_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train-duo", "digits", "--out", str(tmp_path / "run")]) != 0
    assert capsys.readouterr().err == (
        "xnorflow: error: recipe digits has no duo: section, which says how the decoupled network is tuned\n"
    )
    assert main(["duo-results", str(tmp_path), "--split", "all"]) != 0
    assert "--split takes train, validation or test, not 'all'" in capsys.readouterr().err
