from dataclasses import replace

import pytest

from xnorflow.errors import UsageError
from xnorflow.train.models.products import recipe_products
from xnorflow.train.recipe import FolderSpec, NetworkSpec, load_recipe


def test_dense_layers() -> None:
    first, *others = recipe_products(load_recipe("mnist-sfc"))
    assert first == ("fc1", 784 * 256, 1, True, True)  # 1-bit inputs
    assert [product.weights for product in others] == [256 * 256, 256 * 256, 2560]
    assert not any(product.first for product in others)
    assert not recipe_products(load_recipe("digits"))[0].binary_inputs


def test_convolutions_have_positions() -> None:
    products = recipe_products(load_recipe("cifar10-cnv"))
    assert [(p.weights, p.positions) for p in products[:3]] == [(64 * 27, 900), (64 * 576, 784), (128 * 576, 144)]
    assert products[-1].positions == 1
    assert (products[0].binary_inputs, products[1].binary_inputs) == (False, True)


def test_pictures_of_another_size_have_other_positions() -> None:
    recipe = load_recipe("imagenet-bnn-alexnet")
    small = replace(recipe.model, network=NetworkSpec("alexnet", 1 / 16))
    (first, *_, last) = recipe_products(replace(recipe, model=small, folder=FolderSpec(67, 3)))
    assert (first.weights, first.positions) == (6 * 3 * 121, 16 * 16)
    assert last.weights == 256 * 3


def test_recurrent_recipes_are_refused() -> None:
    with pytest.raises(UsageError, match="count its network file"):
        recipe_products(load_recipe("char-lstm-w4a4"))
