"""Recurrent networks: a table of learned codes, a recurrent layer, and the scores of what comes next."""

import math
from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from ...errors import UsageError
from ..data.datasets import DatasetInfo
from ..layers.dropout import Dropout
from ..layers.modules import QuantLinear
from ..layers.quantizers import BipolarWeights, FloatWeights, WeightQuantizer
from ..layers.recurrent import CellSpec, QuantHardtanh, QuantLSTM, QuantRNN
from ..layers.sequences import FloatRecurrent, QuantEmbedding, SequenceLayer, TextScores, TokenQuantizer
from ..recipe import InputSpec, Recipe, RecurrentSpec, WeightSpec

__all__ = ["recurrent_layers", "text_model"]

WeightBuilder = Callable[[WeightSpec], WeightQuantizer]


def text_model(recipe: Recipe, build_weights: WeightBuilder) -> nn.Sequential:
    """Tokens (B, 1), or one-hot samples (B, C), to scores (B, C): quantize, embed, [embed_act,] [drop0,] cell,
    [drop_cell,] text, which holds fc1 and scores. UsageError for what such a network does not have."""
    spec, info = recipe.model, recipe.info
    assert spec.recurrent is not None  # by the recipe
    if spec.hidden:
        raise UsageError(f"model.hidden must be empty for {recipe.dataset}, not {list(spec.hidden)}")
    if recipe.input != InputSpec(1, 0, 1, "unsigned"):
        raise UsageError(f"input must be {{bits: 1, lo: 0, hi: 1, encoding: unsigned}} for {recipe.dataset}")
    if recipe.accumulate > 1:
        raise UsageError("accumulate must be 1 where states are carried from batch to batch")
    layers: OrderedDict[str, nn.Module] = OrderedDict(quantize=TokenQuantizer())
    layers |= recurrent_layers(recipe, info, build_weights)
    layers["text"] = TextScores(
        spec.recurrent.hidden,
        len(info.class_names),
        weight=build_weights(spec.weights_of("fc1")),
        top=1 << spec.recurrent.bits,
        score_bits=spec.norm.score_bits,
    )
    for layer in layers.values():
        if isinstance(layer, SequenceLayer):
            layer.carries = "training"
    return nn.Sequential(layers)


def recurrent_layers(recipe: Recipe, info: DatasetInfo, build_weights: WeightBuilder) -> OrderedDict[str, nn.Module]:
    """Tokens or one-hot samples to learned codes on the state's grid, and the recurrent layer; dropout_input between
    them, dropout_hidden behind."""
    spec = recipe.model.recurrent
    assert spec is not None  # by the caller
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if info.tokens:
        codes = FloatWeights() if spec.arithmetic == "float" else BipolarWeights(spec.bits)
        layers["embed"] = QuantEmbedding(len(info.class_names), spec.embed, weight=codes)
    else:
        table = QuantLinear(math.prod(info.shape), spec.embed, weight=build_weights(recipe.model.weights))
        nn.init.uniform_(table.weight, -1, 1)  # all codes from the beginning
        layers["embed"] = table
    if spec.arithmetic == "integer":
        layers["embed_act"] = QuantHardtanh(spec.bits)
    if recipe.model.dropout_input:
        layers["drop0"] = Dropout(recipe.model.dropout_input)
    layers["cell"] = _cell(spec, build_weights(recipe.model.weights), info.steps)
    if recipe.model.dropout_hidden:
        layers["drop_cell"] = Dropout(recipe.model.dropout_hidden)
    return layers


def _cell(spec: RecurrentSpec, weight: WeightQuantizer, steps: int | None) -> SequenceLayer:
    sizes = (spec.embed, spec.hidden)
    if spec.arithmetic == "float":
        return FloatRecurrent(spec.kind, *sizes, steps=steps)
    if spec.kind == "rnn":
        return QuantRNN(*sizes, weight=weight, bits=spec.bits, steps=steps)
    cell = CellSpec(spec.gate_bits, spec.cell_bits, spec.cell_point)
    return QuantLSTM(*sizes, weight=weight, bits=spec.bits, cell=cell, steps=steps)
