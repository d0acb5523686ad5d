"""The compiled network by the operators, on a CPU: equal to the golden model at every node."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from random_conv_networks import Conv, random_codes, random_conv_network
from random_graphs import random_graph
from random_networks import random_network
from random_recurrent import random_rnn, recurrent_network

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Encoding, Input, InputTransform, IntegerNetwork
from xnorflow.compiler.synthetic import binary_vgg
from xnorflow.errors import UsageError
from xnorflow.gpu.runner import Runner, device_of

BIPOLAR, UNSIGNED, SIGNED = Encoding.BIPOLAR, Encoding.UNSIGNED, Encoding.SIGNED
LFC = [784, 1024, 1024, 1024, 10]


def check(network: IntegerNetwork, samples: int = 7, batch: int = 4) -> None:
    """Every tensor that there is, and the dtypes of the golden model."""
    codes = random_codes(network, samples)
    runner = Runner(network, keep=Runner(network).names, batch=batch)
    trace, oracle = runner.run(codes), golden.run(network, codes)
    assert list(trace) == list(runner.names)
    for name in runner.names:
        assert trace[name].dtype == oracle[name].dtype
        np.testing.assert_array_equal(trace[name], oracle[name], err_msg=name)
    np.testing.assert_array_equal(trace.scores, oracle.scores)
    np.testing.assert_array_equal(trace.classes, oracle.classes)


@pytest.mark.parametrize(
    "source", [(8, BIPOLAR), (1, BIPOLAR), (3, UNSIGNED), (4, SIGNED), (2, Encoding.TERNARY)], ids=str
)
@pytest.mark.parametrize(
    "weights",
    [(1, BIPOLAR), (3, BIPOLAR), (4, SIGNED), (2, UNSIGNED), (2, Encoding.TERNARY), (5, Encoding.LOG)],
    ids=str,
)
def test_every_encoding(source: tuple[int, Encoding], weights: tuple[int, Encoding]) -> None:
    check(random_network([100, 40, 33, 10], source, source if source[0] < 5 else (1, BIPOLAR), weights))


@given(st.lists(st.integers(1, 150), min_size=2, max_size=4), st.integers(0, 9), st.integers(1, 5), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_any_widths_and_batches(widths: list[int], samples: int, batch: int, seed: int) -> None:
    check(random_network(widths, (2, UNSIGNED), seed=seed), samples, batch)


def test_the_shape_of_lfc() -> None:
    check(random_network(LFC), 20, 16)


def test_the_shape_of_cnv() -> None:
    pool = ((2, 2), (2, 2))
    pools = [None, pool, None, pool, None, None]
    convs = [Conv(n, (3, 3), pool_codes=p) for n, p in zip((64, 64, 128, 128, 256, 256), pools, strict=True)]
    network = random_conv_network((32, 32, 3), convs, (512, 512, 10), (8, UNSIGNED))
    check(network, 2, 2)


@pytest.mark.slow
def test_a_network_of_padded_maps() -> None:
    check(binary_vgg(), 3, 2)


@pytest.mark.parametrize("seed", range(24))
def test_graphs(seed: int) -> None:
    network = random_graph(seed)
    if any(stage.groups > 1 for stage in network.stages()):
        with pytest.raises(
            UsageError, match="is a convolution in .* groups, which the operators do not compute; leave out"
        ):
            Runner(network)
    else:
        check(network)


def test_pools_of_accumulators_and_sums() -> None:
    convs = [
        Conv(5, (3, 3), padding=(1, 1), pool_acc=((2, 2), (1, 2))),
        Conv(33, (2, 2), pool_codes=((2, 1), (2, 1)), pool_sum=((2, 2), (1, 1))),
    ]
    check(random_conv_network((9, 9, 2), convs, (6, 3), (2, UNSIGNED), (2, UNSIGNED), scores_of_codes=True))


def test_raw_samples_are_turned_on_the_device() -> None:
    network = random_network([30, 20, 4], (3, UNSIGNED))
    source = network.input
    transform = InputTransform(0.0, 255.0)
    network = IntegerNetwork((Input(source.name, (), source.type, transform), *network.nodes[1:]), network.class_names)
    raw = np.random.default_rng(0).integers(0, 256, (9, 30), dtype=np.uint8)
    oracle = golden.run(network, network.input_codes(raw))
    raw.flags.writeable = False  # as a data set that was read from a file
    for samples in (raw, raw.astype(np.float64)):
        trace = Runner(network, keep=[source.name]).run(samples)
        np.testing.assert_array_equal(trace[source.name], oracle[source.name])
        np.testing.assert_array_equal(trace.scores, oracle.scores)


def test_what_is_refused() -> None:
    network = random_network([30, 20, 4])
    with pytest.raises(UsageError, match="no tensor of 'dense0' is ever formed; there are .*act0"):
        Runner(network, keep=["dense0"])
    with pytest.raises(UsageError, match="the batch must be a positive whole number, not 0"):
        Runner(network, batch=0)
    with pytest.raises(UsageError, match=r"samples must be \(B, \*\(30,\)\), not \(2, 31\)"):
        Runner(network).run(np.zeros((2, 31), np.uint8))
    with pytest.raises(UsageError, match="input code 2 does not fit into 1 bits"):
        Runner(network).run(np.full((1, 30), 2, np.uint8))
    with pytest.raises(
        UsageError, match="yields log_unsigned codes, which bit planes do not hold as they are; leave out"
    ):
        Runner(random_network([30, 20, 4], hidden=(2, Encoding.LOG_UNSIGNED)))


def test_recurrent_networks_are_refused() -> None:
    with pytest.raises(UsageError, match="keeps a state from sample to sample, which the operators do not; leave out"):
        Runner(recurrent_network(random_rnn(5, 4, 2, 1)))


def test_accumulators_of_more_than_32_bits_are_refused() -> None:
    network = random_network([140_000, 2], (8, UNSIGNED), weights=(8, BIPOLAR))
    with pytest.raises(
        UsageError, match="'dense0' has accumulators from .*, more than 32 bits hold; leave out --device"
    ):
        Runner(network)


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built for CUDA")
def test_a_gpu_that_this_torch_cannot_use() -> None:
    with pytest.raises(UsageError, match="built without CUDA; install a CUDA build .* or use --device cpu"):
        device_of("cuda")


@pytest.mark.parametrize("name", ["", "gpu", "cpu:0", "cuda:x", "cuda:-1"])
def test_names_of_no_device(name: str) -> None:
    with pytest.raises(UsageError, match=f"device must be cpu, cuda or cuda:N, not '{name}'"):
        device_of(name)
