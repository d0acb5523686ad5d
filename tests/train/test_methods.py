"""Every method trains through its recipe, and what it trains compiles without a disagreement."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from xnorflow.compiler.lowering.compare import compare_with_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.data.datasets import load_dataset
from xnorflow.train.layers.gradients import GradientQuantizer
from xnorflow.train.layers.modules import QuantLinear
from xnorflow.train.loop.evaluate import accuracy
from xnorflow.train.loop.runs import load_run
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.recipe import (
    ActivationSpec,
    GradientSpec,
    InputSpec,
    ModelSpec,
    NormSpec,
    OptimizerSpec,
    PreprocessSpec,
    Recipe,
    WeightSpec,
    load_recipe,
    recipe_yaml,
)

ADAM = OptimizerSpec(lr=0.01, lr_final=0.0001)
SHIFT = OptimizerSpec(lr=2.0**-7, kind="adamax", schedule="constant", betas=(1 - 2**-3, 1 - 2**-10))
RELU = ActivationSpec("relu", 4, 0.25)


def digits(weights="binary", bits=1, activation=None, **rest):
    model = ModelSpec(
        hidden=rest.pop("hidden", (32, 32)),
        weights=WeightSpec(weights, bits),
        activation=activation or ActivationSpec(),
        norm=rest.pop("norm", NormSpec()),
    )
    source = rest.pop("input", InputSpec(bits=4, lo=0, hi=16, encoding="unsigned"))
    options = {"optimizer": ADAM, "batch": 50, "epochs": 4, "threads": 1} | rest
    return Recipe(name="try", description="a try", dataset="digits", input=source, model=model, **options)


METHODS = {
    "BNN, shift-based": digits(norm=NormSpec("shift", 0.125, 1e-5), optimizer=SHIFT),
    "BNN, shift-based as released": digits(
        norm=NormSpec("shift", 0.125, 1e-5), optimizer=replace(SHIFT, kind="adamax-released", betas=(0.9, 0.999))
    ),
    "QNN of 2 bits": digits("signed", 2, ActivationSpec("linear", 2, 0.5)),
    "QNN of 2 bits, wide": digits("signed", 2, ActivationSpec("linear", 2, 0.5), hidden=(512, 512), epochs=2),
    "QNN of powers of two": digits("log", 4, ActivationSpec("log_relu", 3, 0.0625)),
    "QNN, gradients of 6 bits": digits(activation=RELU, gradients=GradientSpec("linear", 6)),
    "QNN, gradients of powers of two": digits(activation=RELU, gradients=GradientSpec("log", 6)),
    "BinaryConnect, stochastic": digits("stochastic", epochs=12, optimizer=replace(ADAM, lr=0.05)),
    "BinaryConnect, ternary": digits("ternary", activation=RELU),
    "BinaryConnect, ReLU of 8 bits": digits(activation=ActivationSpec("relu", 8, 0.03125)),
    "Bop": digits(optimizer=OptimizerSpec(lr=0.01, kind="bop", schedule="constant", flip_rate=1e-2)),
    "Bi-Real's surrogate": digits(activation=ActivationSpec(surrogate="approx-sign")),
}


@pytest.mark.parametrize("name", METHODS)
def test_a_method_learns_and_compiles_without_a_disagreement(name, tmp_path):
    result = train_recipe(METHODS[name], tmp_path / "run")
    assert result.val_accuracy > 0.6
    run = load_run(tmp_path / "run")
    assert run.recipe == METHODS[name]
    samples = load_dataset("digits", "test").images
    network = compile_module(run.model, samples[:1])
    comparison = compare_with_module(network, run.model, samples)
    assert comparison.disagreements == 0 and comparison.compared > 50_000


def test_recipes_keep_every_key_of_the_methods(tmp_path):
    for name, recipe in METHODS.items():
        path = tmp_path / "recipe.yaml"
        path.write_text(recipe_yaml(recipe))
        assert load_recipe(path) == recipe, name


def test_quantized_gradients_are_in_every_layer():
    from xnorflow.train.models.build import build_model

    model = build_model(METHODS["QNN, gradients of powers of two"])
    found = [(layer.gradient_quantizer.bits, layer.gradient_quantizer.kind) for layer in layers(model)]
    assert found == [(6, "log")] * 3
    assert all(layer.gradient_quantizer is None for layer in layers(build_model(METHODS["Bop"])))
    assert sum(isinstance(module, GradientQuantizer) for module in model.modules()) == 3


def layers(model):
    return [module for module in model.modules() if isinstance(module, QuantLinear)]


def test_validation_by_the_real_weights_is_what_the_run_reports(tmp_path):
    recipe = replace(METHODS["BinaryConnect, stochastic"], evaluation="real")
    result = train_recipe(recipe, tmp_path / "run")
    run, test = load_run(tmp_path / "run"), load_dataset("digits", "test")
    images, labels = torch.from_numpy(test.images.copy()), torch.from_numpy(test.labels.copy())
    assert result.test_accuracy == accuracy(run.model, images, labels, "real")
    assert result.test_accuracy != accuracy(run.model, images, labels)


def test_whitened_samples_train_and_resume_but_have_no_network_file(tmp_path):
    source = InputSpec(bits=8, lo=-4, hi=4)
    recipe = digits(input=source, preprocess=PreprocessSpec(gcn_bias=1, zca_bias=0.1))
    result = train_recipe(recipe, tmp_path / "run")
    assert result.val_accuracy > 0.8
    run = load_run(tmp_path / "run")
    assert (run.model.whiten.gcn_bias, run.model.whiten.zca_bias) == (1, 0.1)
    train = load_dataset("digits", "train").images
    whitened = run.model.whiten(torch.from_numpy(train.copy())).flatten(1).numpy()
    assert np.abs(whitened.mean(0)).max() < 1e-3  # fitted on the training samples, and stored
    assert np.cov(whitened.T).trace() > 20
    with pytest.raises(UnsupportedLayerError, match=r"whiten \(GcnZca\) whitens samples by a matrix"):
        compile_module(run.model, train[:1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda: GradientSpec("log", 1), "2 to 8"),
        (lambda: GradientSpec(bits=9), "1 to 8"),
        (lambda: PreprocessSpec(zca_bias=0), "zca_bias"),
        (lambda: ActivationSpec("relu", 2, surrogate="reste"), "stands for the slope of a sign"),
        (lambda: OptimizerSpec(lr=1, schedule="constant", flip_rate=0), "flip_rate"),
        (lambda: replace(load_recipe("char-rnn-float"), gradients=GradientSpec()), "float recurrent"),
        (lambda: replace(load_recipe("shakespeare-lstm"), preprocess=PreprocessSpec()), "pictures"),
    ],
)
def test_what_does_not_go_together_is_refused(change, message):
    with pytest.raises(UsageError, match=message):
        change()
