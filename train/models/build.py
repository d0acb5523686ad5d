"""A recipe's network: what stands in front, if anything, and a multi-layer perceptron."""

from collections import OrderedDict
from functools import partial

from torch import nn

from ..data.datasets import DatasetInfo
from ..layers.dropout import Dropout
from ..layers.gradients import GradientQuantizer
from ..layers.modules import ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear
from ..layers.recurrent import QuantRecurrent
from ..layers.whitening import GcnZca
from ..recipe import Recipe
from .language import recurrent_layers, text_model
from .networks import elements, network_layers
from .norms import build_norm, build_score_norm
from .parts import activated, build_activation, build_weights, channel_factor
from .residual import residual_layers

__all__ = ["build_activation", "build_model", "build_weights"]


def build_model(recipe: Recipe) -> nn.Sequential:
    """Raw samples (B, *shape) -> scores (B, C), freshly initialised from torch's generator.

    [whiten,] quantize, [channels, then per convolution i: conv_i, conv_norm_i, conv_act_i, [pool_i],] or [channels and
    what `residual.residual_layers` lists,] or [embed, embed_act, cell,] flatten, [drop0], then per hidden layer i:
    fc_i, norm_i, act_i, [drop_i], then fc and scores. A decoupled activation is part of the norm_i in front
    (`duo.twins`). Or quantize and what `networks` has of that name.
    The names are those that the exported network and the Verilog show.
    UsageError where the convolutions leave nothing of the map.
    """
    info, spec = recipe.info, recipe.model
    if info.tokens:
        return _with_gradients(text_model(recipe, build_weights), recipe)
    source = recipe.input
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    if recipe.preprocess is not None:
        layers["whiten"] = GcnZca(info.shape, recipe.preprocess.gcn_bias, recipe.preprocess.zca_bias)
    layers["quantize"] = InputQuantizer(source.bits, source.encoding, source.lo, source.hi)
    if spec.network is not None:
        layers |= network_layers(spec, info.shape, len(info.class_names))
        return _with_gradients(nn.Sequential(layers), recipe)
    if spec.convs:
        layers |= _convolutions(recipe)
    if spec.residual is not None:
        layers["channels"] = ChannelsFirst()
        layers |= residual_layers(spec.residual, _channels(info), spec.norm, spec.weights, spec.activation)
    layers["flatten"] = nn.Flatten()
    if spec.recurrent is not None:
        layers |= recurrent_layers(recipe, info, build_weights)
    elif spec.dropout_input:
        layers["drop0"] = Dropout(spec.dropout_input)
    width = elements(nn.Sequential(layers), info.shape)
    for i, hidden in enumerate(spec.hidden, start=1):
        layers[f"fc{i}"] = QuantLinear(width, hidden, weight=build_weights(spec.weights_of(f"fc{i}")))
        activation = spec.activation_of(f"fc{i}")
        layers |= activated(f"norm{i}", f"act{i}", activation, partial(build_norm, spec.norm, hidden))
        if spec.dropout_hidden:
            layers[f"drop{i}"] = Dropout(spec.dropout_hidden)
        width = hidden * channel_factor(activation)
    classes = len(info.class_names)
    last = f"fc{len(spec.hidden) + 1}"
    layers[last] = QuantLinear(width, classes, weight=build_weights(spec.weights_of(last)))
    layers["scores"] = build_score_norm(spec.norm, classes)
    return _with_gradients(nn.Sequential(layers), recipe)


def _with_gradients(model: nn.Sequential, recipe: Recipe) -> nn.Sequential:
    """The model with gradients of few bits, where the recipe has them."""
    if recipe.gradients is not None:
        for module in model.modules():
            if isinstance(module, QuantConv2d | QuantLinear | QuantRecurrent):
                module.gradient_quantizer = GradientQuantizer(recipe.gradients.bits, recipe.gradients.kind)
    return model


def _convolutions(recipe: Recipe) -> OrderedDict[str, nn.Module]:
    spec, channels = recipe.model, _channels(recipe.info)
    layers: OrderedDict[str, nn.Module] = OrderedDict(channels=ChannelsFirst())
    for i, conv in enumerate(spec.convs, start=1):
        layers[f"conv{i}"] = QuantConv2d(
            channels,
            conv.channels,
            conv.kernel,
            weight=build_weights(spec.weights_of(f"conv{i}")),
            stride=conv.stride,
            padding=conv.padding,
            pad_value=conv.pad_value,
        )
        pool = {f"pool{i}": nn.MaxPool2d(conv.pool)} if conv.pool else {}
        activation = spec.activation_of(f"conv{i}")
        norm = partial(build_norm, spec.norm, conv.channels, maps=True)
        layers |= pool if conv.pool_first else {}
        layers |= activated(f"conv_norm{i}", f"conv_act{i}", activation, norm)
        layers |= {} if conv.pool_first else pool
        channels = conv.channels * channel_factor(activation)
    return layers


def _channels(info: DatasetInfo) -> int:
    """Channels of an image; grey ones come without the axis."""
    return info.shape[2] if len(info.shape) == 3 else 1
