"""The whole road on a very small network, by the commands alone; what --json promises; what a disagreement does."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from xnorflow.cli import main

NETWORK, HARDWARE, INTERRUPTED = 4, 5, 130
QUICK = ["--epochs", "3", "--set", "model.hidden=[12]"]


@pytest.fixture(scope="module")
def road(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with run/, network.safetensors and design/, all by commands."""
    folder = tmp_path_factory.mktemp("road")
    assert main(["train", "digits", "--out", f"{folder}/run", *QUICK]) == 0
    assert main(["compile", f"{folder}/run", "--out", f"{folder}/network.safetensors"]) == 0
    design = ["--board", "icebreaker", "--fps", "100000", "--out", f"{folder}/design"]
    assert main(["generate", f"{folder}/network.safetensors", *design]) == 0
    return folder


def one_object(capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    """The one JSON object on standard output."""
    (line,) = capsys.readouterr().out.splitlines()
    result = json.loads(line)
    assert isinstance(result, dict)
    return result


def test_train_tells_its_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["train", "digits", "--out", str(tmp_path / "run"), *QUICK, "--json"]
    assert main(command) == 0
    printed, told = capsys.readouterr()
    result = json.loads(printed)
    assert result["epochs"] == 3
    assert 0 <= result["test_accuracy"] <= 1
    assert [line.split()[0] for line in told.splitlines()] == ["epochs", "epoch", "epoch", "epoch"]
    assert main([*command, "--resume"]) == 0
    assert json.loads(capsys.readouterr().out) == result


def test_compiling_again_gives_the_same_bytes(road: Path, tmp_path: Path) -> None:
    assert main(["compile", str(road / "run"), "--out", str(tmp_path / "again.safetensors")]) == 0
    assert (tmp_path / "again.safetensors").read_bytes() == (road / "network.safetensors").read_bytes()


def test_eval_agrees_with_pytorch(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(road / "network.safetensors")
    assert main(["eval", file, "--data", "digits", "--against", str(road / "run"), "--json"]) == 0
    result = one_object(capsys)
    assert (result["images"], result["disagreements"], result["path"]) == (358, 0, "canonical")
    assert result["compared"] > 358 * (12 + 10)
    assert main(["eval", file, "--limit", "10", "--split", "train"]) == 0
    assert capsys.readouterr().out.startswith("10 images of digits train: accuracy ")


def test_eval_by_the_operators(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = str(road / "network.safetensors")
    assert main(["eval", file, "--json"]) == 0
    golden = one_object(capsys)
    assert main(["eval", file, "--device", "cpu", "--layers", "--json"]) == 0
    result = one_object(capsys)
    assert (result["accuracy"], result["device"], result["differing"]) == (golden["accuracy"], "cpu", 0)
    assert result["checked"] == 358 * (64 + 12 + 10 + 10)  # codes in, hidden codes, last accumulators, scores
    for arguments, message in (
        ([file, "--layers"], "give --device too"),
        ([file, "--device", "gpu"], "device must be cpu, cuda or cuda:N, not 'gpu'"),
        ([str(road / "run"), "--device", "cpu"], "--device and --layers go with a network file"),
    ):
        assert main(["eval", *arguments]) == 2
        assert message in capsys.readouterr().err


def test_eval_of_a_run_takes_the_weights_that_one_wants(road: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run, file = str(road / "run"), str(road / "network.safetensors")
    found = {}
    for arguments in ([run, "--weights", "real"], [run], [file]):
        assert main(["eval", *arguments, "--json"]) == 0
        found[arguments[-1]] = json.loads(capsys.readouterr().out)
    assert found[run]["accuracy"] == found[file]["accuracy"]
    assert (found[run]["weights"], found["real"]["weights"]) == ("binary", "real")
    assert main(["eval", run, "--weights", "real"]) == 0
    assert "images of digits test, real weights: accuracy" in capsys.readouterr().out
    for arguments, message in (
        ([run, "--weights", "ensemble"], "this network has none"),
        ([run, "--weights", "both"], "--weights takes binary, real or ensemble"),
        ([file, "--weights", "real"], "--weights goes with the folder of a run"),
        ([run, "--data", "digits"], "its own data set"),
        ([run, "--draws", "0"], "draws must be positive"),
    ):
        assert main(["eval", *arguments]) != 0
        assert message in capsys.readouterr().err


def test_eval_against_another_run_fails(road: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = str(tmp_path / "other")
    assert main(["train", "digits", "--out", other, *QUICK, "--seed", "7"]) == 0
    capsys.readouterr()
    command = ["eval", str(road / "network.safetensors"), "--data", "digits", "--against", other, "--json"]
    assert main(command) == NETWORK
    printed, complained = capsys.readouterr()
    assert json.loads(printed)["disagreements"] > 0
    assert complained.count("\n") == 1


def test_simulate_report_interrupt_and_mismatch(
    road: Path, interruptible: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    design = str(road / "design")
    assert main(["simulate", design, "--layers", "--json"]) == 0
    result = one_object(capsys)
    assert (result["images"], result["mismatches"], result["layers_checked"]) == (358, 0, 2)
    assert result["cycles_per_image"] == result["bound_cycles"]
    assert {"latency_cycles", "kcycles_per_s", "verilator"} <= result.keys()
    assert main(["report", design, "--run", str(road / "run"), "--json"]) == 0
    reported = one_object(capsys)
    assert {"ops", "energy", "baselines", "resources"} <= reported.keys()
    assert main(["eval", str(road / "network.safetensors"), "--data", "digits", "--json"]) == 0
    assert reported["accuracy"] == one_object(capsys)["accuracy"]
    assert (road / "design" / "report.html").read_text().startswith("<!doctype html>")

    np.save(road / "mine.npy", np.zeros((3, 8, 8)))
    assert main(["simulate", design, "--samples", str(road / "mine.npy")]) == 0
    assert capsys.readouterr().out.startswith(f"3 images: 0 mismatches ({road / 'mine.npy'})\n")
    assert main(["simulate", design, "--layers"]) == 0
    assert "0 mismatches (test images of digits)\n" in capsys.readouterr().out

    folder = road / "design" / "sim"
    earlier = {name: (folder / name).read_bytes() for name in ("result.json", "samples.json", "scores.npy")}
    command = [*interruptible, "simulate", design, "--waves"]
    with subprocess.Popen(command, text=True, stdout=-1, stderr=-1, start_new_session=True) as process:
        while not list(folder.glob("build-*-waves/*.cpp")):  # Verilator has begun to write
            assert process.poll() is None, process.communicate()
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        printed, complained = process.communicate(timeout=60)
    assert (process.returncode, printed, complained.count("\n")) == (INTERRUPTED, "", 1)
    assert earlier == {name: (folder / name).read_bytes() for name in earlier}

    weights = road / "design" / "rtl" / "fc1_weights.hex"
    first, rest = weights.read_text().split("\n", 1)
    weights.write_text(f"{int(first, 16) ^ 1:0{len(first)}x}\n{rest}")
    assert main(["simulate", design, "--images", "20", "--layers", "--stalls", "1"]) == HARDWARE
    printed, complained = capsys.readouterr()
    assert complained.splitlines()[0] == "warning: not as generated: rtl/fc1_weights.hex"
    assert complained.splitlines()[1].startswith(f"xnorflow: error: {design} disagrees with the golden model")
    assert "first_mismatch.vcd" in printed


def test_weights_and_activations_of_two_bits(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """W2A2 from the recipe to the simulated hardware."""
    run, file, design = (str(tmp_path / name) for name in ("run", "network.safetensors", "design"))
    kinds = ["weights.kind=bipolar", "weights.bits=2", "activation.kind=relu", "activation.bits=2"]
    settings = [word for kind in kinds for word in ("--set", f"model.{kind}")]
    assert main(["train", "digits", "--out", run, *QUICK, *settings]) == 0
    assert main(["compile", run, "--out", file]) == 0
    capsys.readouterr()
    assert main(["eval", file, "--data", "digits", "--against", run, "--json"]) == 0
    result = one_object(capsys)
    assert (result["images"], result["disagreements"]) == (358, 0)
    assert main(["generate", file, "--board", "icebreaker", "--fps", "50000", "--out", design]) == 0
    capsys.readouterr()
    assert main(["simulate", design, "--layers", "--stalls", "2", "--json"]) == 0
    result = one_object(capsys)
    assert (result["images"], result["mismatches"], result["layers_checked"]) == (358, 0, 2)
