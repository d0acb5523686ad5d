"""A trained float network becomes an 8-bit integer network: quantization after training, BatchNorm folded."""

import copy
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ...errors import UnsupportedLayerError, UsageError
from ...train.layers.modules import ChannelsFirst, InputQuantizer, QuantConv2d, QuantLinear
from ..int8 import int8_scores, int8_weights, requantize_node
from ..ir import CodeType, Conv2d, Dense, Encoding, Input, InputTransform, IntegerNetwork, MaxPool, Node
from ..names import identifier
from ..ranges import acc_type
from ..verify import verify
from .canonical import pool_extents
from .checks import pool_problems
from .nodes import conv_node

__all__ = ["compile_int8"]

Reals = NDArray[np.float64]

_BATCH = 128  # samples that are run through the module at a time: bounds the memory, not the result
_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)  # with the subclasses of train.layers, ScoreNorm among them
_PASSED = (ChannelsFirst, nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity)
_KNOWN = (InputQuantizer, QuantLinear, QuantConv2d, *_NORMS, nn.ReLU, nn.MaxPool2d, *_PASSED)


def compile_int8(
    module: nn.Module,
    calibration: NDArray[np.generic],
    *,
    class_names: Sequence[str] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> IntegerNetwork:
    """An int8 network (`compiler/int8.py`) that approximates `module`; how well, its accuracy tells.

    module: an nn.Sequential: InputQuantizer, then QuantLinear or QuantConv2d (with FloatWeights, or any), each followed
    by BatchNorm if any and nn.ReLU, the last one by BatchNorm or ScoreNorm alone; ChannelsFirst, nn.MaxPool2d behind an
    activation, nn.Flatten and dropout between. It is not changed.
    calibration: raw samples (B, *shape); the largest output of each ReLU on them is its code 255.

    Raises UnsupportedLayerError that lists all layers without an int8 form, UsageError for everything else.
    """
    if not isinstance(module, nn.Sequential):
        raise UsageError(f"an nn.Sequential can be quantized to int8, not {type(module).__name__}")
    if calibration.ndim < 2 or not calibration.size:
        raise UsageError(f"calibration must be samples (B, *shape), not of shape {calibration.shape}")
    layers = dict(copy.deepcopy(module).to("cpu", torch.float32).eval().named_children())
    problems = list(_problems(layers))
    if problems:
        raise UnsupportedLayerError(f"no int8 form for {len(problems)} of the layers: {'; '.join(problems)}")
    chain = _Chain(calibration.shape[1:], _largest(layers, torch.from_numpy(calibration)))
    for name, layer in layers.items():
        chain.take(name, layer)
    nodes = chain.finished()
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(nodes[-1].type.size)))
    return verify(IntegerNetwork(nodes, names, dict(provenance or {})))


def _problems(layers: Mapping[str, nn.Module]) -> Iterator[str]:
    """Layers without an int8 form, or in an order that has none."""
    real = counted = False  # whether what stands here is no tensor of codes, and whether it comes from a dot product
    weighted = 0
    for index, (name, layer) in enumerate(layers.items()):
        title = f"{name} ({type(layer).__name__})"
        if not isinstance(layer, _KNOWN):
            yield f"{title} is none of a float network's; train one with weights and activations of kind: float"
        elif isinstance(layer, InputQuantizer) != (index == 0):
            yield f"{title}: an InputQuantizer stands in front, and there alone"
        elif isinstance(layer, QuantLinear | QuantConv2d):
            if real:
                yield f"{title} follows a dot product without an nn.ReLU between"
            if isinstance(layer, QuantConv2d) and weighted and layer.pad_value:
                yield f"{title} pads with {layer.pad_value}; only 0 is the same in every scale"
            real = counted = True
            weighted += 1
        elif isinstance(layer, (*_NORMS, nn.ReLU)) and not counted:
            yield f"{title} does not follow a dot product"
        elif isinstance(layer, nn.ReLU):
            real = counted = False
        elif isinstance(layer, nn.MaxPool2d) and real:
            yield f"{title} stands in front of the activation; pool behind it"
        elif isinstance(layer, nn.MaxPool2d):
            yield from (f"{title} {problem}" for problem in pool_problems(layer))
    if not real:
        yield "the last layer is no dot product, whose outputs are the scores"


def _largest(layers: Mapping[str, nn.Module], samples: Tensor) -> dict[str, float]:
    """The largest output of every ReLU."""
    largest: dict[str, float] = {}
    with torch.no_grad():
        for start in range(0, len(samples), _BATCH):
            x = samples[start : start + _BATCH]
            for name, layer in layers.items():
                x = layer(x)
                if isinstance(layer, nn.ReLU):
                    largest[name] = max(largest.get(name, 0.0), float(x.max()))
    return largest


