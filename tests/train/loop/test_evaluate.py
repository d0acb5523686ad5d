from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from xnorflow.errors import UsageError
from xnorflow.train.loop.evaluate import accuracy, class_scores
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import LayerSpec, WeightSpec

IMAGES = torch.randint(0, 17, (30, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model(quick):
    torch.manual_seed(0)
    model = build_model(quick)
    model.train()(IMAGES)  # running statistics other than the initial ones
    return model


def test_binary_scores_are_the_eval_modes_and_the_mode_comes_back(model):
    scores = class_scores(model, IMAGES)
    assert model.training
    assert torch.equal(scores, model.eval()(IMAGES))
    assert not class_scores(model, IMAGES).requires_grad
    assert not model.training


def test_scores_do_not_depend_on_how_samples_are_batched(model, monkeypatch):
    whole = class_scores(model, IMAGES)
    monkeypatch.setattr("xnorflow.train.loop.evaluate._BATCH", 7)
    assert torch.equal(class_scores(model, IMAGES), whole)


def test_real_scores_use_the_latent_weights(model):
    quantizers = [model.fc1.weight_quantizer, model.fc2.weight_quantizer]
    real = class_scores(model, IMAGES, "real")
    assert [model.fc1.weight_quantizer, model.fc2.weight_quantizer] == quantizers
    x = model.eval().quantize(IMAGES).flatten(1)
    for i in (1, 2):
        x = model.get_submodule(f"act{i}")(
            model.get_submodule(f"norm{i}")(F.linear(x, model.get_submodule(f"fc{i}").weight))
        )
    assert torch.equal(real, model.scores(F.linear(x, model.fc3.weight)))


def test_an_ensemble_averages_sampled_networks(model):
    torch.manual_seed(5)
    mean = class_scores(model, IMAGES, "ensemble", draws=3)
    assert all(q.training == model.training for q in (model.fc1.weight_quantizer, model.fc3.weight_quantizer))
    torch.manual_seed(5)
    model.eval()
    for layer in (model.fc1, model.fc2, model.fc3):
        layer.weight_quantizer.train()
    with torch.no_grad():
        draws = [model(IMAGES) for _ in range(3)]
    assert torch.equal(mean, torch.stack(draws).mean(0))
    assert not torch.equal(draws[0], draws[1])


def test_an_ensemble_samples_what_is_stochastic(quick):
    spec = replace(quick.model, layers={"fc3": LayerSpec(WeightSpec("ternary"))})
    model = build_model(replace(quick, model=spec))
    model.train()(IMAGES)
    torch.manual_seed(6)
    first = class_scores(model, IMAGES, "ensemble", draws=1)
    assert not torch.equal(first, class_scores(model, IMAGES, "ensemble", draws=1))
    for layer in (model.fc1, model.fc2):
        layer.weight_quantizer.stochastic = False
    with pytest.raises(UsageError, match="this network has none"):
        class_scores(model, IMAGES, "ensemble", draws=1)
    with pytest.raises(UsageError, match="at least one draw, not 0"):
        class_scores(model, IMAGES, "ensemble", draws=0)


def test_an_ensemble_needs_stochastic_weights(quick):
    model = build_model(replace(quick, model=replace(quick.model, weights=WeightSpec("binary"))))
    with pytest.raises(UsageError, match="stochastic"):
        class_scores(model, IMAGES, "ensemble")
    assert all(not q.stochastic for q in (model.fc1.weight_quantizer,))


def test_accuracy_counts_the_first_largest_score(model):
    with torch.no_grad():
        model.scores.weight.zero_()
        model.scores.bias.copy_(torch.tensor([0, 1, 0, 1, 0, 0, 0, 0, 0, 0]))
    labels = torch.tensor([1] * 12 + [3] * 18)
    assert accuracy(model, IMAGES, labels) == 12 / 30
