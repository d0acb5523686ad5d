"""Both stages of a recipe, and a baseline beside them: each a run of its own, that can be resumed."""

from dataclasses import replace

import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.duo.stages import decoupled_model, stage_recipe
from xnorflow.train.duo.train import train_duo
from xnorflow.train.loop.checkpoint import load_tensors
from xnorflow.train.loop.runs import load_run
from xnorflow.train.recipe import (
    ActivationSpec,
    DuoSpec,
    InputSpec,
    LayerSpec,
    ModelSpec,
    OptimizerSpec,
    Recipe,
    load_recipe,
    recipe_yaml,
)

TERNARY = ModelSpec(hidden=(10, 8), activation=ActivationSpec("ternary"))
SMALL = Recipe(
    description="for the tests",
    dataset="digits",
    input=InputSpec(bits=2, lo=0, hi=16, encoding="unsigned"),
    model=TERNARY,
    optimizer=OptimizerSpec(lr=0.01, lr_final=0.001),
    epochs=3,
    threads=1,
    name="small",
    duo=DuoSpec(2, OptimizerSpec(lr=0.001, lr_final=0.0001), baseline=ModelSpec((14, 11))),
)


def test_stages_say_what_is_trained_from_where():
    coupled, decoupled, tuned, baseline = (
        stage_recipe(SMALL, stage, "there") for stage in ("coupled", "decoupled", "tuned", "baseline")
    )
    assert (coupled.model, coupled.epochs, coupled.init) == (TERNARY, 3, None)
    assert (decoupled.model.activation.kind, decoupled.epochs, decoupled.init) == ("decoupled", 2, "there")
    assert (tuned.model, tuned.optimizer, tuned.init) == (TERNARY, SMALL.duo.optimizer, "there")
    assert (baseline.model.hidden, baseline.epochs, baseline.init) == ((14, 11), 5, None)
    assert {r.duo for r in (coupled, decoupled, tuned, baseline)} == {None}
    assert decoupled.name == "small-decoupled"


def test_layers_of_their_own_are_decoupled_where_they_are_ternary():
    own = {"fc1": LayerSpec(activation=ActivationSpec("ternary", step=2.0)), "fc2": LayerSpec()}
    model = decoupled_model(ModelSpec((4, 4), layers=own, activation=ActivationSpec("relu", 2)))
    assert model.activation_of("fc1") == ActivationSpec("decoupled", step=2.0)
    assert model.activation_of("fc2") == ActivationSpec("relu", 2)
    with pytest.raises(UsageError, match="no activation of the model is ternary"):
        decoupled_model(ModelSpec((4,)))


def test_the_decoupled_run_begins_where_the_coupled_one_has_its_best(tmp_path):
    """With a rate of next to nothing it stays there: the same validation accuracy to the last image."""
    still = replace(SMALL, duo=replace(SMALL.duo, optimizer=OptimizerSpec(lr=1e-30, lr_final=1e-31)))
    results = train_duo(still, tmp_path, stages=("decoupled", "coupled", "baseline"))
    assert [r.stage for r in results] == ["baseline", "coupled", "decoupled"]
    baseline, coupled, decoupled = (r.result for r in results)
    assert decoupled.run == tmp_path / "seed1" / "decoupled"
    assert baseline.epochs == 5
    model, twin = load_run(coupled.run).model, load_run(decoupled.run).model
    assert twin.norm1.low.act.bits == 1 and twin.fc2.in_features == 20 and twin.fc3.in_features == 16
    assert torch.equal(twin.fc2.weight, model.fc2.weight.repeat(1, 2))


def test_a_stage_that_is_done_is_left_alone_and_others_join_it(tmp_path):
    first = train_duo(SMALL, tmp_path, stages=("coupled",))
    before = (tmp_path / "seed1" / "coupled" / "summary.json").stat().st_mtime_ns
    with pytest.raises(UsageError, match="holds a run already"):
        train_duo(SMALL, tmp_path)
    both = train_duo(SMALL, tmp_path, resume=True)
    assert both[0] == first[0] and both[1].stage == "decoupled"
    assert (tmp_path / "seed1" / "coupled" / "summary.json").stat().st_mtime_ns == before
    more = train_duo(SMALL, tmp_path, stages=("coupled", "tuned"), seeds=2, resume=True)
    assert [(r.stage, r.result.seed) for r in more] == [("coupled", 1), ("tuned", 1), ("coupled", 2), ("tuned", 2)]
    weights = [load_tensors(tmp_path / "seed1" / stage / "best.safetensors")[0] for stage in ("coupled", "tuned")]
    assert not torch.equal(weights[0]["fc1.weight"], weights[1]["fc1.weight"])


def test_what_cannot_be_done_is_said(tmp_path):
    with pytest.raises(UsageError, match="unknown stage 'both'; the stages are baseline, coupled, tuned, decoupled"):
        train_duo(SMALL, tmp_path, stages=("both",))
    with pytest.raises(UsageError, match="seeds must be at least 1, not 0"):
        train_duo(SMALL, tmp_path, seeds=0)
    with pytest.raises(UsageError, match="recipe small has no duo: section"):
        train_duo(replace(SMALL, duo=None), tmp_path)
    with pytest.raises(UsageError, match=r"recipe small has no duo\.baseline"):
        stage_recipe(replace(SMALL, duo=replace(SMALL.duo, baseline=None)), "baseline", tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_recipe_with_both_stages_survives_yaml(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(recipe_yaml(SMALL))
    assert load_recipe(path) == SMALL
