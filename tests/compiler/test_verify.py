from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from random_networks import random_network

from xnorflow.compiler.ir import AccType, CodeType, Encoding, InputTransform, IntegerNetwork
from xnorflow.compiler.verify import problems, verify
from xnorflow.errors import NetworkFileError, UsageError


def network() -> IntegerNetwork:
    """inputs "image", then dense0, act0 (2-bit codes), dense1, scores."""
    return random_network([6, 4, 3], hidden=(2, Encoding.UNSIGNED), seed=1)


def changed(target: str, /, **fields: Any) -> IntegerNetwork:
    """The network with one node's fields replaced."""
    base = network()
    return replace(base, nodes=tuple(replace(node, **fields) if node.name == target else node for node in base.nodes))


def without(*names: str) -> IntegerNetwork:
    base = network()
    return replace(base, nodes=tuple(node for node in base.nodes if node.name not in names))


def unordered() -> IntegerNetwork:
    node = network().node("act0")
    thresholds = np.sort(node.thresholds, axis=1)
    thresholds[2] = [3, 5, 4]
    return changed("act0", thresholds=thresholds, descending=np.zeros(4, bool))


def with_weights(**fields: Any) -> IntegerNetwork:
    return changed("dense0", weights=replace(network().node("dense0").weights, **fields))


