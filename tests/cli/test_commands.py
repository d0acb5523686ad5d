"""The commands on a small network: what they print, as tables and as one JSON object."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xnorflow.cli import main
from xnorflow.cli.output import plain, print_table
from xnorflow.compiler import golden
from xnorflow.compiler.ir import Input, InputTransform, IntegerNetwork
from xnorflow.compiler.storage.network_file import load_network, save_network

Run = Callable[..., subprocess.CompletedProcess[str]]

COMMANDS = (
    *("train", "train-duo", "duo-results", "gradient-mismatch", "recipes", "curves"),
    *("compile", "import-bnn-pynq", "inspect", "eval", "predict"),
    *("boards", "fold", "generate", "build", "run", "simulate", "compare", "fetch", "report"),
    *("demo", "doctor", "bench"),
)


def test_help_names_every_command(xnorflow: Run) -> None:
    done = xnorflow("--help")
    assert done.returncode == 0
    for command in COMMANDS:
        assert f" {command} " in done.stdout
        assert xnorflow(command, "--help").returncode == 0


def test_help_imports_nothing_heavy() -> None:
    code = "import sys; from xnorflow.cli import main; main(['--help']); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "amaranth", "matplotlib", "cocotb"} & set(done.stderr.split())


def test_version_and_lists(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("xnorflow ")
    assert main(["boards"]) == 0
    assert "pynq-z1 " in capsys.readouterr().out
    assert main(["recipes"]) == 0
    assert "digits " in capsys.readouterr().out


def test_inspect(network_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(network_file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[2:]] == ["pixels", "fc1", "act1", "fc2", "scores", "total"]
    assert main(["inspect", str(network_file), "--json"]) == 0
    table = json.loads(capsys.readouterr().out)
    assert sum(row["bytes"] for row in table["rows"]) == table["total"]["bytes"]
    assert table["total"]["weights"] == 75


def test_predict_agrees_with_the_golden_model_for_every_kind_of_file(
    network: IntegerNetwork, network_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = np.random.default_rng(0).integers(0, 256, (4, 3, 4), dtype=np.uint8)
    np.save(tmp_path / "batch.npy", raw[:2])
    np.save(tmp_path / "flat.npy", raw[2].ravel().astype(np.float32))
    Image.fromarray(raw[3]).save(tmp_path / "one.png")
    files = [str(tmp_path / name) for name in ("batch.npy", "flat.npy", "one.png")]
    assert main(["predict", str(network_file), *files, "--json"]) == 0
    predictions = json.loads(capsys.readouterr().out)["predictions"]
    trace = golden.run(network, network.input_codes(raw))
    assert [p["source"] for p in predictions] == ["batch.npy[0]", "batch.npy[1]", "flat.npy", "one.png"]
    assert [p["class_index"] for p in predictions] == trace.classes.tolist()
    assert [p["scores"] for p in predictions] == trace.scores.tolist()
    assert main(["predict", str(network_file), *files]) == 0
    line = capsys.readouterr().out.splitlines()[0]
    assert line == f"batch.npy[0]: {predictions[0]['class_name']}  scores {' '.join(map(str, trace.scores[0]))}"


def test_a_png_is_refused_where_its_pixels_would_saturate(
    network: IntegerNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, *others = network.nodes
    assert isinstance(first, Input)
    narrow = replace(network, nodes=(replace(first, transform=InputTransform(0.0, 16.0)), *others))
    save_network(narrow, tmp_path / "narrow.safetensors")
    Image.new("L", (4, 3)).save(tmp_path / "black.png")
    assert main(["predict", str(tmp_path / "narrow.safetensors"), str(tmp_path / "black.png")]) == 3
    assert "from 0 to 16" in capsys.readouterr().err


def test_predict_needs_no_torch(network_file: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "image.npy", np.zeros((3, 4), np.uint8))
    block = "import sys; sys.modules['torch'] = None; from xnorflow.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", block, "predict", str(network_file), "image.npy"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("image.npy: ")


def test_generate_says_how_it_folds(
    network_file: Path, network: IntegerNetwork, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    design = tmp_path / "design"
    assert main(["generate", str(network_file), "--out", str(design), "--board", "icebreaker", "--fps", "1000"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines()[2:4]] == ["fc1", "fc2"]
    assert "(icebreaker)" in printed
    manifest = json.loads((design / "manifest.json").read_text())
    assert manifest["source"]["board"] == "icebreaker"
    assert load_network(design / "network.safetensors").class_names == network.class_names
    assert (design / "bench").is_dir()
    again = tmp_path / "again"
    folding = str(design / "folding.yaml")
    command = ["generate", str(network_file), "--out", str(again), "--board", "icebreaker", "--folding", folding]
    assert main(command) == 0
    assert files_of(again) == files_of(design)


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_pipe_that_closes_is_no_error(network_file: Path) -> None:
    code = (
        "import os, sys; r, w = os.pipe(); os.close(r); os.dup2(w, 1); "
        "from xnorflow.cli import main; sys.exit(main(['inspect', sys.argv[1]]))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(network_file)], capture_output=True, text=True)
    assert done.stderr == ""


def test_tables_align(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("name", "n"), [("a", 1), ("long name", 1000)])
    assert capsys.readouterr().out.splitlines() == [
        "name          n",
        "---------  ----",
        "a             1",
        "long name  1000",
    ]


def test_plain_values() -> None:
    value = {"path": Path("a/b"), "pair": (np.int64(1), None), "array": np.arange(2), 3: True}
    assert plain(value) == {"path": "a/b", "pair": [1, None], "array": [0, 1], "3": True}
    with pytest.raises(TypeError, match="no JSON for object"):
        plain(object())
