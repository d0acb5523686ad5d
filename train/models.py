"""A recipe's multi-layer perceptron."""

from collections import OrderedDict

from torch import nn

from .datasets import DATASETS
from .layers import BatchNorm1d, InputQuantizer, QuantLinear, QuantReLU, ScoreNorm, Sign
from .quantizers import BinaryWeights, BipolarWeights, FloatWeights, WeightQuantizer
from .recipe import ActivationSpec, Recipe, WeightSpec

__all__ = ["build_activation", "build_model", "build_weights"]


def build_weights(spec: WeightSpec) -> WeightQuantizer:
    """A new weight quantizer."""
    match spec.kind:
        case "binary" | "stochastic":
            return BinaryWeights(stochastic=spec.kind == "stochastic")
        case "bipolar":
            return BipolarWeights(spec.bits)
        case "float":
            return FloatWeights()


def build_activation(spec: ActivationSpec) -> Sign | QuantReLU:
    """A new activation."""
    if spec.kind == "relu":
        return QuantReLU(spec.bits, spec.step)
    return Sign(stochastic=spec.kind == "stochastic")


def build_model(recipe: Recipe) -> nn.Sequential:
    """Raw samples (B, *shape) -> scores (B, C), freshly initialised from torch's generator.

    quantize, flatten, [drop0], then per hidden layer i: fc_i, norm_i, act_i, [drop_i], then fc and scores. The names
    are those that the exported network and the Verilog show.
    """
    info, spec = DATASETS[recipe.dataset], recipe.model
    source = recipe.input
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["quantize"] = InputQuantizer(source.bits, source.encoding, source.lo, source.hi)
    layers["flatten"] = nn.Flatten()
    if spec.dropout_input:
        layers["drop0"] = nn.Dropout(spec.dropout_input)
    width = 1
    for extent in info.shape:
        width *= extent
    for i, hidden in enumerate(spec.hidden, start=1):
        layers[f"fc{i}"] = QuantLinear(width, hidden, weight=build_weights(spec.weights))
        layers[f"norm{i}"] = BatchNorm1d(hidden, eps=spec.norm.eps, momentum=spec.norm.momentum)
        layers[f"act{i}"] = build_activation(spec.activation)
        if spec.dropout_hidden:
            layers[f"drop{i}"] = nn.Dropout(spec.dropout_hidden)
        width = hidden
    classes = len(info.class_names)
    layers[f"fc{len(spec.hidden) + 1}"] = QuantLinear(width, classes, weight=build_weights(spec.weights))
    layers["scores"] = ScoreNorm(classes, spec.norm.eps, spec.norm.momentum, score_bits=spec.norm.score_bits)
    return nn.Sequential(layers)
