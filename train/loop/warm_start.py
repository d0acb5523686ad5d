"""A run that begins with the weights of another, such as a binary network with those of its float twin."""

import math
from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor, nn

from ...errors import DataError, UsageError
from ..duo.decouple import decoupled_tensors, fits_coupled
from ..layers.modules import QuantConv2d, QuantLinear
from ..recipe import Recipe
from .checkpoint import load_tensors, parse
from .optim import clip_latent_weights
from .recurrent_start import correct_means, recurrent_tensors
from .runs import AboutBest, RunFolder, load_run

__all__ = ["warm_start"]


@torch.no_grad()
def warm_start(model: nn.Sequential, run: Path, samples: Tensor | None = None) -> str:
    """Put the best weights of a run into `model`, those of equal name and shape; what was taken, in a sentence.

    A decoupled BinaryDuo network takes those of a coupled one as `duo.decouple` has it, a recurrent network in integer
    arithmetic those of its float twin as `recurrent_start` has it; samples (B, ...): some of the training's, in their
    order, for the means of its states.

    Float weights that come upon a grid (`WeightQuantizer.initial_bound` is its range) are scaled up to it: small as
    they are, 2 bits would round all to 0. BatchNorm, whose statistics follow in a few steps, takes the scale. Latent
    weights are clipped to their bound, as after a step. UsageError if nothing fits, DataError if the folder holds no
    trained network.
    """
    best = RunFolder(run).best
    if not best.is_file():
        raise DataError(f"init: {run} holds no trained network (no {best.name})")
    tensors, about = load_tensors(best)
    if fits_coupled(model, tensors):
        model.load_state_dict(decoupled_tensors(tensors, model))
        return f"the network of {run}, decoupled: it begins by computing the same"
    own, source = model.state_dict(), parse(AboutBest, about, best).recipe
    rounded = recurrent_tensors(model, tensors, source)
    tensors |= rounded
    taken = [name for name, tensor in tensors.items() if name in own and own[name].shape == tensor.shape]
    if not taken:
        raise UsageError(f"init: no tensor of {run} has the name and shape of one of this network")
    model.load_state_dict({name: tensors[name] for name in taken}, strict=False)
    _scale_to_grids(model, set(taken) - set(rounded), source)
    clip_latent_weights(model)
    if rounded and samples is not None:
        training = model.training
        correct_means(model, load_run(run).model.to(samples.device), samples)
        model.train(training)
    left = [name for name in own if name not in taken]
    return f"{len(taken)} of {len(own)} tensors taken from {run}" + (f"; new: {', '.join(left)}" if left else "")


def _scale_to_grids(model: nn.Module, taken: Collection[str], source: Recipe) -> None:
    """Give weights of float layers the root mean square of a fresh layer's, where that begins over its whole range."""
    for name, layer in model.named_modules():
        if not isinstance(layer, QuantLinear | QuantConv2d) or f"{name}.weight" not in taken:
            continue
        bound = layer.weight_quantizer.initial_bound(*layer.fans)
        if bound == layer.weight_quantizer.latent_bound and source.model.weights_of(name).kind == "float":
            rms = float(layer.weight.square().mean().sqrt())
            if 0 < rms < bound / math.sqrt(3):
                layer.weight.mul_(bound / math.sqrt(3) / rms)
