from dataclasses import fields

import pytest
from random_graphs import GraphBuilder
from random_networks import random_network

from xnorflow.compiler.cost.work import Work, mac_work, total_work, xnor_work
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.folds.solver import fold_for_cycles
from xnorflow.compiler.ir import Encoding
from xnorflow.errors import UsageError

NETWORK = random_network([20, 7, 10], source=(8, Encoding.UNSIGNED), hidden=(2, Encoding.UNSIGNED))
FOLDING = Folding({"dense0": LayerFold(2, 6), "dense1": LayerFold(10, 7)})  # dense0 is padded to 8 x 24


def test_the_xnor_design_by_hand() -> None:
    first, last = xnor_work(NETWORK, FOLDING)
    assert first == Work(
        "dense0", 0, 7 * 4 * 8, 140 * 8, 21, 140, 21 * 13, 160, 8 * 24, 24 * 13, 4 * 24 * 8, 160
    )  # 8 planes of the input, 4 SIMD words a row
    assert last == Work("dense1", 10, 10 * 2 + 10, 70 * 2, 0, 70, 0, 14, 70, 0, 14, 14)
    assert first.operations == 224 + 2 * 1120 + 21


def test_a_mac_design_by_hand() -> None:
    first, last = mac_work(NETWORK, FOLDING, 16)
    assert first == Work("dense0", 140, 147, 0, 0, 140 * 16, 7 * 32, 20 * 16, 192 * 16, 7 * 32, 96 * 16, 20 * 16)
    assert last == Work("dense1", 70, 80, 0, 0, 70 * 16, 10 * 32, 7 * 16, 70 * 16, 10 * 32, 7 * 16, 7 * 16)
    assert first.stored_bits == 140 * 16 + 224
    assert first.accesses == 192 * 16 + 224 + 96 * 16 + 320


def test_planes_in_time_read_weights_again_in_the_xnor_design_alone() -> None:
    folding = Folding({"dense0": LayerFold(2, 6, planes_in_time=8), "dense1": LayerFold(10, 7)})
    assert xnor_work(NETWORK, folding)[0].weight_reads == 8 * 192
    assert mac_work(NETWORK, folding, 8) == mac_work(NETWORK, FOLDING, 8)


@pytest.mark.parametrize("convolutional", [False, True])
def test_binary_weights_and_activations_take_a_32nd_of_floats_layer_by_layer(convolutional: bool) -> None:
    # the BNN paper's claim: memory size and accesses 32 times smaller than with 32-bit floats
    if convolutional:
        graph = GraphBuilder((8, 8, 2))
        codes = graph.threshold(graph.conv("image", 6, 3, padding=1))
        network = graph.finish(graph.dense(graph.threshold(graph.conv(codes, 5, 3)), 4))
    else:
        network = random_network([784, 256, 256, 10])
    folding = fold_for_cycles(network, 5000)
    layers = list(zip(xnor_work(network, folding), mac_work(network, folding, 32), strict=True))
    assert len(layers) == 3
    for ours, floats in layers:
        for what in ("weight_bits", "activation_bits", "weight_reads", "activation_reads", "activation_writes"):
            assert getattr(floats, what) == 32 * getattr(ours, what) > 0


def test_totals_are_sums() -> None:
    layers = mac_work(NETWORK, FOLDING, 8)
    total = total_work("all", layers)
    assert total.name == "all"
    for name in (f.name for f in fields(Work) if f.name != "name"):
        assert getattr(total, name) == sum(getattr(layer, name) for layer in layers)


def test_the_folding_must_suit() -> None:
    with pytest.raises(UsageError, match="no folding for layer 'dense0'"):
        mac_work(NETWORK, Folding({}), 8)
