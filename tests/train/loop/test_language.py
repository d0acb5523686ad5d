"""Texts of tokens: streams side by side, losses, and runs that go on where they were cut."""

import gzip
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor

from xnorflow.errors import UsageError
from xnorflow.train.loop.language import stream_order, text_metrics
from xnorflow.train.loop.metrics import read_metrics
from xnorflow.train.loop.runs import load_run
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import Recipe, load_recipe, with_overrides

SMALL = ("dataset=text", "model.recurrent.embed=12", "model.recurrent.hidden=20", "batch=512", "optimizer.lr=0.005")


def small(name: str, *more: str, epochs: int = 2) -> Recipe:
    return with_overrides(load_recipe(name), [*SMALL, *more], epochs=epochs)


@pytest.fixture
def text(tmp_path: Path) -> Path:
    """A text in which the character behind follows from the two in front, most of the time."""
    words = ["lorem ", "ipsum ", "dolor\n", "sit ", "amet, "]
    path = tmp_path / "some.txt.gz"
    path.write_bytes(gzip.compress("".join(words[n * n * 7 % 11 % 5] for n in range(4000)).encode()))
    return path


def test_streams_are_read_side_by_side() -> None:
    order = stream_order(17, 2, 3)  # streams of five samples, two batches of two samples each
    assert order.view(2, 3, 2).tolist() == [[[0, 1], [5, 6], [10, 11]], [[2, 3], [7, 8], [12, 13]]]


def test_losses_are_those_of_whole_streams() -> None:
    """Against one pass over each stream, which text_metrics cuts into pieces."""
    torch.manual_seed(0)
    model = build_model(small("ptb-lstm-w4a4"))
    tokens, labels = torch.randint(0, 97, (2 * 130, 1), dtype=torch.int32), torch.randint(0, 97, (2 * 130,))
    found = text_metrics(model, tokens, labels, 130)
    assert model.training and model.cell.steps == 64
    model.eval()
    model.cell.steps = 130
    scores = model(tokens)
    chosen = torch.log_softmax(scores, 1)[torch.arange(260), labels]
    assert found.loss == pytest.approx(-float(chosen.detach().mean()), rel=1e-12)
    assert found.accuracy == float((scores.argmax(1) == labels).double().mean())


@pytest.mark.parametrize("name", ["ptb-lstm-float", "ptb-lstm-w4a4", "ptb-lstm-w3a4"])
def test_a_small_text_is_learnt(name: str, text: Path, tmp_path: Path) -> None:
    scale = "none" if name == "ptb-lstm-float" else "glorot"
    result = train_recipe(small(name, f"optimizer.lr_scale={scale}"), tmp_path / "run", data_dir=text)
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert result.val_loss is not None and result.test_loss is not None
    assert result.test_loss < 0.75 * math.log(97)
    assert result.best_epoch == min(records, key=lambda record: record.val_loss or math.inf).epoch
    run = load_run(tmp_path / "run")
    tokens = torch.randint(0, 97, (7, 1), dtype=torch.int32)
    hot = torch.eye(97, dtype=torch.uint8)[tokens[:, 0].long()]
    assert run.input_shape == (97,) and torch.equal(run.model(tokens), run.model(hot))


class _CutError(Exception):
    """The run is killed."""


class Killer:
    """Kills a run in the middle of its second epoch."""

    def start(self, first_epoch: int, epochs: int, steps: int) -> None: ...

    def step(self, epoch: int, step: int) -> None:
        if (epoch, step) == (2, 20):
            raise _CutError

    def epoch(self, record: object) -> None: ...

    def note(self, text: str) -> None: ...


def test_a_run_goes_on_in_the_middle_of_its_streams(text: Path, tmp_path: Path) -> None:
    recipe = small("ptb-lstm-w4a4")
    train_recipe(recipe, tmp_path / "whole", data_dir=text)
    with pytest.raises(_CutError):
        train_recipe(recipe, tmp_path / "cut", data_dir=text, progress=Killer(), checkpoint_seconds=0.0)
    train_recipe(recipe, tmp_path / "cut", data_dir=text, resume=True)

    def weights(name: str) -> dict[str, Tensor]:
        return load_run(tmp_path / name).model.state_dict()

    whole, cut = weights("whole"), weights("cut")
    assert all(torch.equal(whole[name], cut[name]) for name in whole)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.hidden=[5]", "model.hidden must be empty for ptb"),
        ("input.bits=2", "input must be {bits: 1"),
        ("accumulate=2", "accumulate must be 1 where states are carried"),
    ],
)
def test_what_a_text_model_does_not_have(override: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build_model(with_overrides(load_recipe("ptb-lstm-w4a4"), [override]))
