from dataclasses import replace

import torch

from xnorflow.train.loop import trainer
from xnorflow.train.loop.checkpoint import load_tensors
from xnorflow.train.loop.feed import InMemory, sample_order
from xnorflow.train.loop.metrics import read_metrics
from xnorflow.train.recipe import ActivationSpec, OptimizerSpec, WeightSpec


def test_an_order_has_every_sample_once_and_sequences_in_one_piece():
    order = sample_order(24, 1, 5)
    assert sorted(order.tolist()) == list(range(24))
    assert torch.equal(order, sample_order(24, 1, 5))
    assert not torch.equal(order, sample_order(24, 1, 6))
    pieces = sample_order(26, 4, 5).view(-1, 4)  # two samples are left over
    assert torch.equal(pieces, pieces[:, :1] + torch.arange(4))
    assert sorted(pieces[:, 0].tolist()) == [0, 4, 8, 12, 16, 20]


def test_a_split_in_memory_gives_what_is_asked_for():
    feed = InMemory(torch.arange(12).view(6, 2), torch.arange(6) + 10)
    (images, labels), (last, _) = feed.batches([torch.tensor([4, 0]), torch.tensor([5])], key=3)
    assert images.tolist() == [[8, 9], [0, 1]]
    assert labels.tolist() == [14, 10]
    assert last.tolist() == [[10, 11]]
    assert len(feed) == 6


def test_every_epoch_and_every_seed_has_an_order_of_its_own(quick, tmp_path, monkeypatch):
    seen = []

    def noted(samples, steps, key):
        seen.append(key)
        return sample_order(samples, steps, key)

    monkeypatch.setattr(trainer, "sample_order", noted)
    for seed in (1, 2):
        trainer.train_recipe(quick, tmp_path / str(seed), epochs=2, seed=seed)
    assert len(seen) == len(set(seen)) == 4


def test_a_plateau_of_the_validation_accuracy_lowers_the_rate(quick, tmp_path):
    still = OptimizerSpec(lr=1e-30, schedule="plateau", every=2, factor=0.5)  # nothing is learnt: one plateau
    trainer.train_recipe(replace(quick, optimizer=still), tmp_path / "run", epochs=6)
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    accuracies = [record.val_accuracy for record in records]
    assert [record.lr for record in records] == [still.rate(done, 6, accuracies[:done]) for done in range(6)]
    assert records[-1].lr < 1e-30


def test_the_parts_of_a_batch_are_distorted_as_the_whole_is(quick, tmp_path, monkeypatch):
    seen = []
    distort = trainer.distort
    monkeypatch.setattr(trainer, "distort", lambda images, spec: seen.append(distort(images, spec)) or seen[-1])
    distorted = []
    for accumulate in (1, 5):
        seen.clear()
        trainer.train_recipe(replace(quick, accumulate=accumulate, epochs=1), tmp_path / str(accumulate))
        distorted.append(torch.cat(seen))
    assert torch.equal(*distorted)


def test_parts_of_equal_statistics_have_the_gradient_of_the_whole_batch(quick, tmp_path, monkeypatch):
    """A batch that is 30 samples twice: its halves have its BatchNorm statistics, and their gradients its own."""
    monkeypatch.setattr(
        trainer, "sample_order", lambda samples, *_: torch.arange(samples).view(-1, 30).repeat(1, 2).flatten()[:samples]
    )
    model = replace(
        quick.model,
        weights=WeightSpec("binary"),
        activation=ActivationSpec("sign"),
        dropout_input=0.0,
        dropout_hidden=0.0,
    )
    sgd = OptimizerSpec(lr=0.01, schedule="constant", kind="sgd")
    recipe = replace(quick, model=model, augment=None, precision="float64", optimizer=sgd, batch=60, epochs=1)
    runs = []
    for accumulate in (1, 2):
        trainer.train_recipe(replace(recipe, accumulate=accumulate), tmp_path / str(accumulate))
        runs.append(load_tensors(tmp_path / str(accumulate) / "checkpoint.safetensors")[0])
    learnt = [name for name in runs[0] if name.startswith("model.") and name.endswith(("weight", "bias"))]
    assert len(learnt) == 9
    for name in learnt:
        torch.testing.assert_close(runs[1][name], runs[0][name], rtol=1e-10, atol=1e-10)
