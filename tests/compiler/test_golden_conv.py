import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_conv_networks import Conv, random_codes, random_conv_network

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Conv2d, Dense, Encoding, Input, IntegerNetwork, MaxPool, Scores, Threshold
from xnorflow.compiler.storage.network_file import load_network, network_bytes, save_network
from xnorflow.errors import UsageError


def value_of(code: int, bits: int, encoding: Encoding) -> int:
    return 2 * code - (2**bits - 1) if encoding is Encoding.BIPOLAR else code


def interpret(network: IntegerNetwork, sample: np.ndarray) -> dict[str, np.ndarray]:
    """The definitions of compiler/ir.py word by word, loop by loop, in Python integers."""
    tensors: dict[str, np.ndarray] = {}
    for node in network.nodes:
        if isinstance(node, Input):
            tensors[node.name] = sample
            continue
        before = network.node(node.inputs[0])
        x = tensors[before.name]
        out = np.zeros(node.type.shape, np.int64)
        match node:
            case Conv2d():
                height, width, channels = before.type.shape
                rows, columns, filters = node.type.shape
                kind, w = before.type, node.weights
                for y, xx, n in np.ndindex(rows, columns, filters):
                    for column, (ky, kx, c) in enumerate(np.ndindex(*node.kernel, channels)):
                        row = y * node.stride[0] + ky * node.dilation[0] - node.padding[0]
                        col = xx * node.stride[1] + kx * node.dilation[1] - node.padding[1]
                        inside = 0 <= row < height and 0 <= col < width
                        code = int(x[row, col, c]) if inside else node.pad_code
                        weight = value_of(int(w.codes[n, column]), w.bits, w.encoding)
                        out[y, xx, n] += weight * value_of(code, kind.bits, kind.encoding)
            case MaxPool():
                for y, xx, c in np.ndindex(*node.type.shape):
                    top, left = y * node.stride[0], xx * node.stride[1]
                    out[y, xx, c] = max(
                        int(x[top + ky, left + kx, c]) for ky, kx in np.ndindex(node.kernel[0], node.kernel[1])
                    )
            case Dense():
                kind, w = before.type, node.weights
                for n, row in enumerate(w.codes.tolist()):
                    out[n] = sum(
                        value_of(weight, w.bits, w.encoding) * value_of(int(code), kind.bits, kind.encoding)
                        for weight, code in zip(row, x.ravel(), strict=True)
                    )
            case Threshold():
                for place in np.ndindex(*node.type.shape):
                    levels, acc = node.thresholds[place[-1]], x[place]
                    out[place] = sum(acc <= t if node.descending[place[-1]] else acc >= t for t in levels)
            case Scores():
                out = x.ravel() * node.multiplier + node.offset
        tensors[node.name] = out
    return tensors


small = st.integers(1, 3)
pairs = st.tuples(small, small)
codes = st.sampled_from([(1, Encoding.BIPOLAR), (2, Encoding.UNSIGNED), (3, Encoding.BIPOLAR)])
convs = st.builds(
    Conv,
    channels=small,
    kernel=pairs,
    stride=pairs,
    padding=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    dilation=pairs,
    pool_acc=st.none() | st.tuples(pairs, pairs),
    pool_codes=st.none() | st.tuples(pairs, pairs),
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.tuples(st.integers(1, 8), st.integers(1, 8), small),
    st.lists(convs, min_size=1, max_size=2),
    codes,
    codes,
    codes,
    st.booleans(),
    st.integers(0, 99),
)
def test_golden_model_is_the_definition(shape, layers, source, hidden, weights, scores_of_codes, seed):
    try:
        network = random_conv_network(
            shape, layers, (4, 3), source, hidden, weights, scores_of_codes=scores_of_codes, seed=seed
        )
    except UsageError:
        assume(False)  # a window that does not fit
    batch = random_codes(network, 2, seed)
    trace = golden.run(network, batch)
    for index, sample in enumerate(batch):
        for name, expected in interpret(network, sample).items():
            assert np.array_equal(trace[name][index], expected), name


NETWORK = random_conv_network(
    (7, 6, 2),
    [
        Conv(5, (3, 2), padding=(1, 1), pool_acc=((2, 2), (1, 2))),
        Conv(4, (2, 2), stride=(2, 1), pool_codes=((2, 1), (1, 1))),
    ],
    (6, 3),
    source=(2, Encoding.BIPOLAR),
    hidden=(2, Encoding.UNSIGNED),
)


def test_batches_of_any_size_give_the_same(monkeypatch: pytest.MonkeyPatch):
    batch = random_codes(NETWORK, 9)
    whole = golden.run(NETWORK, batch)
    monkeypatch.setattr(golden, "BATCH_ELEMENTS", 1)
    single = golden.run(NETWORK, batch)
    assert all(np.array_equal(whole[name], single[name]) for name in whole)
    assert golden.run(NETWORK, batch[:0]).scores.shape == (0, 3)


def test_stages_know_their_pools():
    first, second, third, last = NETWORK.stages()
    assert first.sink is None and first.pools_before == ()  # a pool of accumulators reads it
    assert second.pools_before == () and second.input_type == NETWORK.node("conv_act0").type
    assert [pool.name for pool in third.pools_before] == ["code_pool1"]
    assert third.input_type == NETWORK.node("code_pool1").type
    assert (last.dot.name, last.sink.name) == ("dense1", "scores")


def test_the_file_gives_the_network_back(tmp_path):
    save_network(NETWORK, tmp_path / "network.safetensors")
    again = load_network(tmp_path / "network.safetensors")
    assert network_bytes(again) == network_bytes(NETWORK)
    batch = random_codes(NETWORK, 4)
    assert np.array_equal(golden.run(again, batch).scores, golden.run(NETWORK, batch).scores)
