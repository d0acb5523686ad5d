"""Whatever is wrong with the input: one line on standard error, the domain's exit code, no traceback."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xnorflow import generate
from xnorflow.cli import main
from xnorflow.errors import UsageError

Run = Callable[..., subprocess.CompletedProcess[str]]

USAGE, DATA, NETWORK = 2, 3, 4


@pytest.fixture(autouse=True)
def files(tmp_path: Path, network_file: Path) -> None:
    """The files that the cases name, in the folder where the command runs."""
    good = network_file.read_bytes()
    (tmp_path / "good.safetensors").write_bytes(good)
    (tmp_path / "cut.safetensors").write_bytes(good[:-1])
    (tmp_path / "flip.safetensors").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    (tmp_path / "text.safetensors").write_text("hello\n")
    (tmp_path / "empty").mkdir()
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.tex").write_text("years of work\n")
    (tmp_path / "bad.yaml").write_text("a: [1\n")
    (tmp_path / "slip.yaml").write_text("layers: {}\nscore_lane: 1\n")
    (tmp_path / "board.yaml").write_text("name: mine\n")
    np.save(tmp_path / "wrong.npy", np.zeros((3, 5), np.uint8))
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    np.save(tmp_path / "nan.npy", np.full(12, np.nan))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "wrong.npy").read_bytes()[:-4])
    Image.new("L", (9, 9)).save(tmp_path / "size.png")
    Image.new("RGB", (4, 3)).save(tmp_path / "colour.png")
    (tmp_path / "cut.png").write_bytes((tmp_path / "size.png").read_bytes()[:50])


CASES = [
    ("tran", USAGE, "'train'"),
    ("train", USAGE, "RECIPE"),
    ("train no-such-recipe", USAGE, "no-such-recipe"),
    ("train bad.yaml", USAGE, "bad.yaml"),
    ("train digits --set model.hiden=3", USAGE, "hidden"),
    ("train digits --set epochs", USAGE, "KEY=VALUE"),
    ("train digits --epochs 0", USAGE, "epochs"),
    ("train digits --epochs x", USAGE, "--epochs"),
    ("train digits --device gpu", USAGE, "gpu"),
    ("train mnist-sfc --data-dir nowhere", DATA, "nowhere"),
    ("train mnist-sfc --data-dir empty", DATA, "train-images"),
    ("bench step --threads 0", USAGE, "threads"),
    ("bench cpu nowhere --threads -1", USAGE, "threads"),
    ("generate good.safetensors --pipeline 1000000", USAGE, "--pipeline"),
    ("simulate empty --stalls -1", USAGE, "--stalls"),
    ("generate good.safetensors --out thesis", USAGE, "thesis exists and is no design folder"),
    ("generate good.safetensors --out good.safetensors", USAGE, "is no design folder"),
    ("generate good.safetensors --out .", USAGE, "is no design folder"),
    ("compile nowhere", DATA, "nowhere"),
    ("compile empty", DATA, "empty"),
    ("inspect nowhere.safetensors", NETWORK, "nowhere.safetensors"),
    ("inspect empty", DATA, "empty"),
    ("inspect cut.safetensors", NETWORK, "cut.safetensors"),
    ("inspect flip.safetensors", NETWORK, "flip.safetensors"),
    ("inspect text.safetensors", NETWORK, "text.safetensors"),
    ("eval good.safetensors", USAGE, "good.safetensors does not say which data set it is for; give --data"),
    ("eval good.safetensors --data digit", USAGE, "digits"),
    ("eval good.safetensors --data digits", USAGE, "samples of"),
    ("eval good.safetensors --data digits --split tests", USAGE, "split"),
    ("eval good.safetensors --data digits --limit 0", USAGE, "positive"),
    ("predict good.safetensors", USAGE, "IMAGES"),
    ("predict good.safetensors nowhere.png", DATA, "nowhere.png"),
    ("predict good.safetensors good.safetensors", DATA, ".png"),
    ("predict good.safetensors wrong.npy", DATA, "expects 3 x 4"),
    ("predict good.safetensors objects.npy", DATA, "objects.npy"),
    ("predict good.safetensors nan.npy", DATA, "finite"),
    ("predict good.safetensors cut.npy", DATA, "cut.npy"),
    ("predict good.safetensors size.png", DATA, "expects 3 x 4"),
    ("predict good.safetensors colour.png", DATA, "grey"),
    ("predict good.safetensors cut.png", DATA, "cut.png"),
    ("generate good.safetensors --board no-such-board", USAGE, "no-such-board"),
    ("generate good.safetensors --board board.yaml", USAGE, "missing"),
    ("generate good.safetensors --folding slip.yaml", USAGE, "score_lanes"),
    ("generate good.safetensors --folding nowhere.yaml", USAGE, "nowhere.yaml"),
    ("generate good.safetensors --fps 0", USAGE, "positive"),
    ("generate good.safetensors --fps 1e12", USAGE, "100000000 Hz"),
    ("generate good.safetensors --fps 100 --folding slip.yaml", USAGE, "both"),
    ("generate good.safetensors --popcount lut7", USAGE, "lut6"),
    ("bench area --popcount lut7", USAGE, "lut6"),
    ("bench resources good.safetensors", USAGE, "--cycles or --folding"),
    ("bench resources --cycles 64", USAGE, "give networks"),
    ("bench resources good.safetensors --cycles 64 --board nowhere", USAGE, "nowhere"),
    ("generate good.safetensors --arithmetic dsp", USAGE, "planes or mac"),
    ("compile empty --int8 --calibrate 0", USAGE, "calibrate"),
    ("bench cpu nowhere", DATA, "nowhere"),
    ("bench simulation nowhere", USAGE, "nowhere"),
    ("bench generation cut.safetensors", NETWORK, "cut.safetensors"),
    ("generate cut.safetensors", NETWORK, "cut.safetensors"),
    ("simulate nowhere", USAGE, "nowhere"),
    ("simulate empty", USAGE, "empty"),
    ("simulate empty --images none", USAGE, "none"),
    ("simulate empty --stalls x", USAGE, "--stalls"),
    ("report nowhere", USAGE, "nowhere"),
]


@pytest.mark.parametrize(("command", "code", "names"), CASES, ids=[case[0] for case in CASES])
def test_one_line_and_the_right_exit_code(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: str,
    code: int,
    names: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XNORFLOW_DATA", raising=False)
    left = sorted(tmp_path.rglob("*"))
    assert main(command.split()) == code
    printed, complained = capsys.readouterr()
    (line,) = complained.splitlines()
    assert line.startswith("xnorflow: error: ")
    assert names in line
    assert printed == ""
    assert sorted(tmp_path.rglob("*")) == left  # nothing half-made stays behind


def test_python_refuses_an_unknown_popcount_as_the_command_line_does(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="popcount must be adders or lut6, not 'lut7'"):
        generate(tmp_path / "good.safetensors", popcount="lut7")
    assert not (tmp_path / "design").exists()


def test_a_traceback_can_be_asked_for(xnorflow: Run) -> None:
    done = xnorflow("inspect", "cut.safetensors", XNORFLOW_TRACEBACK="1")
    assert "Traceback" in done.stderr
    assert "NetworkFileError" in done.stderr


def test_a_folder_that_holds_no_published_network(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import-bnn-pynq", str(tmp_path)]) == 3
    assert "holds weights of 0 layers" in capsys.readouterr().err
