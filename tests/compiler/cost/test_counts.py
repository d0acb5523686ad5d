import pytest
from random_graphs import GraphBuilder
from random_networks import random_network

from xnorflow.compiler.cost.counts import count_layers, node_operations, total_counts
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Encoding
from xnorflow.errors import UsageError

NETWORK = random_network([20, 7, 10], source=(8, Encoding.UNSIGNED), hidden=(2, Encoding.UNSIGNED))


def test_every_count_by_hand() -> None:
    # dense0 is 7 x 20 on 2 x 6: 4 neuron folds, 4 synapse folds, padded to 8 x 24
    first, last = count_layers(NETWORK, Folding({"dense0": LayerFold(2, 6), "dense1": LayerFold(10, 7)}))
    assert (first.macs, first.operations, first.binary_operations) == (140, 280, 280 * 8)
    assert first.acc_bits == (20 * 255).bit_length() == 13
    assert (first.thresholds, first.threshold_bits, first.threshold_reads) == (21, 21 * 13, 24 * 13)
    assert (first.weight_bits, first.weight_reads) == (140, 8 * 24)
    assert (first.activation_writes, first.activation_reads) == (20 * 8, 4 * 24 * 8)
    assert (last.macs, last.binary_operations, last.acc_bits) == (70, 140 * 2, (7 * 3).bit_length())
    assert (last.thresholds, last.threshold_bits, last.threshold_reads) == (0, 0, 0)
    assert (last.weight_reads, last.activation_reads, last.activation_writes) == (70, 14, 14)


def test_totals_are_sums() -> None:
    layers = count_layers(NETWORK, Folding({"dense0": LayerFold(2, 6), "dense1": LayerFold(10, 7)}))
    totals = total_counts(layers)
    assert totals["macs"] == 210
    assert totals["weight_reads"] == 192 + 70
    assert all(totals[name] == getattr(layers[0], name) + getattr(layers[1], name) for name in totals)


def test_operations_of_nodes() -> None:
    assert [node_operations(node) for node in NETWORK.nodes] == [0, 280, 21, 140, 20]


def test_the_folding_must_suit() -> None:
    with pytest.raises(UsageError, match="no folding for layer 'dense0'"):
        count_layers(NETWORK, Folding({}))


def test_what_stands_between_dot_products_is_counted_with_the_one_before() -> None:
    graph = GraphBuilder((4, 4, 3), (2, Encoding.UNSIGNED))
    front = graph.threshold("image")  # in front of all: with the first
    first = graph.conv(front, 5, 3, padding=1)
    wide = graph.requantize(first, (3, Encoding.SIGNED))
    second = graph.threshold(graph.conv(graph.threshold(wide), 5, 3, padding=1), (3, Encoding.SIGNED))
    total = graph.threshold(graph.add(wide, second))
    network = graph.finish(graph.threshold(graph.dense(graph.threshold(graph.sum_pool(total)), 2)))
    layers = count_layers(network, Folding({n: LayerFold(2, 3) for n in ("conv2d0", "conv2d1", "dense0")}))
    by_name = {layer.name: layer for layer in layers}
    a, b, c = by_name["conv2d0"], by_name["conv2d1"], by_name["dense0"]
    # thresholds of 2-bit pixels, of 3-bit codes; the sum's and the global sum's are behind `wide`, its first input
    assert a.thresholds == 48 + 80 + 80 + 5
    assert a.threshold_bits == 3 * 2 + 64 * 5 + 5 * 3 + 5 * 4 + 5 * 6  # ranges 0..3, -4..3, -8..6, -16..16
    assert a.additions == 80 + 80 + 5 * 15 and a.multiplications == 80
    assert (b.thresholds, b.threshold_bits) == (80 * 7, 5 * 7 * 6)  # 45 bits counted
    assert (b.additions, b.multiplications) == (0, 0)
    assert (c.thresholds, c.additions, c.multiplications) == (2, 2, 2)  # scores of codes


def test_operations_of_sums_and_requantizations() -> None:
    graph = GraphBuilder((4, 4, 3))
    wide = graph.requantize(graph.sum_pool(graph.threshold(graph.add("image", graph.threshold("image"))), 2, 2))
    network = graph.finish(graph.dense(wide, 2))
    operations = {node.name: node_operations(node) for node in network.nodes}
    assert (operations["add0"], operations["sumpool0"], operations["requantize0"]) == (48, 12 * 3, 24)
