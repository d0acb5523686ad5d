"""What the numbers on a node's stream stand for: codes, counts of set bits, or sums of codes.

Hardware compares, adds and scores these numbers P, 0 <= P <= p_max; a domain translates an integer of the network into
them. All domains rise: a larger P stands for a larger integer.
"""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ..compiler.folds.folding import Folding
from ..compiler.ir import Add, Conv2d, Dense, IntegerNetwork, MaxPool, Node, SumPool
from ..compiler.schedule.parts import AddPart
from ..compiler.types import CodeType, Integers, code_values
from ..errors import HardwareError
from .dot.constants import PopcountDomain, popcount_domain

__all__ = ["CodeDomain", "Domain", "score_domain", "stream_domain"]


class Domain(Protocol):
    """Numbers P on a stream, 0 <= P <= p_max."""

    @property
    def p_max(self) -> int:
        """The largest P."""

    def counts(self, accumulators: Integers) -> Integers:
        """P (..., N) of integers (..., N); exact."""

    def floor(self, accumulators: Integers) -> Integers:
        """The largest P (N, ...) whose integer is at most the given one (N, ...); may lie outside 0..p_max."""


@dataclass(frozen=True, eq=False)
class CodeDomain:
    """Codes: P is the code, `values` (rising) what each one stands for."""

    values: NDArray[np.int64]

    @property
    def p_max(self) -> int:
        """The largest code."""
        return len(self.values) - 1

    def counts(self, accumulators: Integers) -> Integers:
        """Codes of integers, any shape; exact."""
        return np.searchsorted(self.values, accumulators)

    def floor(self, accumulators: Integers) -> Integers:
        """The largest code whose integer is at most the given one, -1 if there is none; any shape."""
        return np.searchsorted(self.values, accumulators, side="right") - 1


def stream_domain(network: IntegerNetwork, folding: Folding, node: Node) -> Domain:
    """Of the stream that carries the node's values. HardwareError for a node that no stream carries."""
    if isinstance(node.type, CodeType):
        return CodeDomain(code_values(node.type.bits, node.type.encoding))
    match node:
        case Dense() | Conv2d():
            stage = next(stage for stage in network.stages() if stage.dot is node)
            return popcount_domain(stage, folding.layers[node.name])
        case Add():
            types = tuple(kind for name in node.inputs if isinstance(kind := network.node(name).type, CodeType))
            part = AddPart(node.name, types, 1, 1, 1)
            return PopcountDomain(
                part.step, np.full(node.type.shape[-1], sum(kind.lo for kind in types), dtype=np.int64), part.most
            )
        case MaxPool():
            return stream_domain(network, folding, network.node(node.inputs[0]))
        case SumPool():
            source, taps = network.node(node.inputs[0]).type, node.kernel[0] * node.kernel[1]
            assert isinstance(source, CodeType)  # verified
            step = (source.hi - source.lo) // source.max_code  # of uniform codes; others are not built
            least = np.full(node.type.shape[-1], taps * source.lo, dtype=np.int64)
            return PopcountDomain(step, least, taps * source.max_code)
    raise HardwareError(f"{node.name}: no stream carries the values of {node.kind} nodes")


def score_domain(network: IntegerNetwork, folding: Folding) -> PopcountDomain:
    """Of what is scored: accumulators, or codes as the whole numbers they are."""
    source = network.node(network.scores.inputs[0])
    if isinstance(source.type, CodeType):
        return PopcountDomain(1, np.zeros(network.scores.offset.shape, dtype=np.int64), source.type.max_code)
    domain = stream_domain(network, folding, source)
    assert isinstance(domain, PopcountDomain)  # of accumulators
    return domain
