"""Optimizers for networks with latent weights: learning-rate scale per layer, and clipping after every step.

Both come from BinaryConnect (1511.00363, sections 2.4 and 2.5, and the authors' code): a latent weight outside [-1, 1]
would change nothing in the forward pass, so it is clipped; and a layer's learning rate is scaled by
s = 1 / sqrt(1.5 / (n_in + n_out)), the inverse of its Glorot initialisation (s^2 for SGD, whose steps are
proportional to the gradient), as if the weights had been initialised to the unit range that they are clipped to.
With AdaMax the scale is AP2(s), the power of two nearest to s, as in BNN's released code, so that products stay shifts.
"""

import math
from typing import Any

import torch
from torch import nn

from ...errors import UsageError
from ..layers.ap2 import ap2
from ..layers.modules import QuantConv2d, QuantLinear
from ..layers.quantizers import BinaryWeights
from ..layers.recurrent import QuantRecurrent
from ..recipe import OptimizerSpec
from .adamax import ShiftAdaMax
from .bop import Bop, Together

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
            groups.append({"params": [module.weight], "lr_scale": _layer_scale(*module.fans, spec)})
            taken.add(id(module.weight))
    rest = [p for p in model.parameters() if id(p) not in taken]
    if rest:
        groups.append({"params": rest, "lr_scale": 1.0})
    return groups


def _layer_scale(n_in: int, n_out: int, spec: OptimizerSpec) -> float:
    scale = glorot_scale(n_in, n_out)
    if spec.lr_scale == "none":
        return 1.0
    if spec.kind == "sgd":
        return scale * scale
    return float(ap2(torch.tensor(scale))) if spec.kind in ("adamax", "adamax-released") else scale


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
    """The optimizer over `parameter_groups`, which clips the latent weights of `model` after each step.

    Adam and SGD are torch's fused ones: a single pass over each parameter. Bop takes the binary weights, Adam the rest;
    its gamma follows the schedule of the learning rate.
    """
    groups, betas = parameter_groups(model, spec), spec.betas
    assert betas is not None  # OptimizerSpec fills them in
    optimizer: torch.optim.Optimizer
    match spec.kind:
        case "adam":
            optimizer = torch.optim.Adam(
                groups, lr=spec.lr, betas=betas, eps=spec.eps, weight_decay=spec.weight_decay, fused=True
            )
        case "sgd":
            nesterov = spec.momentum > 0
            optimizer = torch.optim.SGD(
                groups,
                lr=spec.lr,
                momentum=spec.momentum,
                nesterov=nesterov,
                weight_decay=spec.weight_decay,
                fused=True,
            )
        case "adamax" | "adamax-released":
            optimizer = ShiftAdaMax(groups, spec.lr, betas, "paper" if spec.kind == "adamax" else "released")
        case "bop":
            optimizer = _bop(model, groups, spec, betas)
    set_learning_rate(optimizer, spec.rate(0.0))
    if spec.clip is not None:
        bound = spec.clip
        optimizer.register_step_pre_hook(lambda *_: _clip_gradients(model, bound))
    optimizer.register_step_post_hook(lambda *_: clip_latent_weights(model))
    return optimizer


def _bop(
    model: nn.Module, groups: list[dict[str, Any]], spec: OptimizerSpec, betas: tuple[float, float]
) -> torch.optim.Optimizer:
    binary = {
        id(module.weight)
        for module in model.modules()
        if isinstance(module, QuantConv2d | QuantLinear | QuantRecurrent)
        and isinstance(module.weight_quantizer, BinaryWeights)
        and not module.weight_quantizer.stochastic
    }
    flipped = [group for group in groups if id(group["params"][0]) in binary]
    if not flipped:
        raise UsageError("optimizer kind: bop flips binary weights; this model has none (weights: {kind: binary})")
    for group in flipped:
        group["lr_scale"] = spec.flip_rate / spec.lr
    rest = [group for group in groups if id(group["params"][0]) not in binary]
    bop = Bop(flipped, spec.flip_rate, spec.flip_threshold)
    if not rest:
        return bop
    return Together(bop, torch.optim.Adam(rest, lr=spec.lr, betas=betas, eps=spec.eps, fused=True))


def _clip_gradients(model: nn.Module, bound: float) -> None:
    """Scale all gradients down together where their norm is above the bound (Pascanu et al. 2013, 1211.5063)."""
    nn.utils.clip_grad_norm_(model.parameters(), bound)
