"""The runs that a recipe with `duo` stands for: what is trained in each, and from where."""

from dataclasses import replace
from pathlib import Path
from typing import Literal, get_args

from ...errors import UsageError
from ..recipe import ActivationSpec, ModelSpec, Recipe

__all__ = ["STAGES", "Stage", "decoupled_model", "stage_recipe"]

Stage = Literal["baseline", "coupled", "tuned", "decoupled"]
STAGES: tuple[Stage, ...] = get_args(Stage)


def stage_recipe(recipe: Recipe, stage: Stage, coupled_run: Path | str) -> Recipe:
    """The recipe of one stage; UsageError where the recipe has no `duo`, or nothing of that stage.

    baseline: the 1-bit network `duo.baseline`, trained from scratch for as many epochs as both stages have together.
    coupled: the recipe's own, ternary network. decoupled: that of `decoupled_model`, which begins with the coupled
    run's best weights and is fine-tuned by `duo`. tuned: the coupled network itself, fine-tuned in the same way.
    """
    duo = recipe.duo
    if duo is None:
        raise UsageError(f"recipe {recipe.name} has no duo: section, which says how the decoupled network is tuned")
    name, plain = f"{recipe.name}-{stage}", replace(recipe, duo=None)
    if stage == "coupled":
        return replace(plain, name=name)
    if stage == "baseline":
        if duo.baseline is None:
            raise UsageError(f"recipe {recipe.name} has no duo.baseline to train")
        return replace(plain, name=name, model=duo.baseline, epochs=recipe.epochs + duo.epochs)
    model = decoupled_model(recipe.model) if stage == "decoupled" else recipe.model
    return replace(plain, name=name, model=model, optimizer=duo.optimizer, epochs=duo.epochs, init=str(coupled_run))


def decoupled_model(model: ModelSpec) -> ModelSpec:
    """The model with every ternary activation decoupled; UsageError if it has none."""
    if not any(spec.kind == "ternary" for spec in (model.activation, *_own(model))):
        raise UsageError("no activation of the model is ternary, so there is nothing to decouple")
    layers = {
        name: replace(layer, activation=layer.activation and _decoupled(layer.activation))
        for name, layer in model.layers.items()
    }
    return replace(model, activation=_decoupled(model.activation), layers=layers)


def _own(model: ModelSpec) -> list[ActivationSpec]:
    return [layer.activation for layer in model.layers.values() if layer.activation is not None]


def _decoupled(spec: ActivationSpec) -> ActivationSpec:
    return replace(spec, kind="decoupled") if spec.kind == "ternary" else spec
