import importlib.util
import sys
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_networks import BINARY, random_network

from xnorflow.compiler import golden
from xnorflow.compiler.fast import backend
from xnorflow.compiler.fast.backend import Backend, input_codes, run
from xnorflow.compiler.fast.layers import Method, Mismatch, Planes, Workers, supports
from xnorflow.compiler.ir import Encoding, Input, InputTransform, IntegerNetwork
from xnorflow.errors import UsageError

BIPOLAR, UNSIGNED = Encoding.BIPOLAR, Encoding.UNSIGNED
ENCODINGS = st.sampled_from([BIPOLAR, UNSIGNED])


def random_codes(network: IntegerNetwork, samples: int, seed: int = 0) -> np.ndarray:
    source = network.input.type
    return np.random.default_rng(seed).integers(0, source.max_code + 1, (samples, *source.shape), dtype=np.uint8)


def check_equal(network: IntegerNetwork, method: Method | None, samples: int, threads: int = 1) -> None:
    codes = random_codes(network, samples)
    hidden = [stage.sink.name for stage in network.stages()][:-1]
    oracle = golden.run(network, codes)
    result = Backend(network, method=method, threads=threads).run(codes, keep=hidden)
    assert result.scores.dtype == result.classes.dtype == np.int64
    np.testing.assert_array_equal(result.scores, oracle.scores)
    np.testing.assert_array_equal(result.classes, oracle.classes)
    assert list(result.codes) == hidden
    for name in hidden:
        assert result.codes[name].dtype == np.uint8
        np.testing.assert_array_equal(result.codes[name], oracle[name])


@pytest.mark.parametrize("method", list(Method))
@given(
    widths=st.lists(st.integers(1, 150), min_size=2, max_size=4),
    source=st.tuples(st.integers(1, 8), ENCODINGS),
    hidden=st.tuples(st.integers(1, 4), ENCODINGS),
    weight_bits=st.sampled_from([1, 1, 2, 3]),
    samples=st.integers(0, 70),
    seed=st.integers(0, 1000),
)
@settings(max_examples=25, deadline=None)
def test_every_method_equals_the_golden_model(
    method: Method,
    widths: list[int],
    source: tuple[int, Encoding],
    hidden: tuple[int, Encoding],
    weight_bits: int,
    samples: int,
    seed: int,
) -> None:
    network = random_network(widths, source, hidden, (weight_bits, BIPOLAR), seed)
    check_equal(network, method, samples)


@pytest.mark.parametrize("method", [Method.FLOAT, Method.INT8])
@pytest.mark.parametrize("weight_bits", [1, 4])
def test_unsigned_weights_are_left_to_the_matrix_products(method: Method, weight_bits: int) -> None:
    network = random_network([40, 30, 10], (8, UNSIGNED), (2, UNSIGNED), (weight_bits, UNSIGNED))
    assert not supports(Method.POPCOUNT, next(network.stages()))
    check_equal(network, method, 33)


@pytest.mark.parametrize("source", [(8, UNSIGNED), (8, BIPOLAR), (1, BIPOLAR)], ids=str)
def test_several_blocks_and_threads(source: tuple[int, Encoding], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend, "BATCH", 300)
    check_equal(random_network([784, 130, 65, 10], source), Method.POPCOUNT, 1000, threads=3)


def test_measured_choice_is_exact_and_kept() -> None:
    network = random_network([100, 90, 80, 10], (8, UNSIGNED), (4, UNSIGNED))
    check_equal(network, None, 50)
    first, second = Backend(network, threads=1), Backend(network, threads=1)
    assert first.methods == second.methods
    assert set(first.methods) == {"dense0", "dense1", "dense2"}


def test_sums_beyond_float32_stay_exact() -> None:
    network = random_network([800, 5], (8, UNSIGNED), BINARY, (8, BIPOLAR))
    next(network.stages()).dot.weights.codes[:] = 255
    codes = random_codes(network, 50)
    oracle = golden.run(network, codes)
    assert (oracle["dense0"] > 1 << 24).all()
    assert (oracle["dense0"] % 2 == 1).any()  # float32 would round these to even
    np.testing.assert_array_equal(Backend(network, method=Method.FLOAT).run(codes).scores, oracle.scores)


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if neither Numba nor torch were installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *rest: None if name in ("numba", "torch") else find_spec(name, *rest)
    )
    monkeypatch.setitem(sys.modules, "numba", None)
    monkeypatch.setattr(backend, "_fastest", {})
    yield


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("method", [Method.BITWISE, Method.FLOAT, None])
def test_numpy_alone_will_do(method: Method | None) -> None:
    check_equal(random_network([100, 70, 10], (2, UNSIGNED), (3, UNSIGNED)), method, 30)


