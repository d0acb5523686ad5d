"""The golden model on graphs, against loops over single numbers; the backend and the file against the golden model."""

from typing import Any

import numpy as np
import pytest
from random_conv_networks import random_codes
from random_graphs import MOVES, GraphBuilder, random_graph, residual_network

from xnorflow.compiler import golden
from xnorflow.compiler.fast.backend import Backend
from xnorflow.compiler.fast.layers import Method, supports
from xnorflow.compiler.ir import (
    Add,
    CodeType,
    Concat,
    Conv2d,
    Dense,
    Encoding,
    IntegerNetwork,
    MaxPool,
    Node,
    Requantize,
    Scores,
    SumPool,
    Threshold,
)
from xnorflow.compiler.storage.network_file import network_bytes, parse
from xnorflow.compiler.types import code_values

KINDS = tuple(
    (bits, encoding)
    for encoding, widths in (
        (Encoding.SIGNED, (1, 3)),
        (Encoding.TERNARY, (2,)),
        (Encoding.LOG, (2, 3)),
        (Encoding.LOG_UNSIGNED, (2, 3)),
        (Encoding.BIPOLAR, (1, 2)),
        (Encoding.UNSIGNED, (3,)),
    )
    for bits in widths
)


def value(code: int, kind: CodeType) -> int:
    """What a code stands for, by the docstring of `Encoding`."""
    n, q = kind.bits, int(code)
    half = 1 << n >> 1
    return {
        Encoding.BIPOLAR: 2 * q - (2**n - 1),
        Encoding.UNSIGNED: q,
        Encoding.SIGNED: q - half,
        Encoding.TERNARY: q - 1,
        Encoding.LOG: 2 ** (q - half) if q >= half else -(2 ** (half - 1 - q)),
        Encoding.LOG_UNSIGNED: 0 if q == 0 else 2 ** (q - 1),
    }[kind.encoding]


def slow(network: IntegerNetwork, sample: np.ndarray) -> dict[str, np.ndarray]:
    """Every node's tensor for one sample, number by number."""
    tensors: dict[str, Any] = {network.input.name: sample.astype(object)}
    for node in network.nodes[1:]:
        types = [network.node(name).type for name in node.inputs]
        values = [
            np.vectorize(lambda code, t=kind: value(code, t), otypes=[object])(tensors[name])
            if isinstance(kind, CodeType) and not isinstance(node, Scores | MaxPool | Concat)
            else tensors[name]
            for name, kind in zip(node.inputs, types, strict=True)
        ]
        tensors[node.name] = np.empty(node.type.shape, dtype=object)
        for place in np.ndindex(node.type.shape):
            tensors[node.name][place] = single(node, types[0], values, place)
    return tensors


def single(node: Node, kind: Any, values: list[np.ndarray], place: tuple[int, ...]) -> int:
    """One number of a node's tensor."""
    x, n = values[0], place[-1]
    match node:
        case Dense():
            return sum(w * v for w, v in zip(node.weights.values()[n].tolist(), x.ravel(), strict=True))
        case Conv2d():
            per_group = x.shape[2] // node.groups
            first = n * node.groups // node.type.shape[-1] * per_group
            taps = iter(node.weights.values()[n].tolist())
            total = 0
            for row, column in node.window(kind).taps(place[0], place[1]):
                inside = 0 <= row < x.shape[0] and 0 <= column < x.shape[1]
                for c in range(first, first + per_group):
                    total += next(taps) * (x[row, column, c] if inside else value(node.pad_code or 0, kind))
            assert next(taps, None) is None
            return total
        case MaxPool() | SumPool():
            seen = [x[row, column, n] for row, column in node.window(kind).taps(place[0], place[1])]
            return max(seen) if isinstance(node, MaxPool) else sum(seen)
        case Add():
            return sum(v[place] for v in values)
        case Concat():
            return np.concatenate(values, axis=-1)[place]
        case Threshold():
            down = node.descending[n]
            return sum(x[place] <= t if down else x[place] >= t for t in node.thresholds[n].tolist())
        case Requantize():
            shifted = (int(node.multiplier[n]) * x[place] + int(node.offset[n])) // 2**node.shift
            return min(max(shifted, 0), node.type.max_code)
        case Scores():
            return int(node.multiplier[n]) * x.ravel()[n] + int(node.offset[n])
    raise AssertionError(node.kind)


