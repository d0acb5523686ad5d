"""Networks whose activations are evenly spaced steps, as quantized activations behind a BatchNorm are."""

from dataclasses import replace

import numpy as np

from xnorflow.compiler.ir import IntegerNetwork, Node, Threshold
from xnorflow.compiler.reach import value_ranges
from xnorflow.compiler.thresholds import find_thresholds
from xnorflow.compiler.types import AccType
from xnorflow.compiler.verify import verify

__all__ = ["with_uniform_thresholds"]


def with_uniform_thresholds(network: IntegerNetwork, seed: int = 0) -> IntegerNetwork:
    """The network with code = clip(floor(slope * acc + shift), 0, max) in place of every Threshold; slopes of both
    signs, neurons that reach few codes and neurons that reach all."""
    rng = np.random.default_rng(seed)
    nodes: list[Node] = []
    for node in network.nodes:
        nodes.append(node)
        if not isinstance(node, Threshold):
            continue
        ranges, levels = value_ranges(network, node.inputs[0]), node.type.max_code
        span = np.maximum(ranges.hi - ranges.lo, 1)
        middle = np.maximum(span**0.75, 1)  # random accumulators keep to the middle of what is reachable
        slope = rng.uniform(0.5, 3, len(span)) * rng.choice([-1, 1], len(span)) * levels / middle
        shift = rng.uniform(0, levels, len(span)) - slope * (ranges.lo + span / 2)

        def evaluate(acc: np.ndarray, slope: np.ndarray = slope, shift: np.ndarray = shift, levels: int = levels):
            return np.clip(np.floor(slope * acc + shift), 0, levels).astype(np.uint8)

        source = network.node(node.inputs[0]).type
        acc = AccType(source.shape, source.lo, source.hi)
        thresholds, descending = find_thresholds(evaluate, ranges, levels, acc, node.name)
        nodes[-1] = replace(node, thresholds=thresholds, descending=descending)
    return verify(replace(network, nodes=tuple(nodes)))
