"""Optimizers for networks with latent weights: learning-rate scale per layer, and clipping after every step.

Both come from BinaryConnect (1511.00363, section 2.4 and the authors' code): a latent weight outside [-1, 1] would
change nothing in the forward pass, so it is clipped; and a layer's learning rate is scaled by
s = 1 / sqrt(1.5 / (n_in + n_out)), the inverse of its Glorot initialisation (s^2 for SGD, whose steps are
proportional to the gradient), as if the weights had been initialised to the unit range that they are clipped to.
"""

import math
from typing import Any

import torch
from torch import nn

from ..layers.modules import QuantConv2d, QuantLinear
from ..layers.recurrent import QuantRecurrent
from ..recipe import OptimizerSpec

__all__ = ["build_optimizer", "clip_latent_weights", "glorot_scale", "parameter_groups", "set_learning_rate"]


def glorot_scale(n_in: int, n_out: int) -> float:
    """s = 1 / sqrt(1.5 / (n_in + n_out))."""
    return math.sqrt((n_in + n_out) / 1.5)


def parameter_groups(model: nn.Module, spec: OptimizerSpec) -> list[dict[str, Any]]:
    """Groups for torch.optim: one for each layer with latent weights, with its `lr_scale`; one for all the rest.

    `set_learning_rate` gives each group lr * lr_scale.
    """
    groups: list[dict[str, Any]] = []
    taken: set[int] = set()
    for module in model.modules():
        if (
            isinstance(module, QuantConv2d | QuantLinear | QuantRecurrent)
            and module.weight_quantizer.latent_bound is not None
        ):
            scale = glorot_scale(*module.fans) if spec.lr_scale == "glorot" else 1.0
            groups.append({"params": [module.weight], "lr_scale": scale if spec.kind == "adam" else scale * scale})
            taken.add(id(module.weight))
    rest = [p for p in model.parameters() if id(p) not in taken]
    if rest:
        groups.append({"params": rest, "lr_scale": 1.0})
    return groups


def set_learning_rate(optimizer: torch.optim.Optimizer, lr: float) -> None:
    """Set every group's rate to lr times the group's scale."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["lr_scale"]


@torch.no_grad()
def clip_latent_weights(model: nn.Module) -> None:
    """Clip the latent weights of every quantized layer in place to its quantizer's [-latent_bound, latent_bound]."""
    for module in model.modules():
        if (
            isinstance(module, QuantConv2d | QuantLinear | QuantRecurrent)
            and module.weight_quantizer.latent_bound is not None
        ):
            bound = module.weight_quantizer.latent_bound
            module.weight.clamp_(-bound, bound)


def build_optimizer(model: nn.Module, spec: OptimizerSpec) -> torch.optim.Optimizer:
    """Adam or Nesterov SGD over `parameter_groups`, which clips the latent weights of `model` after each step.

    Adam is torch's fused one: a single pass over each parameter.
    """
    groups = parameter_groups(model, spec)
    optimizer: torch.optim.Optimizer
    if spec.kind == "adam":
        optimizer = torch.optim.Adam(groups, lr=spec.lr, betas=spec.betas, eps=spec.eps, fused=True)
    else:
        optimizer = torch.optim.SGD(groups, lr=spec.lr, momentum=spec.momentum, nesterov=spec.momentum > 0, fused=True)
    set_learning_rate(optimizer, spec.rate(0.0))
    optimizer.register_step_post_hook(lambda *_: clip_latent_weights(model))
    return optimizer
