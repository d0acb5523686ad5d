"""Lowering: a trained PyTorch module becomes an integer network.

The module is traced into a chain (`lowering_trace`), and each layer's normalisation and activation are replaced by
integers found by evaluating that very module on the canonical path (`lowering_canonical`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UnsupportedLayerError, UsageError
from ..train.layers import QuantConv2d
from .ir import (
    AccType,
    CodeType,
    Conv2d,
    Dense,
    Encoding,
    Input,
    InputTransform,
    IntegerNetwork,
    MaxPool,
    Node,
    Scores,
    Threshold,
    Weights,
)
from .lowering_canonical import Canonical
from .lowering_roles import pair
from .lowering_trace import Chain, Layer, Pool, trace
from .ranges import acc_type, row_ranges
from .scores import find_scores, reduced
from .thresholds import find_thresholds
from .verify import verify
from .verify_edges import score_range

__all__ = ["compile_module"]

FLOAT32_EXACT = 1 << 24
TRIED = 16  # samples of the example that are run through the module


def compile_module(
    module: torch.nn.Module,
    example_input: Tensor | NDArray[np.generic],
    *,
    class_names: Sequence[str] | None = None,
    provenance: Mapping[str, str] | None = None,
) -> IntegerNetwork:
    """The integer network that equals `module` in eval mode, on the canonical path, bit for bit.

    module: an nn.Module that torch.fx can trace, built from the layers of `xnorflow.train` (InputQuantizer,
    ChannelsFirst, QuantConv2d, QuantLinear, Sign, QuantReLU, BatchNorm1d, BatchNorm2d, ScoreNorm), with torch's own
    BatchNorm1d, BatchNorm2d, MaxPool2d, Flatten, Dropout, Identity and multiplications or additions of constants
    between. It is not changed: mode, device and parameters stay.
    example_input: raw samples (B, *shape), B >= 1. Without an InputQuantizer they also tell the input's type: uint8
    is an 8-bit unsigned input, real numbers that are all -1 or +1 a 1-bit one.
    class_names: one a score, "0", "1", ... if not given. provenance: text that the network file keeps.

    Raises UnsupportedLayerError that lists all layers without an integer form, UsageError for everything else.
    """
    example = example_input if isinstance(example_input, Tensor) else torch.tensor(np.asarray(example_input))
    if example.dim() < 2 or example.numel() == 0:
        raise UsageError(f"example_input must be samples (B, *shape), not of shape {tuple(example.shape)}")
    chain = trace(module)
    canonical = Canonical(chain)
    check_example(chain, canonical, example)
    source = input_node(chain, example)
    nodes: list[Node] = [source]
    kind = source.type
    for layer in chain.layers:
        for pool in layer.pools_before:
            nodes.append(pool_node(pool, nodes[-1]))
            kind = replace(kind, shape=nodes[-1].type.shape)
        dot = dot_node(chain, layer, nodes[-1], kind)
        nodes.append(dot)
        for pool in layer.acc_pools:
            nodes.append(pool_node(pool, nodes[-1]))
        if layer.activation is None:
            nodes.append(scores_node(chain, canonical, dot, kind))
            break
        threshold = threshold_node(canonical, layer, dot, kind, nodes[-1])
        nodes.append(threshold)
        kind = threshold.type
        for pool in layer.code_pools:
            nodes.append(pool_node(pool, nodes[-1]))
            kind = replace(kind, shape=nodes[-1].type.shape)
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(nodes[-1].type.size)))
    return verify(IntegerNetwork(tuple(nodes), names, dict(provenance or {})))


def check_example(chain: Chain, canonical: Canonical, example: Tensor) -> None:
    """Run a few samples: shapes must fit, each dense layer works on whole samples (B, K), and what follows a
    convolution on maps up to its codes."""
    try:
        canonical.everything(example[:TRIED].cpu(), ())
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"the module does not run on example_input {tuple(example.shape)}: {reason}") from error
    samples = min(TRIED, len(example))
    for layer in chain.layers:
        for node in (layer.dot_node, *layer.epilogue):
            shape = tuple(canonical.env[node].shape)
            if isinstance(layer.dot, QuantConv2d):
                if layer.activation is None:
                    raise UnsupportedLayerError(f"{layer.dot_node.target} ends the module; the scores' layer is dense")
                if len(shape) != 4 or shape[:2] != (samples, layer.dot.out_channels):
                    raise UnsupportedLayerError(
                        f"{node.target} yields shape {shape} for {samples} samples; between a convolution and its "
                        "activation only (B, N, H, W) has an integer form"
                    )
            elif shape != (samples, layer.dot.out_features):
                raise UnsupportedLayerError(
                    f"{node.target} yields shape {shape} for {samples} samples; only (B, N) has an integer form"
                )


def input_node(chain: Chain, example: Tensor) -> Input:
    """The input's type and transform: the InputQuantizer's, or else what the example shows."""
    shape = tuple(example.shape[1:])
    quantizer = chain.quantizer
    if quantizer is not None:
        kind = CodeType(shape, quantizer.bits, Encoding(quantizer.encoding))
        return Input("inputs", (), kind, InputTransform(quantizer.lo, quantizer.hi))
    if example.dtype == torch.uint8:
        return Input("inputs", (), CodeType(shape, 8, Encoding.UNSIGNED), InputTransform(0.0, 255.0))
    if bool((example.abs() == 1).all()):
        return Input("inputs", (), CodeType(shape, 1, Encoding.BIPOLAR), InputTransform(-1.0, 1.0))
    raise UsageError(
        f"the input's integers are not known: the module has no InputQuantizer and example_input ({example.dtype}) is "
        "neither uint8 nor all -1 and +1; put an InputQuantizer in front"
    )


def dot_node(chain: Chain, layer: Layer, before: Node, source: CodeType) -> Dense | Conv2d:
    """The dot product; UsageError if its weights or accumulators are not what the canonical path computes exactly.

    Weight columns follow the integer network's order, channels last.
    """
    quantizer = layer.dot.weight_quantizer
    latent = layer.dot.weight
    codes = quantizer.codes(latent).numpy().astype(np.uint8)
    with torch.no_grad():
        used = quantizer(latent).numpy()
    if not np.array_equal(used, CodeType(codes.shape, quantizer.bits, Encoding(quantizer.encoding)).values(codes)):
        raise UsageError(
            f"{layer.dot_node.target}: the values of {type(quantizer).__name__} are not those of its codes"
        )
    if isinstance(layer.dot, QuantConv2d):
        codes = codes.transpose(0, 2, 3, 1)
    elif chain.channels_first and len(source.shape) == 3:  # flattened as (C, H, W)
        height, width, channels = source.shape
        codes = codes.reshape(-1, channels, height, width).transpose(0, 2, 3, 1)
    matrix = np.ascontiguousarray(codes.reshape(len(codes), -1))
    weights = Weights(matrix, quantizer.bits, Encoding(quantizer.encoding))
    node = (
        conv_node(layer.name, layer.dot, before.name, weights, source)
        if isinstance(layer.dot, QuantConv2d)
        else Dense(layer.name, (before.name,), acc_type(weights, source), weights)
    )
    lo, hi = node.type.lo, node.type.hi
    if max(-lo, hi) >= FLOAT32_EXACT:
        raise UsageError(f"{layer.dot_node.target}: accumulators {lo}..{hi} are not exact in float32 (2^24)")
    return node


def conv_node(name: str, module: QuantConv2d, before: str, weights: Weights, source: CodeType) -> Conv2d:
    """A convolution; UsageError if it pads with what is no value of its input."""
    kernel, stride, dilation = pair(module.kernel_size), pair(module.stride), pair(module.dilation)
    padding = (int(module.padding[0]), int(module.padding[1]))
    pad_code = None
    if padding != (0, 0):
        values = source.values(np.arange(1 << source.bits)).tolist()
        if module.pad_value not in values:
            raise UsageError(
                f"{name}: pads with {module.pad_value}, which is no value of its {source.bits}-bit {source.encoding} "
                f"input; train with a pad_value such as {values[0]} or {values[-1]}"
            )
        pad_code = values.index(module.pad_value)
    draft = Conv2d(name, (before,), AccType((1,), 0, 0), weights, kernel, stride, padding, dilation, pad_code)
    return replace(draft, type=acc_type(weights, source, draft.window(source).output))


def pool_node(pool: Pool, before: Node) -> MaxPool:
    """A pool behind `before`."""
    draft = MaxPool(pool.name, (before.name,), before.type, pool.kernel, pool.stride)
    window = draft.window(before.type)
    return replace(draft, type=replace(before.type, shape=(*window.output, window.input[2])))


def threshold_node(
    canonical: Canonical, layer: Layer, dot: Dense | Conv2d, source: CodeType, before: Node
) -> Threshold:
    """Everything between the accumulators, which `before` yields, and the activation's codes."""
    activation = layer.activation
    assert activation is not None  # the caller's case
    kind = CodeType(before.type.shape, activation.bits, Encoding(activation.encoding))

    def evaluate(acc: NDArray[np.int64]) -> NDArray[np.uint8]:
        return codes_of(canonical.outputs(layer, torch.from_numpy(acc)), kind, str(layer.end.target))

    check_finite(canonical, layer, dot.type)
    thresholds, descending = find_thresholds(
        evaluate, row_ranges(dot.weights, source), kind.max_code, dot.type, str(layer.end.target)
    )
    return Threshold(layer.sink_name, (before.name,), kind, thresholds, descending)


