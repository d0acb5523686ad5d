"""Lowering: a trained PyTorch module becomes an integer network.

The module is traced into a chain (`lowering_trace`), and each layer's normalisation and activation are replaced by
integers found by evaluating that very module on the canonical path (`lowering_canonical`).
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..errors import UnsupportedLayerError, UsageError
from .ir import (
    AccType,
    CodeType,
    Dense,
    Encoding,
    Input,
    InputTransform,
    IntegerNetwork,
    Node,
    Scores,
    Threshold,
    Weights,
)
from .lowering_canonical import Canonical
from .lowering_trace import Chain, Layer, trace
from .ranges import acc_type, row_ranges
from .scores import find_scores, reduced
from .thresholds import find_thresholds
from .verify import score_range, verify

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
    QuantLinear, Sign, QuantReLU, BatchNorm1d, ScoreNorm), with nn.BatchNorm1d, nn.Flatten, nn.Dropout, nn.Identity
    and multiplications or additions of constants between. It is not changed: mode, device and parameters stay.
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
        dense = dense_node(layer, nodes[-1].name, kind)
        nodes.append(dense)
        if layer.activation is not None:
            threshold = threshold_node(canonical, layer, dense, kind)
            nodes.append(threshold)
            kind = threshold.type
        else:
            nodes.append(scores_node(chain, canonical, dense, kind))
    names = tuple(class_names) if class_names is not None else tuple(map(str, range(nodes[-1].type.size)))
    return verify(IntegerNetwork(tuple(nodes), names, dict(provenance or {})))


def check_example(chain: Chain, canonical: Canonical, example: Tensor) -> None:
    """Run a few samples: shapes must fit, and each dot product must work on whole samples (B, K)."""
    try:
        canonical.everything(example[:TRIED].cpu(), ())
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"the module does not run on example_input {tuple(example.shape)}: {reason}") from error
    samples = min(TRIED, len(example))
    for layer in chain.layers:
        for node in (layer.dot_node, *layer.epilogue):
            shape = tuple(canonical.env[node].shape)
            if shape != (samples, layer.dot.out_features):
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


def dense_node(layer: Layer, before: str, source: CodeType) -> Dense:
    """The dot product; UsageError if its weights or accumulators are not what the canonical path computes exactly."""
    quantizer = layer.dot.weight_quantizer
    codes = quantizer.codes(layer.dot.weight).numpy().astype(np.uint8)
    weights = Weights(np.ascontiguousarray(codes), quantizer.bits, Encoding(quantizer.encoding))
    with torch.no_grad():
        used = quantizer(layer.dot.weight).numpy()
    if not np.array_equal(used, weights.values()):
        raise UsageError(
            f"{layer.dot_node.target}: the values of {type(quantizer).__name__} are not those of its codes"
        )
    kind = acc_type(weights, source)
    if max(-kind.lo, kind.hi) >= FLOAT32_EXACT:
        raise UsageError(f"{layer.dot_node.target}: accumulators {kind.lo}..{kind.hi} are not exact in float32 (2^24)")
    return Dense(layer.name, (before,), kind, weights)


def threshold_node(canonical: Canonical, layer: Layer, dense: Dense, source: CodeType) -> Threshold:
    """Everything between the accumulator and the activation's codes."""
    activation = layer.activation
    assert activation is not None  # the caller's case
    kind = CodeType(dense.type.shape, activation.bits, Encoding(activation.encoding))

    def evaluate(acc: NDArray[np.int64]) -> NDArray[np.uint8]:
        return codes_of(canonical.outputs(layer, torch.from_numpy(acc)), kind, str(layer.end.target))

    check_finite(canonical, layer, dense.type)
    thresholds, descending = find_thresholds(
        evaluate, row_ranges(dense.weights, source), kind.max_code, dense.type, str(layer.end.target)
    )
    return Threshold(layer.sink_name, (dense.name,), kind, thresholds, descending)


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
    ends = torch.tensor([[acc.lo], [acc.hi]]).expand(2, *acc.shape)
    canonical.outputs(layer, ends)
    for node in (layer.dot_node, *layer.epilogue):
        value = canonical.env[node]
        if isinstance(value, Tensor) and not bool(torch.isfinite(value).all()):
            raise UsageError(f"{node.target} yields numbers that are not finite; the training went wrong")


def scores_node(chain: Chain, canonical: Canonical, dense: Dense, source: CodeType) -> Scores:
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
