"""The pieces of a network as a recipe names them: weight quantizers, activations, and a normalisation with its
activation."""

from collections import OrderedDict
from collections.abc import Callable
from functools import partial

from torch import nn

from ..duo.twins import Twins
from ..layers.activations import LinearQuant, LogQuant
from ..layers.modules import QuantReLU, Sign
from ..layers.qnn import LogWeights, SignedWeights, TernaryWeights
from ..layers.quantizers import BinaryWeights, BipolarWeights, FloatWeights, WeightQuantizer
from ..recipe import ActivationSpec, WeightSpec

__all__ = ["activated", "build_activation", "build_weights", "channel_factor"]


def build_weights(spec: WeightSpec) -> WeightQuantizer:
    """A new weight quantizer."""
    match spec.kind:
        case "binary" | "stochastic":
            return BinaryWeights(stochastic=spec.kind == "stochastic")
        case "bipolar":
            return BipolarWeights(spec.bits)
        case "signed":
            return SignedWeights(spec.bits)
        case "log":
            return LogWeights(spec.bits)
        case "ternary":
            return TernaryWeights()
        case "float":
            return FloatWeights()


def build_activation(spec: ActivationSpec) -> Sign | QuantReLU | LinearQuant | LogQuant | nn.ReLU:
    """A new activation."""
    match spec.kind:
        case "relu":
            return QuantReLU(spec.bits, spec.step)
        case "linear":
            return LinearQuant(spec.bits, spec.step)
        case "log" | "log_relu":
            return LogQuant(spec.bits, spec.step, signed=spec.kind == "log")
        case "sign" | "stochastic":
            return Sign(spec.kind == "stochastic", spec.surrogate)
        case "ternary":
            return QuantReLU(2, spec.step / 2, top=2)
        case "decoupled":
            return QuantReLU(1, spec.step)
        case "float":
            return nn.ReLU()


def activated(
    norm_name: str,
    act_name: str,
    activation: ActivationSpec,
    norm: Callable[[], nn.BatchNorm1d | nn.BatchNorm2d],
) -> OrderedDict[str, nn.Module]:
    """A normalisation and its activation; a decoupled pair is one module, of the normalisation's name."""
    if activation.kind == "decoupled":
        twins = Twins(norm, partial(build_activation, activation), shift=activation.step / 4)
        return OrderedDict({norm_name: twins})
    return OrderedDict({norm_name: norm(), act_name: build_activation(activation)})


def channel_factor(activation: ActivationSpec) -> int:
    """How many channels an activation yields for each that it takes."""
    return 2 if activation.kind == "decoupled" else 1
