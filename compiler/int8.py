"""8-bit integer networks, the usual rival of 1-bit ones: what their weights, activations and scores are made of.

The scheme is that of integer-only inference (Jacob et al., 2018, 1712.05877, section 2.2), as Krishnamoorthi
(1806.08342) recommends it: weights symmetric with a scale for each output, activations unsigned with one scale for a
tensor, the real multiplier between them in fixed point. A code is clip((m * acc + b) >> s, 0, 255): a `Requantize`
*defines* the activation, so that golden model, CPU backend and hardware agree bit for bit. ReLU is the clipping at 0.
This module imports NumPy alone.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..errors import UnsupportedLayerError, UsageError
from .golden import Tensor, step_of
from .ir import (
    AccType,
    Add,
    CodeType,
    Concat,
    Conv2d,
    Dense,
    Encoding,
    Input,
    IntegerNetwork,
    MaxPool,
    Node,
    Requantize,
    Scores,
    SumPool,
    Threshold,
    Weights,
)
from .ranges import acc_type
from .requantize import MAX_SHIFT
from .scores import reduced, rounded
from .verify import verify
from .verify_edges import score_range

__all__ = ["BITS", "MULTIPLIER_BITS", "int8_scores", "int8_twin", "int8_weights", "requantize_node"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

BITS = 8
MULTIPLIER_BITS = 18
"""Signed: of every requantization, so that with accumulators of up to 25 bits it is one DSP block."""
SCORE_BITS = 16
_WEIGHT_MOST = 127  # symmetric: -128 is not used
_SAMPLES = 16  # that a twin's activations are spread over


def int8_weights(weights: Reals) -> tuple[Weights, Reals]:
    """Weights (N, K) as integers -127..127, and the scale (N,) that each row's integers are worth.

    q = round(w / scale), scale = max |w| / 127; a row of zeros has the scale 1.
    """
    largest = np.abs(weights).max(axis=1)
    scale: Reals = np.where(largest > 0, largest / _WEIGHT_MOST, 1.0)
    return _signed(np.rint(weights / scale[:, None])), scale


def requantize_node(name: str, source: Node, slope: Reals, intercept: Reals) -> Requantize:
    """The activation whose code is slope[n] * acc + intercept[n], rounded and clipped to 0..255; slope, intercept (N,).

    The shift is the largest (up to 40) with which every multiplier has 18 bits; halves are rounded up. An offset is cut
    off where its neuron is 0 or 255 whatever the accumulator. UsageError where slopes are too steep or not finite.
    """
    if not (np.isfinite(slope).all() and np.isfinite(intercept).all()):
        raise UsageError(f"{name}: its scale is not finite; the training went wrong")
    most, steepest = (1 << MULTIPLIER_BITS - 1) - 1, float(np.abs(slope).max())
    shift = MAX_SHIFT
    while shift and np.rint(steepest * 2.0**shift) > most:
        shift -= 1
    if np.rint(steepest * 2.0**shift) > most:
        raise UsageError(f"{name}: {steepest:g} codes for a step of the accumulator do not fit {MULTIPLIER_BITS} bits")
    multiplier = np.rint(slope * 2.0**shift).astype(np.int64)
    extent = np.abs(multiplier) * max(-source.type.lo, source.type.hi) + (1 << shift + BITS)
    offset = np.clip(np.rint((intercept + 0.5) * 2.0**shift), -extent, extent).astype(np.int64)
    kind = CodeType(source.type.shape, BITS, Encoding.UNSIGNED)
    return Requantize(name, (source.name,), kind, multiplier, offset, shift)


def int8_scores(name: str, source: Node, slope: Reals, intercept: Reals) -> Scores:
    """Scores slope[c] * acc + intercept[c] on the grid on which the largest slope has 16 bits."""
    multiplier, offset, _ = reduced(*rounded(slope, intercept, SCORE_BITS))
    draft = Scores(name, (source.name,), AccType((source.type.size,), 0, 0), multiplier, offset)
    return replace(draft, type=AccType(draft.type.shape, *score_range(draft, source.type)))


def int8_twin(network: IntegerNetwork, seed: int = 0) -> IntegerNetwork:
    """A network of the same layers with 8-bit inputs, weights and activations, its weights drawn at random.

    It has the area, the rate and the memory of an int8 network of that topology, and no accuracy: it classifies
    nothing, which its provenance says. Weights are normal; activations are spread over their codes by what random
    samples yield. UnsupportedLayerError for recurrent layers.
    """
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    tensors: dict[str, Tensor] = {}
    named: dict[str, Node] = {}
    for node in network.nodes:
        before = [named[source] for source in node.inputs]
        twin = _twin(node, before, [tensors[source] for source in node.inputs], rng)
        nodes.append(twin)
        named[twin.name] = twin
        draft = IntegerNetwork(tuple(nodes), network.class_names)
        if isinstance(twin, Input):
            codes = rng.integers(0, twin.type.max_code + 1, (_SAMPLES, *twin.type.shape))
            tensors[twin.name] = codes.astype(np.uint8)
        else:
            tensors[twin.name] = step_of(draft, twin)(*(tensors[source] for source in twin.inputs))
    origin = f"the layers of a trained network with random int8 weights (seed {seed}): for area and rate alone"
    return verify(IntegerNetwork(tuple(nodes), network.class_names, {"origin": origin}))


def _twin(node: Node, before: Sequence[Node], tensors: Sequence[Tensor], rng: np.random.Generator) -> Node:
    kinds = [source.type for source in before]
    match node:
        case Input():
            return replace(node, type=CodeType(node.type.shape, BITS, Encoding.UNSIGNED))
        case Dense() | Conv2d():
            assert isinstance(kinds[0], CodeType)  # verified
            drawn = np.rint(rng.normal(0, _WEIGHT_MOST / 3, node.weights.codes.shape))
            weights = _signed(np.clip(drawn, -_WEIGHT_MOST, _WEIGHT_MOST))
            kind = acc_type(weights, kinds[0], node.type.shape[:-1])
            if isinstance(node, Conv2d):
                return replace(node, type=kind, weights=weights, pad_code=None if node.pad_code is None else 0)
            return replace(node, type=kind, weights=weights)
        case MaxPool():
            return replace(node, type=replace(kinds[0], shape=node.type.shape))
        case SumPool():
            taps = node.kernel[0] * node.kernel[1]
            return replace(node, type=AccType(node.type.shape, taps * kinds[0].lo, taps * kinds[0].hi))
        case Add():
            reach = sum(kind.lo for kind in kinds), sum(kind.hi for kind in kinds)
            return replace(node, type=AccType(node.type.shape, *reach))
        case Concat():
            return replace(node, type=CodeType(node.type.shape, BITS, Encoding.UNSIGNED))
        case Threshold() | Requantize():
            values = tensors[0].reshape(-1, node.type.shape[-1]).astype(np.float64)
            middle = values.mean(axis=0)
            slope = np.full(len(middle), 48 / max(float((values - middle).std()), 1.0))
            return requantize_node(node.name, before[0], slope, 96 - slope * middle)
        case Scores():
            return int8_scores(node.name, before[0], np.ones(node.type.size), np.zeros(node.type.size))
    raise UnsupportedLayerError(f"{node.name}: {node.kind} layers have no int8 twin")


def _signed(integers: Reals) -> Weights:
    return Weights((integers + (1 << BITS - 1)).astype(np.uint8), BITS, Encoding.SIGNED)