@pytest.mark.usefixtures("bare")
@pytest.mark.parametrize("method", [Method.POPCOUNT, Method.INT8])
def test_a_method_without_its_library(method: Method) -> None:
    with pytest.raises(UsageError, match=rf"'dense0' cannot be computed by {method}; use one of bitwise, float"):
        Backend(random_network([4, 4, 2]), method=method)


def test_int8_refuses_what_could_saturate() -> None:
    with pytest.raises(UsageError, match="cannot be computed by int8; use one of popcount, bitwise, float"):
        Backend(random_network([4, 4, 2], weights=(7, BIPOLAR)), method=Method.INT8)


def test_little_work_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    network = random_network([20, 10, 3])
    codes = random_codes(network, 7)
    result = run(network, codes, keep=["act0"])
    assert set(result.methods.values()) == {Method.FLOAT}
    np.testing.assert_array_equal(result.scores, golden.run(network, codes).scores)
    monkeypatch.setattr(backend, "SMALL_WORK", 0)
    monkeypatch.setattr(backend, "_measured", lambda *_: Method.BITWISE)
    assert set(run(network, codes).methods.values()) == {Method.BITWISE}


@given(st.integers(1, 3), st.integers(1, 8), ENCODINGS, st.integers(0, 500))
@settings(max_examples=50, deadline=None)
def test_mismatches_are_the_dot_product(weight_bits: int, bits: int, encoding: Encoding, seed: int) -> None:
    stage = next(random_network([33, 5], (bits, encoding), BINARY, (weight_bits, BIPOLAR), seed).stages())
    codes = np.random.default_rng(seed).integers(0, 1 << bits, 33, dtype=np.uint8)
    counted = sum(
        (((stage.dot.weights.codes >> i) & 1) ^ ((codes >> j) & 1)).sum(1, dtype=np.int64) << (i + j)
        for i in range(weight_bits)
        for j in range(bits)
    )
    mismatch = Mismatch.of(stage)
    acc = stage.dot.weights.values() @ stage.input_type.values(codes)
    np.testing.assert_array_equal(mismatch.constant - mismatch.alpha * counted, acc)


@given(samples=st.integers(0, 3000), threads=st.integers(1, 4))
@settings(max_examples=30, deadline=None)
def test_workers_cover_every_sample_once(samples: int, threads: int) -> None:
    seen = np.zeros(samples, np.int64)

    def work(part: slice) -> None:
        seen[part] += 1

    with Workers(threads) as workers:
        workers.spread(samples, work)
    assert (seen == 1).all()


def test_a_failing_worker_is_heard() -> None:
    def work(part: slice) -> None:
        raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"), Workers(2) as workers:
        workers.spread(100, work)


def test_planes_are_codes() -> None:
    planes = Planes(np.array([[[0b101], [0b010]]], np.uint64), 4)
    assert planes.codes().tolist() == [[1, 2, 1, 0]]


@pytest.mark.parametrize(
    ("codes", "keep", "message"),
    [
        (np.zeros((2, 5), np.uint8), (), r"input codes must be uint8 \(B, \*\(4,\)\), not uint8 \(2, 5\)"),
        (np.zeros((2, 4), np.int64), (), r"must be uint8 .*, not int64 \(2, 4\)"),
        (np.zeros(4, np.uint8), (), r"must be uint8"),
        (np.full((2, 4), 2, np.uint8), (), r"input code 2 does not fit into 1 bits"),
        (np.zeros((2, 4), np.uint8), ("dense0",), r"no node named 'dense0' yields codes; there are act0"),
    ],
)
def test_wrong_input(codes: np.ndarray, keep: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Backend(random_network([4, 3, 2]), method=Method.FLOAT).run(codes, keep=keep)


def test_wrong_threads() -> None:
    with pytest.raises(UsageError, match="threads must be a positive whole number, not 0"):
        Backend(random_network([4, 3, 2]), threads=0)


@pytest.mark.parametrize(
    ("bits", "transform", "dtype"),
    [
        (1, InputTransform(0.0, 255.0), np.uint8),
        (3, InputTransform(10.0, 200.0), np.uint8),
        (8, InputTransform(0.0, 255.0), np.uint8),
        (8, InputTransform(0.0, 1.0), np.float32),
        (8, None, np.uint8),
    ],
)
def test_input_codes_are_the_networks_own(bits: int, transform: InputTransform | None, dtype: type) -> None:
    network = random_network([64, 3], (bits, UNSIGNED))
    source = Input("image", (), network.input.type, transform)
    network = IntegerNetwork((source, *network.nodes[1:]), network.class_names, {})
    raw = np.random.default_rng(0).integers(0, 256, (20, 64)).astype(dtype)
    np.testing.assert_array_equal(input_codes(network, raw), network.input_codes(raw))
