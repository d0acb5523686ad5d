"""From a float run to an int8 network in one file, and what of it the command line shows."""

from pathlib import Path

import pytest

from xnorflow import compile_run, evaluate
from xnorflow.cli import main
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.flow import train


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three epochs of the digits' float twin."""
    folder = tmp_path_factory.mktemp("runs") / "digits-float"
    train("digits-float", out=folder, epochs=3)
    return folder


def test_an_int8_network_is_nearly_as_good_as_its_float_run(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "int8.safetensors"
    assert main(["compile", str(run), "--int8", "--calibrate", "200", "--out", str(file)]) == 0
    assert "act1: 255 levels by multiply, add and shift: multipliers of 18 bits" in capsys.readouterr().out
    about = load_network(file).provenance
    assert about["quantization"] == "int8 after training, calibrated on 200 training images"
    result = evaluate(file)
    assert result.images == 358
    assert abs(result.accuracy - float(about["test_accuracy"])) < 0.02 and result.accuracy > 0.85


def test_the_same_run_gives_the_same_file(run: Path, tmp_path: Path) -> None:
    first, second = (compile_run(run, tmp_path / name, int8=True) for name in ("a.safetensors", "b.safetensors"))
    assert first.sha256 == second.sha256
    fewer = compile_run(run, tmp_path / "c.safetensors", int8=True, calibrate=5)
    assert fewer.sha256 != first.sha256


def test_float_runs_and_others_are_told_apart(run: Path) -> None:
    with pytest.raises(UnsupportedLayerError, match="FloatWeights, which are no integers; use BinaryWeights or --int8"):
        compile_run(run)
    with pytest.raises(UsageError, match="calibration images must be positive, not 0"):
        compile_run(run, int8=True, calibrate=0)
