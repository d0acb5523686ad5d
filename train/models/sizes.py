"""How large a recipe's network is and what a sample costs, by the field's counting rule; nothing is trained.

Memory: each weight at its bits (32 where it is float), 32 bits for each other parameter: scales and biases.
Operations, after Bi-Real Net (arXiv 1808.00278, section 5): a multiply-add is one; of codes, with weights of w bits and
inputs of a bits, 64 products of bit planes are one, as a 64-bit machine counts them, so that it is w a / 64, at most
one. BinaryDuo's table of AlexNet and ResNet-18 is of decoupled networks by this rule.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from ...errors import UsageError
from ..duo.twins import Twins
from ..layers.activations import LinearQuant, LogQuant
from ..layers.dropout import Dropout
from ..layers.modules import ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear, QuantReLU, Sign
from ..layers.norms import ScoreNorm
from ..layers.quantizers import FloatWeights
from ..recipe import Recipe
from .build import build_model
from .googlenet import Inception

__all__ = ["LayerSize", "ModelSize", "model_size"]

_FLOAT = 32
_WORD = 64
_CODES = (InputQuantizer, QuantReLU, LinearQuant, LogQuant)
_PASSING = (ChannelsFirst, nn.Flatten, nn.MaxPool2d, nn.Dropout, Dropout, nn.Identity)


@dataclass(frozen=True, slots=True)
class LayerSize:
    """A layer. output: of a sample. weight_bits, input_bits: 32 for float. memory_bits: of its weights."""

    name: str
    output: tuple[int, ...]
    weight_bits: int
    input_bits: int
    weights: int
    macs: int
    memory_bits: int
    operations: float


@dataclass(frozen=True, slots=True)
class ModelSize:
    """layers: dot products in the order in which a sample meets them. other_parameters: 32 bits each."""

    layers: tuple[LayerSize, ...]
    other_parameters: int

    @property
    def memory_bits(self) -> int:
        """Of everything."""
        return sum(layer.memory_bits for layer in self.layers) + _FLOAT * self.other_parameters

    @property
    def operations(self) -> float:
        """A sample's."""
        return sum(layer.operations for layer in self.layers)


def model_size(recipe: Recipe) -> ModelSize:
    """The layers of a recipe's network; UsageError for recurrent recipes, whose cost depends on the text."""
    if recipe.model.recurrent is not None:
        raise UsageError(f"{recipe.name} is recurrent: inspect its network file instead")
    with torch.random.fork_rng(devices=[]):
        model = build_model(recipe).eval().to("meta")  # shapes without numbers
    weight_bits: dict[str, int] = {}
    for name, module in list(model.named_modules()):
        if isinstance(module, QuantConv2d | QuantLinear):
            weight_bits[name] = module.weight_quantizer.bits
            module.weight_quantizer = FloatWeights()  # numbers do not matter here, and a sign's need a device
        for child_name, child in module.named_children():
            if isinstance(child, Sign):
                setattr(module, child_name, QuantReLU(1, 1.0))
    found: list[LayerSize] = []
    bits: dict[int, tuple[Tensor, int]] = {}  # of tensors by id, which are kept so that no id comes twice

    def note(name: str, module: nn.Module, source: Tensor, output: Tensor) -> None:
        coming = bits[id(source)][1] if id(source) in bits else _FLOAT
        if isinstance(module, QuantConv2d | QuantLinear):
            found.append(_layer(name, module, weight_bits[name], coming, output))
        if id(output) not in bits or isinstance(module, _CODES):
            bits[id(output)] = (output, _bits(module, coming))

    def hook(name: str) -> Any:
        return lambda module, sources, output: note(name, module, sources[0], output)

    handles = [module.register_forward_hook(hook(name)) for name, module in model.named_modules()]
    with torch.no_grad():
        values = torch.zeros(1, *recipe.info.shape, dtype=torch.uint8, device="meta")
        for module in model:
            if not isinstance(module, ScoreNorm):  # it looks at its numbers
                values = module(values)
    for handle in handles:
        handle.remove()
    parameters = sum(p.numel() for p in model.parameters())
    return ModelSize(tuple(found), parameters - sum(layer.weights for layer in found))


def _bits(module: nn.Module, coming: int) -> int:
    """Of the numbers that a module yields."""
    if isinstance(module, Twins):
        *_, module = module.low.children()
    if isinstance(module, Inception | InputQuantizer | QuantReLU | LinearQuant | LogQuant):
        return module.bits
    return coming if isinstance(module, _PASSING) else _FLOAT


def _layer(name: str, module: QuantConv2d | QuantLinear, weight_bits: int, coming: int, output: Tensor) -> LayerSize:
    weights = module.weight.numel()
    positions = output[0, 0].numel() if output.dim() == 4 else 1
    macs = weights * positions
    share = min(1.0, weight_bits * coming / _WORD) if max(weight_bits, coming) < _FLOAT else 1.0
    return LayerSize(
        name, tuple(output.shape[1:]), weight_bits, coming, weights, macs, weights * weight_bits, macs * share
    )
