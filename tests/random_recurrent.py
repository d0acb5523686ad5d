"""Random recurrent nodes, whose codes vary."""

from dataclasses import replace

import numpy as np

from xnorflow.compiler.ir import Dense, Input, IntegerNetwork, Recurrent, Scores
from xnorflow.compiler.ranges import acc_type, row_ranges
from xnorflow.compiler.recurrent import Cell, Lstm, Rnn
from xnorflow.compiler.types import CodeType, Encoding, Weights

__all__ = ["random_lstm", "random_recurrent", "random_rnn", "recurrent_network", "tanh_cell"]


def tanh_cell(shift: int, bits: int, point: int) -> Cell:
    """A cell with the true tanh."""
    values = np.arange(-(1 << bits - 1), 1 << bits - 1)
    half = 1 << shift - 1
    codes = np.floor(half * np.tanh(values / 2**point) + 0.5) + half
    return Cell(shift, bits, point, np.searchsorted(codes, np.arange(1, 2 * half + 1)) + values[0])


def random_recurrent(
    kind: type[Recurrent], size: int, hidden: int, bits: int, weight_bits: int, levels: int, seed: int
) -> dict[str, object]:
    """The fields that both kinds share; thresholds where accumulators mostly are, a third of the rows descending."""
    rng = np.random.default_rng([size, hidden, bits, weight_bits, seed])
    rows, columns = kind.gates * hidden, size + hidden
    codes = rng.integers(0, 1 << weight_bits, (rows, columns), dtype=np.uint8)
    weights = Weights(codes, weight_bits, Encoding.BIPOLAR)
    reach = row_ranges(weights, CodeType((columns,), bits, Encoding.BIPOLAR))
    spread = np.sqrt(columns) * ((1 << bits) - 1) * ((1 << weight_bits) - 1) / 3
    thresholds = np.sort(np.rint(rng.normal(0, spread, (rows, levels))).astype(np.int64), axis=1)
    thresholds = np.clip(thresholds, reach.lo.min() - 1, reach.hi.max() + 1)
    descending = rng.random(rows) < 1 / 3
    thresholds[descending] = thresholds[descending, ::-1]
    return {
        "name": "steps",
        "inputs": ("inputs",),
        "type": CodeType((hidden,), bits, Encoding.BIPOLAR),
        "weights": weights,
        "thresholds": thresholds,
        "descending": descending,
    }


def random_rnn(size: int, hidden: int, bits: int, weight_bits: int, seed: int = 0) -> Rnn:
    """A vanilla RNN."""
    return Rnn(**random_recurrent(Rnn, size, hidden, bits, weight_bits, (1 << bits) - 1, seed))


def random_lstm(
    size: int, hidden: int, bits: int, weight_bits: int, cell: tuple[int, int, int] = (3, 9, 5), seed: int = 0
) -> Lstm:
    """An LSTM; cell: shift, bits and point."""
    shared = random_recurrent(Lstm, size, hidden, bits, weight_bits, 1 << cell[0], seed)
    return Lstm(**shared, cell=tanh_cell(*cell))


def recurrent_network(node: Recurrent, classes: int = 3) -> IntegerNetwork:
    """Codes, the node, a dense layer and scores."""
    rng = np.random.default_rng(node.features)
    source = Input("inputs", (), replace(node.type, shape=(node.features,)), None)
    weights = Weights(rng.integers(0, 4, (classes, node.hidden), dtype=np.uint8), 2, Encoding.BIPOLAR)
    dense = Dense("out", (node.name,), acc_type(weights, node.type), weights)
    ones = np.ones(classes, np.int64)
    scores = Scores("scores", ("out",), dense.type, ones, 0 * ones)
    return IntegerNetwork((source, node, dense, scores), tuple("abcdefgh"[:classes]))
