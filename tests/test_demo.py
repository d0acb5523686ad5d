"""The demo: the whole road, and that it leaves alone what is not its own."""

from pathlib import Path

import pytest

from xnorflow.cli import main

USAGE = 2


def test_a_run_that_is_not_the_demos_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "precious").write_text("weeks of training")
    assert main(["demo", "--out", str(tmp_path)]) == USAGE
    assert "was not made by the demo" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["precious", "run"]


@pytest.mark.slow
def test_the_demo_ends_with_what_it_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "recipe.yaml").write_text("an earlier demo's\n")
    (tmp_path / ".xnorflow-demo").write_text("")
    assert main(["demo", "--out", str(tmp_path)]) == 0
    printed, told = capsys.readouterr()
    assert [line[:3] for line in told.splitlines() if line[1] == "/"] == ["1/6", "2/6", "3/6", "4/6", "5/6", "6/6"]
    lines = dict(line.split(maxsplit=1) for line in printed.splitlines() if line)
    assert lines["hardware"].startswith("358 images without and 358 with random stalls, 4 layers checked, 0 mismatches")
    assert lines["PyTorch"].endswith(", 0 disagreements")
    measured, bound = lines["cycles"].removeprefix("an image").split(" measured, bound ")
    assert float(measured) == float(bound)
    assert float(lines["accuracy"].split("%")[0]) > 92  # six seeds: 93.0 to 94.7 %
    assert Path(lines["report"]).stat().st_size > 10_000
    assert (Path(lines["Verilog"]) / "accelerator.v").exists()