@pytest.mark.parametrize("seed", range(12))
def test_every_number_of_a_graph(seed: int):
    weights, codes = ((KINDS, KINDS), ((*KINDS[:2], *KINDS[-3:]),) * 2)[seed % 2]
    network = random_graph(seed, weights=weights, codes=codes, count=3)
    batch = random_codes(network, 2, seed)
    trace = golden.run(network, batch)
    for index, sample in enumerate(batch):
        for name, expected in slow(network, sample).items():
            assert trace[name][index].tolist() == expected.tolist(), name


@pytest.mark.parametrize(("bits", "encoding"), KINDS)
def test_encodings_are_monotone_and_as_written(bits: int, encoding: Encoding):
    kind = CodeType((1,), bits, encoding)
    table = code_values(bits, encoding).tolist()
    assert table == [value(code, kind) for code in range(kind.max_code + 1)]
    assert table == sorted(set(table)) and (kind.lo, kind.hi) == (table[0], table[-1])


@pytest.mark.parametrize("method", [*Method, None])
@pytest.mark.parametrize("seed", range(4))
def test_the_backend_equals_the_golden_model_on_graphs(method: Method | None, seed: int):
    network = random_graph(seed, count=5, codes=((1, Encoding.BIPOLAR), (1, Encoding.BIPOLAR), (3, Encoding.UNSIGNED)))
    batch = random_codes(network, 20, seed)
    wanted = [node.name for node in network.nodes[1:] if isinstance(node.type, CodeType)]
    oracle, result = golden.run(network, batch), Backend(network, method=method, threads=1).run(batch, keep=wanted)
    np.testing.assert_array_equal(result.scores, oracle.scores)
    for name in wanted:
        np.testing.assert_array_equal(result.codes[name], oracle[name], name)


@pytest.mark.parametrize("kind", KINDS)
def test_methods_refuse_the_encodings_that_they_do_not_know(kind: tuple[int, Encoding]):
    graph = GraphBuilder((40,), kind)
    network = graph.finish(graph.dense("image", 70))
    (stage,) = network.stages()
    assert supports(Method.POPCOUNT, stage) == (kind[1] in (Encoding.BIPOLAR, Encoding.UNSIGNED))
    assert supports(Method.INT8, stage) == (kind[1] not in (Encoding.LOG, Encoding.LOG_UNSIGNED))
    batch = random_codes(network, 20)
    for method in Method:
        if supports(method, stage):
            scores = Backend(network, method=method, threads=1).run(batch).scores
            np.testing.assert_array_equal(scores, golden.run(network, batch).scores)


@pytest.mark.parametrize("seed", range(6))
def test_files_hold_graphs(seed: int):
    network = random_graph(seed, count=8, weights=KINDS, codes=KINDS)
    content = network_bytes(network)
    again = parse(content)
    assert network_bytes(again) == content
    batch = random_codes(network, 3)
    ours, theirs = golden.run(network, batch), golden.run(again, batch)
    assert all(np.array_equal(ours[name], theirs[name]) for name in ours)
    assert {node.kind: node.type for node in again.nodes} == {node.kind: node.type for node in network.nodes}


def test_a_tensor_is_dropped_behind_its_last_reader():
    network = residual_network()
    batch = random_codes(network, 3)
    assert dict(golden.run(network, batch, keep=()).tensors) == {}
    kept = golden.run(network, batch, keep=("add0", "image"))
    assert set(kept) == {"add0", "image"} and np.array_equal(kept["add0"], golden.run(network, batch)["add0"])


def test_stages_of_a_graph_have_sinks_where_they_are_alone():
    graph = GraphBuilder((4, 4, 2))
    twice = graph.conv("image", 3)
    first, second = graph.threshold(twice), graph.threshold(twice)
    joined = graph.max_pool(graph.concat(first, second))
    wide = graph.requantize(graph.dense(joined, 4))
    network = graph.finish(graph.dense(wide, 2))
    assert [(s.dot.name, s.sink and s.sink.name, s.end.name) for s in network.stages()] == [
        ("conv2d0", None, "conv2d0"),
        ("dense0", None, "dense0"),
        ("dense1", "scores", "dense1"),
    ]
    stages = list(network.stages())
    assert [pool.name for pool in stages[1].pools_before] == ["maxpool0"]
    assert stages[1].input_type == network.node("maxpool0").type
    assert [node.name for node in network.readers()["conv2d0"]] == [first, second]


def test_the_generator_makes_every_kind():
    kinds = {node.kind for seed in range(20) for node in random_graph(seed).nodes}
    assert kinds == {
        *("input", "dense", "conv2d", "maxpool", "sumpool"),
        *("add", "concat", "threshold", "requantize", "scores"),
    }
    assert len(MOVES) == 10
