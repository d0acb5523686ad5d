from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import kinds, random_network

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Dense, Encoding, Input, IntegerNetwork, Scores, Threshold
from xnorflow.errors import UsageError


def value_of(code: int, bits: int, encoding: Encoding) -> int:
    half = 2 ** (bits - 1)
    match encoding:
        case Encoding.BIPOLAR:
            return 2 * code - (2**bits - 1)
        case Encoding.SIGNED:
            return code - half
        case Encoding.TERNARY:
            return (-1, 0, 1)[code]
        case Encoding.LOG:
            return 2 ** (code - half) if code >= half else -(2 ** (half - 1 - code))
        case Encoding.LOG_UNSIGNED:
            return 2 ** (code - 1) if code else 0
    return code


def interpret(network: IntegerNetwork, sample: list[int]) -> dict[str, list[int]]:
    """The definitions of compiler/ir.py word by word, in Python integers."""
    tensors: dict[str, list[int]] = {}
    kind = network.input.type
    for node in network.nodes:
        match node:
            case Input():
                tensors[node.name] = sample
            case Dense():
                codes = tensors[node.inputs[0]]
                matrix = node.weights
                acc = []
                for row in matrix.codes.tolist():
                    total = 0
                    for weight, code in zip(row, codes, strict=True):
                        weight_value = value_of(weight, matrix.bits, matrix.encoding)
                        total += weight_value * value_of(code, kind.bits, kind.encoding)
                    acc.append(total)
                tensors[node.name] = acc
            case Threshold():
                kind = node.type
                codes = []
                for a, row, falls in zip(
                    tensors[node.inputs[0]], node.thresholds.tolist(), node.descending, strict=True
                ):
                    codes.append(sum(a <= t for t in row) if falls else sum(a >= t for t in row))
                tensors[node.name] = codes
            case Scores():
                rows = zip(tensors[node.inputs[0]], node.multiplier.tolist(), node.offset.tolist(), strict=True)
                tensors[node.name] = [m * a + b for a, m, b in rows]
    return tensors


CODES = st.sampled_from(kinds(4))


@settings(deadline=None, max_examples=40)
@given(st.lists(st.integers(1, 9), min_size=2, max_size=4), CODES, CODES, CODES, st.integers(0, 999))
def test_golden_model_is_the_definition(widths, source, hidden, weights, seed: int):
    network = random_network(widths, source, hidden, weights, seed)
    codes = np.random.default_rng(seed).integers(0, network.input.type.max_code + 1, (5, widths[0]), dtype=np.uint8)
    trace = golden.run(network, codes)
    assert list(trace) == [node.name for node in network.nodes]
    for index, sample in enumerate(codes.tolist()):
        expected = interpret(network, sample)
        assert {name: tensor[index].tolist() for name, tensor in trace.items()} == expected
        scores = expected[network.scores.name]
        assert trace.classes[index] == scores.index(max(scores))
        assert trace.scores[index].tolist() == scores


def test_ties_go_to_the_lowest_class():
    network = random_network([4, 3])
    even = replace(network.scores, multiplier=np.zeros(3, np.int64), offset=np.array([1, 7, 7]))
    trace = golden.run(replace(network, nodes=(*network.nodes[:-1], even)), np.zeros((2, 4), np.uint8))
    assert trace.classes.tolist() == [1, 1]


def test_the_batch_size_changes_nothing(monkeypatch: pytest.MonkeyPatch):
    network = random_network([8, 5, 3], hidden=(2, Encoding.UNSIGNED))
    codes = np.random.default_rng(0).integers(0, 2, (11, 8), dtype=np.uint8)
    whole = golden.run(network, codes)
    monkeypatch.setattr(golden, "BATCH", 4)
    parts = golden.run(network, codes)
    assert all(np.array_equal(whole[name], parts[name]) for name in whole)
    assert np.array_equal(whole.classes, parts.classes)


def test_only_what_is_asked_for_is_kept():
    network = random_network([8, 5, 3])
    codes = np.ones((3, 8), np.uint8)
    trace = golden.run(network, codes, keep=["act0"])
    assert list(trace) == ["act0"]
    assert np.array_equal(trace.scores, golden.run(network, codes)["scores"])


def test_an_empty_batch_has_shapes():
    trace = golden.run(random_network([8, 5, 3]), np.zeros((0, 8), np.uint8))
    assert trace["act0"].shape == (0, 5) and trace.scores.shape == (0, 3) and trace.classes.shape == (0,)


def test_shaped_samples_are_taken_in_c_order():
    flat = random_network([12, 5, 3], seed=3)
    image = replace(flat.input, type=replace(flat.input.type, shape=(3, 2, 2)))
    shaped = replace(flat, nodes=(image, *flat.nodes[1:]))
    codes = np.random.default_rng(1).integers(0, 2, (6, 3, 2, 2), dtype=np.uint8)
    assert np.array_equal(golden.run(shaped, codes).scores, golden.run(flat, codes.reshape(6, 12)).scores)


@pytest.mark.parametrize(
    ("codes", "complaint"),
    [
        (np.zeros((2, 8), np.int64), "must be uint8"),
        (np.zeros((2, 9), np.uint8), r"not uint8 \(2, 9\)"),
        (np.zeros(8, np.uint8), r"not uint8 \(8,\)"),
        (np.full((2, 8), 2, np.uint8), "input code 2 does not fit into 1 bits"),
    ],
)
def test_wrong_input_is_refused(codes: np.ndarray, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        golden.run(random_network([8, 3]), codes)