def codes_of(values: Tensor, kind: CodeType, name: str) -> NDArray[np.uint8]:
    """Codes of an activation's values; UsageError if one is not on the grid."""
    real = values.double().numpy()
    codes = (real + kind.max_code) / 2 if kind.encoding is Encoding.BIPOLAR else real
    wrong = (codes != np.floor(codes)) | (codes < 0) | (codes > kind.max_code)
    if wrong.any():
        raise UsageError(f"{name} yields {real[wrong][0]}, which is no {kind.bits}-bit {kind.encoding} value")
    return codes.astype(np.uint8)


def check_finite(canonical: Canonical, layer: Layer, acc: AccType) -> None:
    """Refuse parameters that are infinite or NaN: an activation would turn them into codes without a word."""
    ends = torch.tensor([[acc.lo], [acc.hi]]).expand(2, acc.shape[-1])
    canonical.outputs(layer, ends)
    for node in (layer.dot_node, *layer.epilogue):
        value = canonical.env[node]
        if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
            raise UsageError(f"{node.target} yields numbers that are not finite; the training went wrong")


def scores_node(chain: Chain, canonical: Canonical, dense: Dense | Conv2d, source: CodeType) -> Scores:
    """The outputs as integers: ScoreNorm's own, or the fewest bits that keep the order of what the module yields."""
    layer = chain.layers[-1]
    check_finite(canonical, layer, dense.type)
    norm = chain.score_norm
    if norm is not None:
        multiplier, offset, _ = norm.integer_affine()
        slopes, offsets, _ = reduced(multiplier.numpy(), offset.numpy())
    else:
        ranges = row_ranges(dense.weights, source)
        real = Canonical(chain, double=True)
        ends = np.stack([ranges.lo, np.maximum(ranges.hi, ranges.lo + 1)])
        first, last = real.outputs(layer, torch.from_numpy(ends)).numpy()
        slope = (last - first) / (ends[1] - ends[0])

        def evaluate(acc: NDArray[np.int64]) -> NDArray[np.float64]:
            return canonical.outputs(layer, torch.from_numpy(acc)).double().numpy()

        slopes, offsets = find_scores(evaluate, slope, first - slope * ends[0], ranges, str(layer.end.target))
    draft = Scores(layer.sink_name, (dense.name,), AccType(dense.type.shape, 0, 0), slopes, offsets)
    return Scores(draft.name, draft.inputs, AccType(dense.type.shape, *score_range(draft, dense.type)), slopes, offsets)
