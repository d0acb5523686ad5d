import pytest
from random_networks import random_network

from xnorflow.compiler.counts import count_layers, node_operations, total_counts
from xnorflow.compiler.folding import Folding, LayerFold
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
