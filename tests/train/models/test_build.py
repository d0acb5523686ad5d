from dataclasses import replace
from typing import get_args, get_type_hints

import pytest
import torch
from torch import nn

from xnorflow.errors import UsageError
from xnorflow.train.layers.activations import LinearQuant, LogQuant
from xnorflow.train.layers.dropout import Dropout
from xnorflow.train.layers.modules import InputQuantizer, QuantConv2d, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm
from xnorflow.train.layers.qnn import LogWeights, SignedWeights, TernaryWeights
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights, FloatWeights
from xnorflow.train.layers.shift_norms import ShiftBatchNorm1d, ShiftBatchNorm2d, ShiftScoreNorm
from xnorflow.train.models.build import build_activation, build_model, build_weights
from xnorflow.train.recipe import ActivationSpec, LayerSpec, NormSpec, WeightSpec, load_recipe, with_overrides


def test_layers_names_and_order(quick):
    model = build_model(quick)
    assert [(name, type(module)) for name, module in model.named_children()] == [
        ("quantize", InputQuantizer),
        ("flatten", nn.Flatten),
        ("drop0", Dropout),
        ("fc1", QuantLinear),
        ("norm1", BatchNorm1d),
        ("act1", Sign),
        ("drop1", Dropout),
        ("fc2", QuantLinear),
        ("norm2", BatchNorm1d),
        ("act2", Sign),
        ("drop2", Dropout),
        ("fc3", QuantLinear),
        ("scores", ScoreNorm),
    ]


def test_the_recipe_reaches_the_layers(quick):
    norm = NormSpec(momentum=0.2, eps=1e-3, score_bits=12)
    spec = replace(quick.model, activation=ActivationSpec("relu", 3, 0.5), norm=norm, dropout_hidden=0.0)
    model = build_model(replace(quick, model=spec))
    assert (model.quantize.bits, model.quantize.encoding, model.quantize.hi) == (2, "unsigned", 16)
    assert (model.norm1.momentum, model.norm1.eps) == (0.2, 1e-3)
    assert (model.scores.momentum, model.scores.eps, model.scores.score_bits) == (0.2, 1e-3, 12)
    assert isinstance(model.act1, QuantReLU) and (model.act1.bits, model.act1.step) == (3, 0.5)
    assert isinstance(model.act2, QuantReLU) and model.act2 is not model.act1
    assert [m.p for m in model.modules() if isinstance(m, Dropout)] == [0.1]


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (WeightSpec("binary"), BinaryWeights),
        (WeightSpec("stochastic"), BinaryWeights),
        (WeightSpec("bipolar", 3), BipolarWeights),
        (WeightSpec("float"), FloatWeights),
    ],
)
def test_weight_kinds(quick, spec, kind):
    quantizer = build_model(replace(quick, model=replace(quick.model, weights=spec))).fc1.weight_quantizer
    assert isinstance(quantizer, kind)
    assert quantizer.bits == (32 if spec.kind == "float" else spec.bits)
    assert getattr(quantizer, "stochastic", False) == (spec.kind == "stochastic")


def test_mixed_precision(quick):
    own = {
        "fc1": LayerSpec(WeightSpec("ternary"), ActivationSpec("linear", 4, 0.25)),
        "fc2": LayerSpec(activation=ActivationSpec("log_relu", 3, 0.5)),
        "fc3": LayerSpec(WeightSpec("log", 3)),
    }
    model = build_model(replace(quick, model=replace(quick.model, weights=WeightSpec("signed", 4), layers=own)))
    kinds = [TernaryWeights, SignedWeights, LogWeights]
    assert [type(layer.weight_quantizer) for layer in (model.fc1, model.fc2, model.fc3)] == kinds
    assert isinstance(model.act1, LinearQuant) and (model.act1.bits, model.act1.step) == (4, 0.25)
    assert isinstance(model.act2, LogQuant) and not model.act2.signed


def test_float_activations_are_plain_relus(quick):
    model = build_model(replace(quick, model=replace(quick.model, activation=ActivationSpec("float"))))
    assert type(model.act1) is nn.ReLU
    with pytest.raises(UsageError, match="float has none to choose"):
        ActivationSpec("float", bits=2)


