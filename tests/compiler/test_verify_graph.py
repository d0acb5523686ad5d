"""The verifier's rules of graphs: each broken once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_graphs import GraphBuilder

from xnorflow.compiler.ir import AccType, CodeType, Encoding, IntegerNetwork
from xnorflow.compiler.types import Weights, bits_problem, code_values
from xnorflow.compiler.verify import verify
from xnorflow.errors import UsageError


def network() -> IntegerNetwork:
    """image (4, 4, 4), conv2d0 in two groups, requantize0 (3 bits), threshold0 of it, add0, sumpool0..., concat0."""
    graph = GraphBuilder((4, 4, 4), (3, Encoding.SIGNED))
    wide = graph.requantize(
        graph.conv("image", 4, groups=2, padding=1, weights=(2, Encoding.TERNARY)), (3, Encoding.SIGNED)
    )
    total = graph.threshold(graph.add(wide, "image"), (1, Encoding.BIPOLAR))
    joined = graph.concat(total, graph.threshold(wide))
    return graph.finish(graph.dense(graph.requantize(graph.sum_pool(joined)), 3))


def changed(target: str, /, **fields: Any) -> IntegerNetwork:
    base = network()
    return replace(base, nodes=tuple(replace(node, **fields) if node.name == target else node for node in base.nodes))


def constants(**fields: Any) -> IntegerNetwork:
    return changed("requantize0", **fields)


BROKEN: list[tuple[Callable[[], IntegerNetwork], str]] = [
    (
        lambda: changed("add0", inputs=("requantize0",)),
        r"add0: of kind add, reads 2 or more tensors, not \(req",
    ),
    (lambda: changed("add0", inputs=("image", "image")), "add0: reads .* one of them twice"),
    (
        lambda: changed("add0", inputs=("image", "threshold0")),
        "add0: reads threshold0, which is no node in front of it",
    ),
    (lambda: changed("add0", inputs=("image", "conv2d0")), "add0: add cannot follow conv2d"),
    (lambda: changed("threshold0", inputs=("conv2d0",)), "add0: nobody reads it"),
    (lambda: changed("add0", type=AccType((4, 4, 4), -8, 5)), "add0: range -8..5 does not hold the reachable -8..6"),
    (lambda: changed("add0", type=AccType((4, 4, 5), -8, 6)), r"add0: shape \(4, 4, 5\), but requantize0 has"),
    (lambda: changed("add0", type=AccType((4, 4, 4), -8, 1 << 53)), "add0: accumulators .* do not stay below 2"),
    (lambda: changed("add0", type=CodeType((4, 4, 4), 3, Encoding.SIGNED)), "add0: a add node has a AccType"),
    (lambda: changed("concat0", type=CodeType((4, 4, 4), 1, Encoding.BIPOLAR)), "concat0: type .* instead of"),
    (
        lambda: changed("threshold1", type=CodeType((4, 4, 4), 1, Encoding.UNSIGNED)),
        "concat0: threshold1 is .*, threshold0 is",
    ),
    (lambda: changed("sumpool0", kernel=(5, 4)), "sumpool0: a window of .* does not fit"),
    (lambda: changed("sumpool0", type=AccType((1, 1, 8), -16, 15)), "sumpool0: range -16..15 does not hold .* -16..16"),
    (lambda: changed("sumpool0", type=AccType((1, 1, 4), -16, 16)), r"sumpool0: shape \(1, 1, 4\) instead of"),
    (lambda: changed("conv2d0", groups=3), "conv2d0: 3 groups do not divide 4 channels and 4 neurons"),
    (lambda: changed("conv2d0", groups=0), "conv2d0: 0 groups do not divide"),
    (lambda: changed("conv2d0", groups=4), "conv2d0: 18 weight columns for 9 elements of a window"),
    (
        lambda: changed("conv2d0", weights=Weights(np.full((4, 18), 3, np.uint8), 2, Encoding.TERNARY)),
        "conv2d0: weight code 3 is no 2-bit ternary code",
    ),
    (
        lambda: changed("conv2d0", weights=Weights(np.zeros((4, 18), np.uint8), 3, Encoding.TERNARY)),
        "conv2d0: weights: ternary codes have 2 bits, not 3",
    ),
    (
        lambda: changed("image", type=CodeType((4, 4, 4), 5, Encoding.LOG_UNSIGNED)),
        "image: log_unsigned codes have 1 to 4 bits, not 5",
    ),
    (lambda: constants(multiplier=np.ones(3, np.int64)), "requantize0: 3 multipliers and 4 offsets for 4 neurons"),
    (lambda: constants(offset=np.ones((4, 1), np.int64)), "requantize0: offset must be int64 with 1 axes"),
    (lambda: constants(shift=63), r"requantize0: shift 63 is not within 0\.\.62"),
    (lambda: constants(shift=-1), r"requantize0: shift -1 is not within 0\.\.62"),
    (lambda: constants(offset=np.full(4, 1 << 62)), "requantize0: multiplier .* does not stay below"),
    (
        lambda: constants(type=CodeType((4, 4, 3), 3, Encoding.SIGNED)),
        r"requantize0: shape \(4, 4, 3\) for acc",
    ),
    (lambda: changed("threshold0", thresholds=np.full((4, 1), 8)), "threshold0: thresholds 8..8 leave"),
    (
        lambda: changed("threshold1", thresholds=np.full((4, 1), 5)),
        r"threshold1: thresholds 5..5 leave \[-4 - 1, 3",
    ),
    (lambda: changed("scores", inputs=("concat0",)), "scores: scores cannot follow concat"),
]


@pytest.mark.parametrize(("broken", "complaint"), BROKEN, ids=[complaint[:40] for _, complaint in BROKEN])
def test_every_broken_rule_is_named(broken: Callable[[], IntegerNetwork], complaint: str):
    assert verify(network())
    with pytest.raises(UsageError, match=complaint):
        verify(broken())


@pytest.mark.parametrize(
    ("bits", "encoding", "complaint"),
    [
        (0, Encoding.BIPOLAR, "bipolar codes have 1 to 8 bits, not 0"),
        (9, Encoding.SIGNED, "signed codes have 1 to 8 bits, not 9"),
        (1, Encoding.TERNARY, "ternary codes have 2 bits, not 1"),
        (6, Encoding.LOG, "log codes have 1 to 5 bits, not 6"),
        (5, Encoding.LOG_UNSIGNED, "log_unsigned codes have 1 to 4 bits, not 5"),
    ],
)
def test_widths_that_an_encoding_has_not(bits: int, encoding: Encoding, complaint: str):
    assert bits_problem(bits, encoding) == complaint
    with pytest.raises(UsageError, match=complaint):
        code_values(bits, encoding)


def test_powers_of_two_stay_within_16_bits():
    assert code_values(5, Encoding.LOG).max() == 1 << 15 and code_values(4, Encoding.LOG_UNSIGNED).max() == 1 << 14
