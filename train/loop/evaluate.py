"""Evaluation on the canonical path: eval mode, float32 (scores float64), whole batches, no gradient."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..layers.modules import QuantConv2d, QuantLinear
from ..layers.quantizers import BinaryWeights, FloatWeights
from ..layers.recurrent import QuantRecurrent
from ..layers.sequences import whole_sequences

__all__ = ["accuracy", "class_scores"]

_BATCH = 1000


def class_scores(
    model: nn.Module, images: Tensor, weights: Literal["binary", "real", "ensemble"] = "binary", draws: int = 20
) -> Tensor:
    """Scores (B, C) of raw samples; the model comes back in the mode it had.

    weights: BinaryConnect's three ways at test time (1511.00363, section 2.6). binary: the network that goes to
    hardware; real: the latent weights; ensemble: the mean score of `draws` networks whose stochastic weights are
    sampled from torch's generator, other weights being as they are (UsageError if none are stochastic).
    """
    training = model.training
    model.eval()
    try:
        if weights == "binary":
            return _batches(model, images)
        if weights == "real":
            with _latent(model):
                return _batches(model, images)
        return _ensemble(model, images, draws)
    finally:
        model.train(training)


def accuracy(
    model: nn.Module,
    images: Tensor,
    labels: Tensor,
    weights: Literal["binary", "real", "ensemble"] = "binary",
    draws: int = 20,
) -> float:
    """The fraction of samples whose first largest score is the label's; parameters as for `class_scores`."""
    hits = class_scores(model, images, weights, draws).argmax(1) == labels
    return float(hits.double().mean())


@torch.inference_mode()
def _batches(model: nn.Module, images: Tensor) -> Tensor:
    return torch.cat([model(part) for part in torch.split(images, whole_sequences(model, _BATCH))])


def _ensemble(model: nn.Module, images: Tensor, draws: int) -> Tensor:
    quantizers = [
        m.weight_quantizer for m in model.modules() if isinstance(m, QuantConv2d | QuantLinear | QuantRecurrent)
    ]
    if draws < 1:
        raise UsageError(f"an ensemble needs at least one draw, not {draws}")
    sampled = [q for q in quantizers if isinstance(q, BinaryWeights) and q.stochastic]
    if not sampled:
        raise UsageError("an ensemble is of sampled stochastic weights; this network has none, each draw were the same")
    for quantizer in sampled:
        quantizer.train()  # these weights alone are sampled; BatchNorm and activations stay in eval mode
    return torch.stack([_batches(model, images) for _ in range(draws)]).mean(0)


@contextmanager
def _latent(model: nn.Module) -> Iterator[None]:
    layers = [m for m in model.modules() if isinstance(m, QuantConv2d | QuantLinear | QuantRecurrent)]
    earlier = [layer.weight_quantizer for layer in layers]
    try:
        for layer in layers:
            layer.weight_quantizer = FloatWeights().eval()
        yield
    finally:
        for layer, quantizer in zip(layers, earlier, strict=True):
            layer.weight_quantizer = quantizer