def test_every_tensor_between_the_layers_is_an_integer_in_training_and_eval(quick):
    for activation in (ActivationSpec("sign"), ActivationSpec("stochastic"), ActivationSpec("relu", 4, 0.25)):
        spec = replace(quick.model, activation=activation, dropout_input=0.0, dropout_hidden=0.0)
        model = build_model(replace(quick, model=spec))
        for training in (True, False):
            x = torch.randint(0, 17, (9, 8, 8), dtype=torch.uint8)
            model.train(training)
            for name, module in model.named_children():
                x = module(x)
                if not name.startswith(("norm", "scores")):
                    assert torch.equal(x, x.round()), name
                    assert x.dtype == torch.float32 or name == "quantize"
            assert x.shape == (9, 10)


def test_the_same_seed_gives_the_same_model(quick):
    states = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        states.append(build_model(quick).fc1.weight)
    assert torch.equal(states[0], states[1])
    assert not torch.equal(states[0], states[2])


def test_the_constants_of_a_normalisation_follow_from_its_kind():
    recipe = load_recipe("digits")
    assert (recipe.model.norm.momentum, recipe.model.norm.eps) == (0.1, 1e-4)
    shift = with_overrides(recipe, ["model.norm.kind=shift"])
    model = build_model(shift)
    assert all((norm.momentum, norm.eps) == (0.125, 1e-5) for norm in (model.norm1, model.scores))
    assert with_overrides(shift, ["model.norm.kind=batch"]) == recipe
    assert with_overrides(recipe, ["model.norm={kind: shift, eps: 0.5}"]).model.norm.eps == 0.5


@pytest.mark.parametrize("name", ["digits-vgg", "digits-resnet", "cifar10-duo-resnet20", "imagenet-qnn-googlenet"])
def test_every_normalisation_of_a_model_is_shift_based_and_every_layers_gradient_has_few_bits(name):
    overrides = ["model.norm.kind=shift", "gradients={kind: log, bits: 5}"]
    if name.startswith("imagenet"):
        overrides += ["folder={size: 64, classes: 10}", "model.network.width=0.1"]
    model = build_model(with_overrides(load_recipe(name), overrides))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) > 4
    assert all(isinstance(m, ShiftBatchNorm1d | ShiftBatchNorm2d | ShiftScoreNorm) for m in norms)
    layers = [m for m in model.modules() if isinstance(m, QuantConv2d | QuantLinear)]
    assert len(layers) > 4
    assert all((m.gradient_quantizer.kind, m.gradient_quantizer.bits) == ("log", 5) for m in layers)


@pytest.mark.parametrize("name", ["char-rnn-w4a4", "shakespeare-lstm"])
def test_every_layer_of_a_recurrent_network_has_gradients_of_few_bits(name):
    recipe = load_recipe(name)
    model = build_model(with_overrides(recipe, ["gradients={kind: linear, bits: 6}"]))
    found = {n: m.gradient_quantizer for n, m in model.named_modules() if hasattr(m, "gradient_quantizer")}
    assert set(found) == ({"embed", "cell", "text.fc1"} if "char" in name else {"embed", "cell", "fc1"})
    assert all((quantizer.kind, quantizer.bits) == ("linear", 6) for quantizer in found.values())
    assert model.cell.gradient_quantizer is not None and build_model(recipe).cell.gradient_quantizer is None


def buildable(make):
    try:
        make()
    except UsageError:
        return False
    return True


@pytest.mark.parametrize("kind", get_args(get_type_hints(WeightSpec)["kind"]))
def test_recipes_refuse_the_bits_that_weights_of_a_kind_cannot_have(kind):
    fixed = kind in ("binary", "stochastic", "ternary", "float")
    quantizers = {"bipolar": BipolarWeights, "signed": SignedWeights, "log": LogWeights}
    for bits in range(10):
        expected = bits == 1 if fixed else buildable(lambda bits=bits: quantizers[kind](bits))
        assert buildable(lambda bits=bits: WeightSpec(kind, bits)) == expected
        if expected:
            assert build_weights(WeightSpec(kind, bits)).bits in (bits, *((2, 32) if fixed else ()))


@pytest.mark.parametrize("kind", get_args(get_type_hints(ActivationSpec)["kind"]))
def test_recipes_refuse_the_bits_that_activations_of_a_kind_cannot_have(kind):
    makers = {
        "relu": lambda bits: QuantReLU(bits, 1.0),
        "linear": lambda bits: LinearQuant(bits, 1.0),
        "log": lambda bits: LogQuant(bits, 1.0),
        "log_relu": lambda bits: LogQuant(bits, 1.0, signed=False),
    }
    for bits in range(10):
        expected = buildable(lambda bits=bits: makers[kind](bits)) if kind in makers else bits == 1
        assert buildable(lambda bits=bits: ActivationSpec(kind, bits)) == expected
        if expected:
            build_activation(ActivationSpec(kind, bits))
