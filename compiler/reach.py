"""Which values the nodes of a network can yield, channel by channel."""

import numpy as np

from .ir import Add, Conv2d, Dense, IntegerNetwork, MaxPool, SumPool
from .ranges import RowRanges, row_ranges
from .types import CodeType, code_values

__all__ = ["value_ranges"]


def value_ranges(network: IntegerNetwork, name: str) -> RowRanges:
    """The values of that node along its last axis: of accumulators and sums, or what its codes stand for.

    Values that depend on each other are taken as independent, so that some in between may not be reached.
    """
    node = network.node(name)
    channels = node.type.shape[-1]
    inputs = (
        [value_ranges(network, source) for source in node.inputs] if isinstance(node, MaxPool | SumPool | Add) else []
    )
    match node:
        case MaxPool():
            return inputs[0]
        case SumPool():
            taps = node.kernel[0] * node.kernel[1]
            return RowRanges(taps * inputs[0].lo, taps * inputs[0].hi, inputs[0].step)
        case Add():
            lo, hi = (np.sum(np.stack(ends), axis=0) for ends in zip(*((r.lo, r.hi) for r in inputs), strict=True))
            return RowRanges(lo, hi, np.gcd.reduce([r.step for r in inputs]))
        case Dense() | Conv2d():
            source = network.node(node.inputs[0]).type
            assert isinstance(source, CodeType)  # verified
            return row_ranges(node.weights, source)
    if isinstance(node.type, CodeType):
        values = code_values(node.type.bits, node.type.encoding)
        step = int(np.gcd.reduce(np.diff(values)))
        return RowRanges(*(np.full(channels, number, dtype=np.int64) for number in (node.type.lo, node.type.hi, step)))
    return RowRanges(*(np.full(channels, number, dtype=np.int64) for number in (node.type.lo, node.type.hi, 1)))
