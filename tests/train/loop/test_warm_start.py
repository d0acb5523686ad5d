from dataclasses import replace

import pytest
import torch

from xnorflow.errors import DataError, InterruptedRunError, UsageError
from xnorflow.train.loop.runs import load_run
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.loop.warm_start import warm_start
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import WeightSpec


@pytest.fixture
def float_run(quick, tmp_path):
    recipe = replace(quick, epochs=1, model=replace(quick.model, weights=WeightSpec("float")))
    train_recipe(recipe, tmp_path / "float", overrides=["optimizer.lr=0.5", "optimizer.lr_final=0.5"])
    return tmp_path / "float"


def test_a_binary_network_begins_with_the_weights_of_its_float_twin(quick, float_run):
    source, model = load_run(float_run).model, build_model(quick)
    assert warm_start(model, float_run) == f"18 of 18 tensors taken from {float_run}"
    assert torch.equal(model.fc1.weight, source.fc1.weight.clamp(-1, 1))
    assert float(source.fc1.weight.detach().abs().max()) > 1  # so that the clipping was needed
    assert torch.equal(model.norm1.running_mean, source.norm1.running_mean)


@pytest.mark.parametrize("weights", [WeightSpec("signed", 2), WeightSpec("log", 4)])
def test_small_float_weights_are_scaled_to_a_grid(quick, tmp_path, weights):
    model = replace(quick.model, hidden=(600, 600), dropout_input=0.0, dropout_hidden=0.0)
    recipe = replace(quick, epochs=1, batch=360, model=replace(model, weights=WeightSpec("float")))
    train_recipe(recipe, tmp_path / "float")
    source = load_run(tmp_path / "float").model
    assert float(source.fc2.weight.detach().abs().max()) < 0.25  # all of them 0 in 2 bits
    begun = build_model(replace(recipe, model=replace(model, weights=weights)))
    warm_start(begun, tmp_path / "float")
    factor = (1 / 3) ** 0.5 / float(source.fc2.weight.detach().square().mean().sqrt())
    assert torch.allclose(begun.fc2.weight, (source.fc2.weight * factor).clamp(-1, 1), atol=1e-6)
    assert len(begun.fc2.weight_quantizer.codes(begun.fc2.weight).unique()) == 1 << weights.bits
    result = train_recipe(
        replace(recipe, epochs=2, batch=60, model=replace(model, weights=weights), init=str(tmp_path / "float")),
        tmp_path / "run",
    )
    assert result.val_accuracy > 0.5


def test_weights_of_a_grid_are_taken_as_they_are(quick, tmp_path):
    """Uniform ones that hardly moved: in one layer or other their mean square is below that of a fresh layer."""
    recipe = replace(quick, epochs=1, model=replace(quick.model, weights=WeightSpec("signed", 2)))
    train_recipe(recipe, tmp_path / "run", overrides=["optimizer.lr=1e-9", "optimizer.lr_final=1e-9"])
    source, begun = load_run(tmp_path / "run").model, build_model(recipe)
    assert min(float(source.get_parameter(f"fc{n}.weight").detach().square().mean()) for n in (1, 2, 3)) < 1 / 3
    warm_start(begun, tmp_path / "run")
    for n in (1, 2, 3):
        assert torch.equal(begun.get_parameter(f"fc{n}.weight"), source.get_parameter(f"fc{n}.weight"))


def test_what_does_not_fit_stays_new_and_is_named(quick, float_run):
    wider = build_model(replace(quick, model=replace(quick.model, hidden=(12, 20))))
    fresh = wider.fc2.weight.clone()
    note = warm_start(wider, float_run)
    assert note.startswith(f"12 of 18 tensors taken from {float_run}; new: fc2.weight, norm2.weight")
    assert torch.equal(wider.fc2.weight, fresh)


def test_a_run_begins_there_once_and_goes_on_without_it(quick, float_run, tmp_path):
    class Watch:
        def __init__(self, stop):
            self.notes, self.stop = [], stop

        def start(self, *_): ...
        def epoch(self, _): ...

        def step(self, epoch, step):
            if (epoch, step) == self.stop:
                raise KeyboardInterrupt

        def note(self, text):
            self.notes.append(text)

    recipe = replace(quick, epochs=2, init=str(float_run))
    first, second = Watch((2, 1)), Watch(None)
    with pytest.raises(InterruptedRunError):
        train_recipe(recipe, tmp_path / "run", progress=first)
    assert first.notes[0] == f"18 of 18 tensors taken from {float_run}"
    float_run.rename(tmp_path / "gone")
    train_recipe(recipe, tmp_path / "run", resume=True, progress=second)
    assert not any("taken" in note for note in second.notes)


def test_what_cannot_be_taken_is_said(quick, float_run, tmp_path):
    with pytest.raises(DataError, match="init: .* holds no trained network"):
        warm_start(build_model(quick), tmp_path)
    with pytest.raises(UsageError, match="no tensor of .* has the name and shape of one of this network"):
        warm_start(torch.nn.Sequential(torch.nn.Linear(3, 3)), float_run)
