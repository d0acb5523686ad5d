"""Recurrent layers as nodes: rows sorted by unit, thresholds and the table of tanh found by asking the layer."""

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from ...errors import UsageError
from ...train.layers.recurrent import QuantLSTM, QuantRecurrent
from ...train.layers.sequences import whole_sequences
from ..ir import Node, Recurrent
from ..ranges import RowRanges, acc_type, row_ranges
from ..recurrent import Cell, Lstm, Rnn
from ..thresholds import find_thresholds
from ..types import AccType, CodeType, Encoding, Integers, Weights
from .trace import Site, Traced

__all__ = ["recurrent_node", "sequence_ends", "whole_batch"]

FLOAT32_EXACT = 1 << 24


def recurrent_node(traced: Traced, site: Site, before: Node) -> Recurrent:
    """The node of a recurrent layer; UsageError if input and state are on different grids, or numbers are not exact."""
    layer, source, name = traced.layer(site), before.type, str(site.operation.target)
    assert isinstance(layer, QuantRecurrent) and isinstance(source, CodeType)  # by its role
    kind = CodeType((layer.hidden_size,), layer.bits, Encoding(layer.encoding))
    if (source.bits, source.encoding) != (kind.bits, kind.encoding):
        raise UsageError(
            f"{name} reads {source.bits}-bit {source.encoding} codes and keeps {kind.bits}-bit {kind.encoding} ones; "
            "give it an activation on the grid of its state"
        )
    weights = _weights(layer, name)
    vector = replace(kind, shape=(weights.codes.shape[1],))
    ranges, reach = row_ranges(weights, vector), acc_type(weights, vector)
    if max(-reach.lo, reach.hi) >= FLOAT32_EXACT:
        raise UsageError(f"{name}: accumulators {reach.lo}..{reach.hi} are not exact in float32 (2^24)")
    if not all(bool(torch.isfinite(numbers).all()) for numbers in (layer.gain, layer.bias)):
        raise UsageError(f"{name} has numbers that are not finite; the training went wrong")
    if isinstance(layer, QuantLSTM):
        thresholds, descending = _thresholds(layer, ranges, reach, 1 << layer.cell.shift, name)
        return Lstm(site.name, (before.name,), kind, weights, thresholds, descending, _cell(layer))
    thresholds, descending = _thresholds(layer, ranges, reach, kind.max_code, name)
    return Rnn(site.name, (before.name,), kind, weights, thresholds, descending)


def sequence_ends(module: torch.nn.Module, samples: int) -> NDArray[np.bool_] | None:
    """Which samples of a batch end a sequence of the module's recurrent layers, its last sample among them; None
    without such layers. UsageError where layers disagree."""
    steps = {layer.steps for layer in module.modules() if isinstance(layer, QuantRecurrent)}
    if len(steps) > 1:
        raise UsageError(
            f"recurrent layers have sequences of {' and '.join(map(str, steps))} samples; give all one length"
        )
    if not steps:
        return None
    places = np.arange(1, samples + 1)
    ends: NDArray[np.bool_] = (places % (steps.pop() or samples) == 0) | (places == samples)
    return ends


def whole_batch(module: torch.nn.Module, samples: int) -> int:
    """The most samples, not above `samples` but at least one sequence, that can be run by themselves."""
    return whole_sequences(module, samples)


def _weights(layer: QuantRecurrent, name: str) -> Weights:
    """The weights' codes, the gates of a unit together."""
    quantizer = layer.weight_quantizer
    codes = quantizer.codes(layer.weight).numpy().astype(np.uint8)
    weights = Weights(codes, quantizer.bits, Encoding(quantizer.encoding))
    with torch.no_grad():
        used = quantizer(layer.weight).numpy()
    if not np.array_equal(used, weights.values()):
        raise UsageError(f"{name}: the values of {type(quantizer).__name__} are not those of its codes")
    return replace(weights, codes=np.ascontiguousarray(_by_unit(codes.T, layer.gates).T))


def _by_unit(columns: NDArray[np.generic], gates: int) -> NDArray[np.generic]:
    """Columns (B, gates * units), gate by gate, as unit by unit."""
    return columns.reshape(len(columns), gates, -1).transpose(0, 2, 1).reshape(len(columns), -1)


def _thresholds(
    layer: QuantRecurrent, ranges: RowRanges, reach: AccType, levels: int, name: str
) -> tuple[Integers, NDArray[np.bool_]]:
    """Of every row, from what the layer makes of its reachable accumulators."""

    def evaluate(acc: Integers) -> NDArray[np.uint8]:
        by_gate = acc.reshape(len(acc), -1, layer.gates).transpose(0, 2, 1).reshape(len(acc), -1)
        with torch.no_grad():
            codes = layer.codes(torch.from_numpy(by_gate).to(torch.float32))
        return _by_unit(codes.numpy(), layer.gates).astype(np.uint8)

    return find_thresholds(evaluate, ranges, levels, reach, name)


def _cell(layer: QuantLSTM) -> Cell:
    """The cell's numbers and its table, from what the layer makes of every integer that the cell can hold."""
    spec = layer.cell
    limit = 1 << spec.cell_bits - 1
    with torch.no_grad():
        codes = layer.tanh_codes(torch.arange(-limit, limit).to(torch.float32)).numpy()
    table = np.searchsorted(codes, np.arange(1, (1 << spec.shift) + 1)).astype(np.int64) - limit
    return Cell(spec.shift, spec.cell_bits, spec.cell_point, table)
