"""The dot products of a recipe's network, for counting: nothing is trained, and no data are needed."""

from typing import NamedTuple

import torch
from torch import nn

from ...errors import UsageError
from ..recipe import Recipe
from .build import build_model

__all__ = ["RecipeProduct", "recipe_products"]


class RecipeProduct(NamedTuple):
    """A layer's weights, its positions a sample, whether it reads the input, and whether that is of one bit."""

    name: str
    weights: int
    positions: int
    first: bool
    binary_inputs: bool


def recipe_products(recipe: Recipe) -> tuple[RecipeProduct, ...]:
    """Linear and convolutional layers in the order in which a sample meets them; UsageError for recurrent recipes."""
    if recipe.model.recurrent is not None:
        raise UsageError("a recurrent recipe: count its network file instead, one time step")
    model = build_model(recipe).eval()
    found: list[RecipeProduct] = []

    def note(name: str, layer: nn.Linear | nn.Conv2d, output: torch.Tensor) -> None:
        positions = output[0, 0].numel() if isinstance(layer, nn.Conv2d) else output[0].numel() // layer.out_features
        first = not found
        found.append(RecipeProduct(name, layer.weight.numel(), positions, first, not first or recipe.input.bits == 1))

    for name, layer in model.named_modules():
        if isinstance(layer, nn.Linear | nn.Conv2d):
            layer.register_forward_hook(lambda layer, _, output, name=name: note(name, layer, output))
    with torch.no_grad():
        model(torch.zeros(1, *recipe.info.shape, dtype=torch.uint8))
    return tuple(found)
