"""Recurrent layers in training: integers as documented, gradients of the smooth functions, sequences in a batch."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.errors import DataError, UsageError
from xnorflow.train.data.datasets import Samples, load_dataset
from xnorflow.train.data.text import CHARACTERS, one_hot
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights
from xnorflow.train.layers.recurrent import CellSpec, QuantHardtanh, QuantLSTM, QuantRNN
from xnorflow.train.layers.sequences import whole_sequences
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import load_recipe, with_overrides

WEIGHT = BipolarWeights(4)


def test_hardtanh_leaves_odd_integers_and_takes_the_nearest() -> None:
    layer = QuantHardtanh(3)
    odd = torch.arange(-7.0, 8, 2)
    assert torch.equal(layer(odd), odd)
    assert layer(torch.tensor([-99.0, -0.1, 0.0, 1.9, 2.0, 99.0])).tolist() == [-7, -1, 1, 1, 3, 7]
    x = torch.tensor([-9.0, -7.5, 0.3, 9.0], requires_grad=True)
    QuantHardtanh(3, 0.5)(x).sum().backward()
    assert x.grad is not None and x.grad.tolist() == [0, 0, 2, 0]


def test_rnn_states_are_the_floor_of_tanh() -> None:
    layer = QuantRNN(2, 3, weight=WEIGHT, bits=4)
    acc = torch.linspace(-3000, 3000, 301)[:, None].expand(-1, 3).contiguous()
    z = layer.preactivation(acc).double()
    expected = torch.floor(8 * torch.tanh(z)) + 8
    assert (layer.codes(acc) - expected).abs().max() <= ((8 * torch.tanh(z)).frac().abs() < 1e-5).any()


@pytest.mark.parametrize("kind", [QuantRNN, QuantLSTM])
def test_sequences_in_a_batch_do_not_know_of_each_other(kind: type[QuantRNN] | type[QuantLSTM]) -> None:
    torch.manual_seed(1)
    layer = kind(4, 6, weight=WEIGHT, bits=4, steps=5).eval()
    x = torch.randint(0, 16, (23, 4)) * 2.0 - 15  # the last sequence is cut short
    together = layer(x)
    assert together.shape == (23, 6) and torch.equal(together, together.round())
    assert (together.abs() <= 15).all() and (together % 2 == 1).all()
    for start in range(0, 23, 5):
        assert torch.equal(layer(x[start : start + 5]), together[start : start + 5])
    layer.steps = None
    assert torch.equal(layer(x)[:5], together[:5]) and not torch.equal(layer(x)[5:], together[5:])


def test_batches_are_whole_sequences() -> None:
    assert whole_sequences(nn.Linear(1, 1), 1000) == 1000
    lstm = QuantLSTM(2, 2, weight=WEIGHT, bits=4, steps=64)
    assert whole_sequences(nn.Sequential(lstm), 1000) == 960
    assert whole_sequences(nn.Sequential(lstm), 10) == 64
    lstm.steps = None
    assert whole_sequences(lstm, 10) > 1 << 60


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: CellSpec(gate_bits=1), "gate_bits of an LSTM must be a whole number from 2 to 8"),
        (lambda: CellSpec(gate_bits=6, cell_point=3), "cell_point of an LSTM must be a whole number from 4 to 9"),
        (lambda: QuantLSTM(2, 2, weight=WEIGHT, bits=7), "a state of 7 bits needs gates of 5 bits; gate_bits is 4"),
        (lambda: QuantRNN(0, 2, weight=WEIGHT, bits=4), "input_size must be a positive integer, not 0"),
        (lambda: QuantRNN(2, 2, weight=WEIGHT, bits=4)(torch.zeros(3, 3)), r"takes \(B, 2\), not \(3, 3\)"),
        (lambda: QuantHardtanh(4, 0), "step of QuantHardtanh must be a positive number"),
    ],
)
def test_impossible_layers_are_refused(wrong: object, message: str) -> None:
    assert callable(wrong)
    with pytest.raises(UsageError, match=message):
        wrong()


def write_text(folder: Path, length: int = 30_000) -> None:
    """A text whose characters follow from the one before."""
    (folder / "input.txt").write_text("".join(CHARACTERS[(7 * n + n // 31) % 65] for n in range(length)))


def test_characters_are_labelled_with_the_next_in_whole_sequences(tmp_path: Path) -> None:
    write_text(tmp_path)
    text = (tmp_path / "input.txt").read_text()
    found = [load_dataset("shakespeare", split, tmp_path) for split in ("train", "validation", "test")]
    assert [len(samples.labels) for samples in found] == [26944, 1472, 1472]
    train = found[0]
    assert (train.images == one_hot(text[:26944])).all() and (train.labels[:-1] == train.images[1:].argmax(1)).all()
    assert train.last is not None and np.flatnonzero(train.last)[:2].tolist() == [63, 127]
    assert found[1].images[0].argmax() == CHARACTERS.index(text[27000])


def test_sequences_take_turns() -> None:
    samples = Samples(np.arange(14, dtype=np.uint8)[:, None], np.arange(14), ("a",), 3)
    turned = samples.in_turn(2)
    assert turned.labels.tolist() == [0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11]
    ends = turned.ends(2)
    assert ends is not None and np.flatnonzero(ends).tolist() == [4, 5, 10, 11]
    with pytest.raises(UsageError, match="5 sequences take turns"):
        samples.in_turn(5)


@pytest.mark.parametrize("content", ["To be, or not to b\u00e9", "short", None])
def test_texts_of_something_else_are_refused(content: str | None, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "input.txt").write_text(content, encoding="latin-1")
    with pytest.raises(DataError, match="none of the 65|too few|neither input.txt nor"):
        load_dataset("shakespeare", "train", tmp_path)


@pytest.mark.parametrize("kind", ["lstm", "rnn"])
def test_a_small_recipe_learns(kind: str, tmp_path: Path) -> None:
    write_text(tmp_path)
    small = ("model.recurrent.hidden=16", "model.recurrent.embed=8", "batch=512", f"model.recurrent.kind={kind}")
    recipe = with_overrides(load_recipe("shakespeare-lstm"), small, epochs=2)
    result = train_recipe(recipe, tmp_path / "run", data_dir=tmp_path)
    assert result.val_accuracy > 0.2  # one in 65 by chance


def test_recipes_and_data_sets_agree_on_sequences() -> None:
    recipe = load_recipe("shakespeare-lstm")
    with pytest.raises(UsageError, match="multiple of 64"):
        with_overrides(recipe, ["batch=100"])
    with pytest.raises(UsageError, match="is sequences; model.recurrent goes with them"):
        with_overrides(recipe, ["model.recurrent=null"])
    model = build_model(recipe)
    assert isinstance(model.embed, torch.nn.Linear) and not isinstance(model.embed.weight_quantizer, BinaryWeights)
