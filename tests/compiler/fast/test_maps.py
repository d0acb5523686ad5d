"""The CPU backend on feature maps: every method equals the golden model, whatever the windows, pools and channels."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from random_conv_networks import Conv, random_codes, random_conv_network

from xnorflow.compiler import golden
from xnorflow.compiler.fast.backend import Backend, input_codes, run
from xnorflow.compiler.fast.layers import Method
from xnorflow.compiler.ir import Encoding, IntegerNetwork, Threshold
from xnorflow.compiler.storage.bnn_pynq import import_bnn_pynq
from xnorflow.errors import UsageError
from xnorflow.train.data.datasets import load_dataset

BIPOLAR, UNSIGNED = Encoding.BIPOLAR, Encoding.UNSIGNED


def check_equal(network: IntegerNetwork, method: Method | None, samples: int) -> None:
    codes = random_codes(network, samples)
    hidden = [node.name for node in network.nodes if isinstance(node, Threshold)]
    oracle = golden.run(network, codes)
    result = Backend(network, method=method, threads=1).run(codes, keep=hidden)
    np.testing.assert_array_equal(result.scores, oracle.scores)
    for name in hidden:
        np.testing.assert_array_equal(result.codes[name], oracle[name])


small = st.integers(1, 3)
pairs = st.tuples(small, small)
convs = st.builds(
    Conv,
    channels=st.sampled_from([1, 3, 64, 65, 128]),
    kernel=pairs,
    stride=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    padding=st.tuples(st.integers(0, 1), st.integers(0, 1)),
    dilation=pairs,
    pool_acc=st.none() | st.tuples(pairs, pairs),
    pool_codes=st.none() | st.tuples(pairs, pairs),
)


@pytest.mark.parametrize("method", list(Method))
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.filter_too_much])
@given(
    shape=st.tuples(st.integers(1, 8), st.integers(1, 8), st.sampled_from([1, 3, 64])),
    layers=st.lists(convs, min_size=1, max_size=3),
    source=st.tuples(st.integers(1, 8), st.sampled_from([BIPOLAR, UNSIGNED])),
    hidden=st.sampled_from([(1, BIPOLAR), (2, UNSIGNED), (2, BIPOLAR)]),
    weight_bits=st.sampled_from([1, 2]),
    scores_of_codes=st.booleans(),
    samples=st.integers(0, 5),
    seed=st.integers(0, 99),
)
def test_every_method_equals_the_golden_model(
    method, shape, layers, source, hidden, weight_bits, scores_of_codes, samples, seed
):
    try:
        network = random_conv_network(
            shape, layers, (5, 3), source, hidden, (weight_bits, BIPOLAR), scores_of_codes=scores_of_codes, seed=seed
        )
    except UsageError:
        assume(False)  # a window that does not fit
    check_equal(network, method, samples)


CNV_LIKE = random_conv_network(
    (10, 9, 3),
    [
        Conv(64, (3, 3), pool_codes=((2, 2), (2, 2))),
        Conv(128, (2, 2), padding=(1, 1)),
        Conv(64, (2, 3), pool_acc=((2, 1), (1, 1))),
    ],
    (32, 4),
    source=(8, UNSIGNED),
)


def test_measured_methods_and_small_batches_equal_the_golden_model(monkeypatch: pytest.MonkeyPatch):
    check_equal(CNV_LIKE, None, 7)
    monkeypatch.setattr("xnorflow.compiler.fast.backend.BATCH_ELEMENTS", 1)
    check_equal(CNV_LIKE, Method.BITWISE, 3)


@pytest.mark.parametrize("hidden", [(1, BIPOLAR), (2, UNSIGNED)])
def test_every_padding_of_whole_words(hidden):
    """A map of 64 channels, padded with each code: on words, a border of zeros and ones."""
    layers = [Conv(64, (2, 2)), Conv(8, (3, 3), padding=(2, 1))]
    network = random_conv_network((5, 4, 1), layers, (16, 3), hidden=hidden)
    for pad in range(1 << hidden[0]):
        nodes = tuple(replace(node, pad_code=pad) if node.name == "conv1" else node for node in network.nodes)
        check_equal(replace(network, nodes=nodes), Method.POPCOUNT, 4)


def test_an_empty_batch_has_shapes():
    result = Backend(CNV_LIKE, method=Method.POPCOUNT).run(random_codes(CNV_LIKE, 0), keep=["conv_act1"])
    assert result.scores.shape == (0, 4)
    assert result.codes["conv_act1"].shape == (0, *CNV_LIKE.node("conv_act1").type.shape)


def test_little_work_is_done_in_float():
    result = run(CNV_LIKE, random_codes(CNV_LIKE, 2))
    assert set(result.methods) == {"conv0", "conv1", "conv2", "dense0", "dense1"}
    assert set(result.methods.values()) == {Method.FLOAT}


@pytest.mark.slow
def test_published_cnv(data_dir: Path):
    if not ((data_dir / "bnn-pynq").is_dir() and (data_dir / "cifar-10-batches-bin").is_dir()):
        pytest.skip("XNORFLOW_DATA has no bnn-pynq or no cifar-10-batches-bin")
    network = import_bnn_pynq(data_dir / "bnn-pynq" / "cnvW1A1-cifar10").network
    samples = load_dataset("cifar10", "test", data_dir)
    result = run(network, input_codes(network, samples.images[:1000]))
    digest = hashlib.sha256((result.scores // 2).astype("<u2").tobytes()).hexdigest()
    assert digest == "40579f21b95b2ed997ae45a8b490e7960a4c3ce2f0a24cc097f37e4a9284e0ba"