class _Chain:
    """Makes nodes of layers one after the other.

    Behind a dot product `slope` and `intercept` (N,) say what its accumulators are worth: real = slope * acc +
    intercept. A code q of the last tensor of codes is worth `step` times the integer that it stands for.
    """

    def __init__(self, shape: tuple[int, ...], largest: Mapping[str, float]) -> None:
        self.shape, self.largest = shape, largest
        self.nodes: list[Node] = []
        self.step = 1.0
        self.turned = False
        self.slope: Reals = np.ones(1)
        self.intercept: Reals = np.zeros(1)
        self.taken = {"inputs", "scores"}

    def finished(self) -> tuple[Node, ...]:
        """All nodes, the scores of the last dot product among them."""
        return *self.nodes, int8_scores("scores", self.nodes[-1], self.slope, self.intercept)

    def take(self, name: str, layer: nn.Module) -> None:
        """Go on with a layer."""
        match layer:
            case InputQuantizer():
                kind = CodeType(self.shape, layer.bits, Encoding(layer.encoding))
                self.nodes.append(Input("inputs", (), kind, InputTransform(layer.lo, layer.hi)))
            case ChannelsFirst():
                self.turned = True
            case QuantLinear() | QuantConv2d():
                self.dot(name, layer)
            case nn.BatchNorm1d() | nn.BatchNorm2d():
                self.normalise(layer)
            case nn.ReLU():
                self.activate(name)
            case nn.MaxPool2d():
                self.pool(name, layer)

    def dot(self, name: str, layer: QuantLinear | QuantConv2d) -> None:
        """A dot product of 8-bit weights, columns with channels last."""
        before, source = self.nodes[-1], self.source
        with torch.no_grad():
            real = layer.weight_quantizer(layer.weight).double().numpy()
        if isinstance(layer, QuantConv2d):
            real = real.transpose(0, 2, 3, 1)
        elif self.turned and len(source.shape) == 3:  # flattened as (C, H, W)
            height, width, channels = source.shape
            real = real.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
        weights, scale = int8_weights(real.reshape(len(real), -1))
        if isinstance(layer, QuantConv2d):
            node: Dense | Conv2d = conv_node(self.named(name, "conv"), layer, before.name, weights, source)
        else:
            node = Dense(self.named(name, "fc"), (before.name,), acc_type(weights, source), weights)
        self.nodes.append(node)
        self.slope = scale * self.step
        self.intercept = np.zeros(len(real)) if layer.bias is None else layer.bias.detach().double().numpy()

    def normalise(self, layer: nn.BatchNorm1d | nn.BatchNorm2d) -> None:
        """BatchNorm is folded into what the accumulators are worth."""
        if layer.running_mean is None or layer.running_var is None:
            raise UsageError("a BatchNorm without running statistics depends on the batch")
        alpha = 1 / np.sqrt(layer.running_var.double().numpy() + layer.eps)
        beta = np.zeros(len(alpha))
        if layer.affine:
            alpha, beta = layer.weight.detach().double().numpy() * alpha, layer.bias.detach().double().numpy()
        self.slope = alpha * self.slope
        self.intercept = alpha * (self.intercept - layer.running_mean.double().numpy()) + beta

    def activate(self, name: str) -> None:
        """255 codes up to the largest output."""
        if not 0 < self.largest[name] < float("inf"):
            raise UsageError(f"{name}: its largest output on the calibration samples is {self.largest[name]:g}")
        self.step = self.largest[name] / 255
        named = self.named(name, "act")
        self.nodes.append(requantize_node(named, self.nodes[-1], self.slope / self.step, self.intercept / self.step))

    def pool(self, name: str, layer: nn.MaxPool2d) -> None:
        """The largest code of a window."""
        before = self.nodes[-1]
        draft = MaxPool(self.named(name, "pool"), (before.name,), self.source, *pool_extents(layer, self.source.shape))
        window = draft.window(self.source)
        kind = CodeType((*window.output, window.input[2]), self.source.bits, self.source.encoding)
        self.nodes.append(MaxPool(draft.name, draft.inputs, kind, draft.kernel, draft.stride))

    @property
    def source(self) -> CodeType:
        """Of the last node, which yields codes."""
        kind = self.nodes[-1].type
        assert isinstance(kind, CodeType)  # `_problems` lets nothing else pass
        return kind

    def named(self, name: str, prefix: str) -> str:
        """A node's name after the layer's."""
        found = identifier(name, prefix, self.taken)
        self.taken.add(found)
        return found