BROKEN: list[tuple[Callable[[], IntegerNetwork], str]] = [
    (lambda: replace(network(), nodes=()), "the nodes are none"),
    (lambda: without("image"), "must begin with input"),
    (lambda: without("scores"), "must begin with input and end with scores"),
    (lambda: without("act0"), "dense1: reads act0, which is no node in front of it"),
    (lambda: changed("dense1", inputs=("dense0",)), "dense1: dense cannot follow dense"),
    (lambda: changed("scores", inputs=("image",)), "scores: scores cannot follow input"),
    (lambda: changed("act0", inputs=("scores",)), "act0: reads scores, which is no node in front of it"),
    (lambda: replace(network(), nodes=(network().nodes[0], *network().nodes)), "image: a second input node"),
    (lambda: changed("act0", name="dense0"), "two nodes are named 'dense0'"),
    (lambda: changed("act0", name="Act"), "name 'Act' is not lower-case"),
    (lambda: changed("image", inputs=("scores",)), r"image: of kind input, reads nothing, not \(scores\)"),
    (lambda: changed("dense1", inputs=("image",)), "act0: nobody reads it"),
    (
        lambda: changed("dense1", inputs=("act0", "act0")),
        r"dense1: of kind dense, reads one tensor, not \(act0, act0\)",
    ),
    (lambda: changed("dense1", inputs=("act0", "act0")), r"dense1: reads \(act0, act0\), one of them twice"),
    (lambda: changed("act0", type=AccType((4,), 0, 3)), "act0: a threshold node has a CodeType, not AccType"),
    (
        lambda: changed("image", type=CodeType((0,), 1, Encoding.BIPOLAR)),
        r"image: shape \(0,\) is not made of positive",
    ),
    (
        lambda: changed("image", type=CodeType((6,), 9, Encoding.BIPOLAR)),
        "image: bipolar codes have 1 to 8 bits, not 9",
    ),
    (lambda: changed("image", type=CodeType((6,), 1, "bipolar")), "image: encoding 'bipolar' is not an Encoding"),
    (lambda: changed("dense0", type=AccType((4,), 5, 4)), "dense0: the range 5..4 is empty"),
    (lambda: changed("dense0", type=AccType((4,), -6, 1 << 53)), "dense0: accumulators .* do not stay below 2"),
    (lambda: with_weights(codes=np.zeros((4, 6), np.int64)), "dense0: weights must be uint8 with 2 axes"),
    (lambda: with_weights(codes=np.zeros((0, 6), np.uint8)), "dense0: the weight matrix is empty"),
    (lambda: with_weights(codes=np.full((4, 6), 2, np.uint8)), "dense0: weight code 2 is no 1-bit bipolar code"),
    (lambda: with_weights(bits=0), "dense0: weights: bipolar codes have 1 to 8 bits, not 0"),
    (lambda: with_weights(encoding="bipolar"), "dense0: weight encoding 'bipolar' is not an Encoding"),
    (lambda: with_weights(codes=np.zeros((4, 5), np.uint8)), "dense0: 5 weight columns for 6 elements of image"),
    (lambda: with_weights(codes=np.zeros((5, 6), np.uint8)), r"dense0: 5 weight rows, but shape \(4,\)"),
    (lambda: changed("dense0", type=AccType((4,), -5, 6)), "dense0: range -5..6 does not hold the reachable -6..6"),
    (lambda: changed("act0", thresholds=np.zeros((4, 3))), "act0: thresholds must be int64 with 2 axes"),
    (lambda: changed("act0", thresholds=np.zeros((4, 2), np.int64)), r"act0: thresholds \(4, 2\)"),
    (lambda: changed("act0", descending=np.zeros(3, bool)), r"descending \(3,\), need \(4, 3\)"),
    (lambda: changed("act0", thresholds=np.full((4, 3), 8)), r"act0: thresholds 8..8 leave \[-6 - 1, 6 \+ 1\]"),
    (unordered, "act0: thresholds of neuron 2 are not in order"),
    (
        lambda: changed("act0", type=CodeType((5,), 2, Encoding.UNSIGNED)),
        r"act0: shape \(5,\) for accumulators of shape \(4,\)",
    ),
    (lambda: changed("scores", offset=np.zeros(2, np.int64)), "scores: 3 multipliers, 2 offsets"),
    (lambda: changed("scores", type=AccType((3,), 0, 0)), "scores: range 0..0 does not hold the scores"),
    (lambda: changed("scores", multiplier=np.full(3, 1 << 62), type=AccType((3,), -(1 << 70), 1 << 70)), "below 2.62"),
    (lambda: changed("image", transform=InputTransform(1.0, 1.0)), "image: the input range must be two finite"),
    (
        lambda: changed("image", transform=InputTransform(0.0, float("inf"))),
        "image: the input range must be two finite",
    ),
    (lambda: replace(network(), class_names=("a", "b")), "2 class names for 3 scores"),
    (lambda: replace(network(), class_names=("a", "b", "b")), "class names must be distinct"),
    (lambda: replace(network(), class_names=("a", "b", "c\n")), "class names must be distinct, printable"),
    (lambda: replace(network(), provenance={"seed": "1\x00"}), "provenance 'seed' is not printable text"),
]


@pytest.mark.parametrize(("broken", "complaint"), BROKEN, ids=[complaint[:40] for _, complaint in BROKEN])
def test_every_broken_rule_is_named(broken: Callable[[], IntegerNetwork], complaint: str):
    with pytest.raises(UsageError, match=complaint) as caught:
        verify(broken())
    assert "\n" not in str(caught.value)


def test_a_valid_network_passes_and_comes_back():
    base = network()
    assert problems(base) == []
    assert verify(base) is base


def test_all_problems_are_reported_at_once():
    broken = replace(
        changed("act0", name="Act", type=CodeType((4,), 9, Encoding.UNSIGNED)), class_names=("a", "a", "a")
    )
    text = "; ".join(problems(broken))
    assert "name 'Act'" in text and "1 to 8 bits, not 9" in text and "class names" in text


def test_a_long_list_of_problems_is_cut():
    names = tuple(replace(node, name=f"BAD{i}", inputs=()) for i, node in enumerate(random_network([4] * 8).nodes))
    with pytest.raises(UsageError, match=r"; and \d+ more$"):
        verify(replace(network(), nodes=names))


def test_the_caller_chooses_the_error():
    with pytest.raises(NetworkFileError):
        verify(without("scores"), NetworkFileError)
