"""A run that begins with the weights of another, such as a binary network with those of its float twin."""

from pathlib import Path

import torch
from torch import nn

from ...errors import DataError, UsageError
from ..duo.decouple import decoupled_tensors, fits_coupled
from .checkpoint import load_tensors
from .optim import clip_latent_weights
from .runs import RunFolder

__all__ = ["warm_start"]


@torch.no_grad()
def warm_start(model: nn.Module, run: Path) -> str:
    """Put the best weights of a run into `model`, those of equal name and shape; what was taken, in a sentence.

    A decoupled BinaryDuo network takes those of a coupled one as `duo.decouple` has it.

    Latent weights are clipped to their bound, as after a step. UsageError if nothing fits, DataError if the folder
    holds no trained network.
    """
    best = RunFolder(run).best
    if not best.is_file():
        raise DataError(f"init: {run} holds no trained network (no {best.name})")
    tensors, _ = load_tensors(best)
    if fits_coupled(model, tensors):
        model.load_state_dict(decoupled_tensors(tensors, model))
        return f"the network of {run}, decoupled: it begins by computing the same"
    own = model.state_dict()
    taken = [name for name, tensor in tensors.items() if name in own and own[name].shape == tensor.shape]
    if not taken:
        raise UsageError(f"init: no tensor of {run} has the name and shape of one of this network")
    model.load_state_dict({name: tensors[name] for name in taken}, strict=False)
    clip_latent_weights(model)
    left = [name for name in own if name not in taken]
    return f"{len(taken)} of {len(own)} tensors taken from {run}" + (f"; new: {', '.join(left)}" if left else "")
