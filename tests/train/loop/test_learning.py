import json
from dataclasses import replace

import pytest
import torch
from torch import nn

from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import BinaryLinear, QuantLinear
from xnorflow.train.layers.quantizers import FloatWeights
from xnorflow.train.loop.learning import (
    check_finite,
    flip_ratio,
    latent_weights,
    layer_records,
    notes_on_learning,
)
from xnorflow.train.loop.metrics import EpochRecord, LayerRecord, append_record, read_metrics
from xnorflow.train.loop.trainer import train_recipe


@pytest.fixture
def model():
    return nn.Sequential(BinaryLinear(4, 2), BinaryLinear(2, 3), QuantLinear(3, 1, weight=FloatWeights()))


def test_codes_and_weights_that_moved_are_counted(model):
    with torch.no_grad():
        model[0].weight.fill_(0.5)
        before = latent_weights(model)
        model[0].weight[0, :3] = -0.5  # three of eight codes change
        model[0].weight[1, 0] = 0.25  # one more weight moves
        model[2].weight[0, 0] += 1
    records = layer_records(model, before)
    assert records == {
        "0": LayerRecord(flips=3 / 8, dead=4 / 8, weights=8),
        "1": LayerRecord(flips=0.0, dead=1.0, weights=6),
        "2": LayerRecord(flips=None, dead=2 / 3, weights=3),
    }
    assert flip_ratio(records) == 3 / 14  # of the weights that have codes


def epoch(number, **layers):
    return EpochRecord(number, 1.0, 0.5, 0.5, 0.1, 0.0, 1.0, {n: LayerRecord(*v, 10) for n, v in layers.items()})


def test_a_layer_whose_weights_stand_still_is_told_of_when_that_begins():
    learns, dead = (0.1, 0.2), (0.0, 1.0)
    records = [
        epoch(1, a=learns, b=dead),
        epoch(2, a=dead, b=dead),
        epoch(3, a=dead, b=learns),
        epoch(4, a=dead, b=dead),
    ]
    notes = [notes_on_learning(records[: n + 1]) for n in range(4)]
    assert [len(n) for n in notes] == [1, 1, 0, 1]
    assert notes[0] == ["b does not learn: none of its weights moved in epoch 1; no gradient comes back"]
    assert notes[1][0].startswith("a does not learn: none of its weights moved in epoch 2")
    assert notes[3][0].startswith("b ")


def test_codes_that_never_change_are_told_of_after_the_first_and_the_tenth_epoch():
    still, settles = (0.0, 0.3), (0.1, 0.3)
    records = [epoch(1, a=still, b=settles, f=(None, 0.0))]
    records += [epoch(n, a=still, b=still, f=(None, 0.0)) for n in range(2, 12)]
    told = {r.epoch: notes_on_learning(records[: r.epoch]) for r in records}
    assert {n: len(notes) for n, notes in told.items() if notes} == {1: 1, 10: 1}
    assert told[10] == ["a does not learn: not one of its weight codes changed up to epoch 10"]


def test_a_weight_that_is_no_number_is_found_though_its_sign_is_one(model):
    check_finite(model, 3)
    with torch.no_grad():
        model[1].weight[0, 0] = float("nan")
    assert bool(torch.isfinite(model[1].weight_quantizer(model[1].weight)).all())
    with pytest.raises(UsageError, match=r"training diverged: 1\.weight is not finite after epoch 3"):
        check_finite(model, 3)


def test_layers_stand_in_the_metrics_and_older_ones_have_none(quick, tmp_path):
    class Notes:
        def __init__(self):
            self.said = []

        def start(self, *_): ...
        def step(self, *_): ...
        def epoch(self, _): ...

        def note(self, text):
            self.said.append(text)

    notes = Notes()
    frozen = replace(quick, epochs=1, optimizer=replace(quick.optimizer, lr=1e-30, lr_final=1e-30))
    train_recipe(frozen, tmp_path / "run", progress=notes)
    (record,) = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert set(record.layers) == {"fc1", "fc2", "fc3"}
    assert [note.split()[0] for note in notes.said] == ["fc1", "fc2", "fc3"]
    path = tmp_path / "metrics.jsonl"
    earlier = {"epoch": 1, "loss": 1.0, "train_accuracy": 0.5, "val_accuracy": 0.5, "lr": 0.1, "flip_ratio": 0.1}
    path.write_text(json.dumps(earlier | {"seconds": 1}) + "\n")
    append_record(path, record)
    assert [set(r.layers) for r in read_metrics(path)] == [set(), {"fc1", "fc2", "fc3"}]
