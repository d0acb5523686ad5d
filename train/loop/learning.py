"""Whether each layer learns: how many of its weights moved in an epoch, and how many of their codes."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..layers.modules import QuantConv2d, QuantLinear
from ..layers.recurrent import QuantRecurrent
from .metrics import EpochRecord, LayerRecord

__all__ = ["check_finite", "flip_ratio", "latent_weights", "layer_records", "notes_on_learning"]

_Layer = QuantConv2d | QuantLinear | QuantRecurrent


def _layers(model: nn.Module) -> dict[str, _Layer]:
    return {name: module for name, module in model.named_modules() if isinstance(module, _Layer)}


def latent_weights(model: nn.Module) -> dict[str, Tensor]:
    """A copy of the real weights of every layer with a weight quantizer, by the layer's name."""
    return {name: layer.weight.detach().clone() for name, layer in _layers(model).items()}


def layer_records(model: nn.Module, before: Mapping[str, Tensor]) -> dict[str, LayerRecord]:
    """What became of the weights since `before`, which `latent_weights` took from the same model."""
    records = {}
    for name, layer in _layers(model).items():
        now, earlier = layer.weight.detach(), before[name]
        flips = None
        if layer.weight_quantizer.encoding != "float":
            codes = layer.weight_quantizer.codes
            flips = _share(codes(earlier) != codes(now))
        records[name] = LayerRecord(flips, _share(earlier == now), now.numel())
    return records


def _share(mask: Tensor) -> float:
    return int(mask.sum()) / mask.numel()


def flip_ratio(layers: Mapping[str, LayerRecord]) -> float:
    """The fraction of all layers' weight codes that changed."""
    coded = [(layer.flips, layer.weights) for layer in layers.values() if layer.flips is not None]
    return sum(flips * weights for flips, weights in coded) / max(1, sum(weights for _, weights in coded))


def notes_on_learning(records: Sequence[EpochRecord]) -> list[str]:
    """What is to be said after the last epoch of `records` of layers that do not learn.

    A layer whose weights all stand still is told of when that begins; one whose codes never changed, after the first
    and the tenth epoch: that of a network which has settled is nothing to worry about.
    """
    notes = []
    epoch, layers = records[-1].epoch, records[-1].layers
    for name, layer in layers.items():
        earlier = [record.layers[name] for record in records[:-1] if name in record.layers]
        if layer.dead == 1:
            if not (earlier and earlier[-1].dead == 1):
                notes.append(
                    f"{name} does not learn: none of its weights moved in epoch {epoch}; no gradient comes back"
                )
        elif epoch in (1, 10) and layer.flips == 0 and all(record.flips == 0 for record in earlier):
            notes.append(f"{name} does not learn: not one of its weight codes changed up to epoch {epoch}")
    return notes


def check_finite(model: nn.Module, epoch: int) -> None:
    """UsageError naming the first parameter that holds something else than numbers: a sign would hide it."""
    for name, parameter in model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise UsageError(f"training diverged: {name} is not finite after epoch {epoch}; try a smaller optimizer.lr")
