"""How each kind of node is written to the network file and read back. A new kind is a new entry in `RECORDS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...errors import NetworkFileError
from ..ir import (
    Add,
    Concat,
    Conv2d,
    Dense,
    Input,
    MaxPool,
    Node,
    Recurrent,
    Requantize,
    Scores,
    SumPool,
    Threshold,
)
from ..packing import pack_codes
from ..recurrent import Cell, Lstm, Rnn
from ..types import CodeType, Weights
from .fields import Array, Fields, integer, mapping, text_of

__all__ = ["RECORDS", "Record", "build_node", "describe", "node_tensors"]

N = TypeVar("N", bound=Node)


@dataclass(frozen=True, slots=True)
class Record(Generic[N]):
    """How nodes of one kind are stored.

    build: the node of its fields. describe: the fields that it has beside kind, name, inputs and type, as JSON.
    tensors: its arrays as they are stored, by the part behind the node's name.
    """

    kind: type[N]
    build: Callable[[Fields], N]
    describe: Callable[[N], dict[str, Any]] = lambda node: {}
    tensors: Callable[[N], dict[str, Array]] = lambda node: {}


def describe(node: Node) -> dict[str, Any]:
    """A node without its arrays, as JSON."""
    entry: dict[str, Any] = {"kind": node.kind, "name": node.name, "inputs": list(node.inputs)}
    entry["shape"] = list(node.type.shape)
    if isinstance(node.type, CodeType):
        entry |= {"bits": node.type.bits, "encoding": str(node.type.encoding)}
    else:
        entry["range"] = [node.type.lo, node.type.hi]
    return entry | RECORDS[node.kind].describe(node)


def node_tensors(node: Node) -> dict[str, Array]:
    """The node's arrays as they are stored, by name."""
    return {f"{node.name}.{part}": array for part, array in RECORDS[node.kind].tensors(node).items()}


def build_node(entry: Mapping[str, Any], tensors: Mapping[str, Array]) -> Node:
    """One node; its arrays come from `tensors`."""
    kind = text_of(entry, "kind", "a node")
    fields = Fields(entry, tensors, text_of(entry, "name", "a node"))
    if kind not in RECORDS:
        raise NetworkFileError(f"{fields.where}: kind {kind!r} is none of {', '.join(RECORDS)}")
    node: Node = RECORDS[kind].build(fields)
    return node


# --- pieces that several kinds have ----------------------------------------------------------------------------


def narrowest(values: NDArray[np.int64]) -> Array:
    """The same integers in the least of int8, int16, int32, int64 that holds them."""
    lo, hi = int(values.min()), int(values.max())
    width = next(bits for bits in (8, 16, 32, 64) if -(1 << bits - 1) <= lo and hi < 1 << bits - 1)
    return values.astype(np.dtype(f"<i{width // 8}"))


def weight_record(weights: Weights) -> dict[str, Any]:
    """A weight matrix without its codes."""
    rows, columns = weights.codes.shape
    return {"bits": weights.bits, "columns": columns, "encoding": str(weights.encoding), "rows": rows}


def weight_tensor(node: Dense | Conv2d | Recurrent) -> dict[str, Array]:
    """A weight matrix's codes, packed."""
    return {"weights": pack_codes(node.weights.codes, node.weights.bits)}


def affine_tensors(node: Scores | Requantize) -> dict[str, Array]:
    """A multiplier and an offset a neuron."""
    return {"multiplier": narrowest(node.multiplier), "offset": narrowest(node.offset)}


def pool_fields(node: MaxPool | SumPool) -> dict[str, Any]:
    """A pool's window."""
    return {"kernel": list(node.kernel), "stride": list(node.stride)}


# --- kinds -----------------------------------------------------------------------------------------------------


def input_fields(node: Input) -> dict[str, Any]:
    """The transform, if there is one."""
    ends = None if node.transform is None else [float(node.transform.lo), float(node.transform.hi)]
    return {"transform": ends}


def conv_fields(node: Conv2d) -> dict[str, Any]:
    """The window and the weights' record. Groups are written where there are several: older files have no such key."""
    entry: dict[str, Any] = {name: list(getattr(node, name)) for name in ("kernel", "stride", "padding", "dilation")}
    entry |= {"pad_code": node.pad_code, "weights": weight_record(node.weights)}
    return entry if node.groups == 1 else entry | {"groups": node.groups}


def build_conv(fields: Fields) -> Conv2d:
    """A convolution."""
    kernel, stride, dilation = (fields.pair(key) for key in ("kernel", "stride", "dilation"))
    return Conv2d(
        fields.name,
        fields.inputs(),
        fields.acc_type(),
        fields.weights(),
        kernel,
        stride,
        fields.padding(),
        dilation,
        None if fields.entry.get("pad_code") is None else fields.integer("pad_code"),
        fields.integer("groups") if "groups" in fields.entry else 1,
    )


def build_max_pool(fields: Fields) -> MaxPool:
    """A pool of codes, which have bits, or of accumulators."""
    kind = fields.code_type() if "bits" in fields.entry else fields.acc_type()
    return MaxPool(fields.name, fields.inputs(), kind, fields.pair("kernel"), fields.pair("stride"))


def build_sum_pool(fields: Fields) -> SumPool:
    """A sum pool."""
    return SumPool(fields.name, fields.inputs(), fields.acc_type(), fields.pair("kernel"), fields.pair("stride"))


def threshold_tensors(node: Threshold | Recurrent) -> dict[str, Array]:
    """The thresholds and, a bit a neuron, which of them descend."""
    return {"thresholds": narrowest(node.thresholds), "descending": pack_codes(node.descending.astype(np.uint8), 1)}


def build_threshold(fields: Fields) -> Threshold:
    """Thresholds."""
    codes = fields.code_type()
    rows = codes.shape[-1]
    thresholds = fields.tensor("thresholds", (rows, codes.max_code))
    return Threshold(
        fields.name, fields.inputs(), codes, thresholds, fields.packed("descending", rows, 1).astype(np.bool_)
    )


def recurrent_fields(node: Recurrent) -> dict[str, Any]:
    """The weights' record, and an LSTM's cell without its table."""
    entry: dict[str, Any] = {"weights": weight_record(node.weights)}
    if isinstance(node, Lstm):
        entry["cell"] = {"bits": node.cell.bits, "point": node.cell.point, "shift": node.cell.shift}
    return entry


def recurrent_tensors(node: Recurrent) -> dict[str, Array]:
    """Weights, thresholds, and an LSTM's table of tanh."""
    table = {"tanh": narrowest(node.cell.tanh)} if isinstance(node, Lstm) else {}
    return weight_tensor(node) | threshold_tensors(node) | table


def build_rnn(fields: Fields) -> Rnn:
    """A vanilla RNN."""
    kind = fields.code_type()
    return Rnn(fields.name, fields.inputs(), kind, fields.weights(), *recurrent_rows(fields, kind.size, kind.max_code))


def build_lstm(fields: Fields) -> Lstm:
    """An LSTM."""
    kind, where = fields.code_type(), f"{fields.where}: cell"
    entry = mapping(fields.entry.get("cell"), where)
    shift, bits, point = (integer(entry.get(name), f"{where}: {name}") for name in ("shift", "bits", "point"))
    if not 1 <= shift <= 7:
        raise NetworkFileError(f"{where}: shift {shift} is not within 1..7")
    cell = Cell(shift, bits, point, fields.tensor("tanh", (1 << shift,)))
    rows = recurrent_rows(fields, 4 * kind.size, 1 << shift)
    return Lstm(fields.name, fields.inputs(), kind, fields.weights(), *rows, cell)


def recurrent_rows(fields: Fields, rows: int, levels: int) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Thresholds, and which rows descend."""
    return fields.tensor("thresholds", (rows, levels)), fields.packed("descending", rows, 1).astype(np.bool_)


def build_requantize(fields: Fields) -> Requantize:
    """A requantization."""
    codes, rows = fields.code_type(), fields.code_type().shape[-1:]
    multiplier, offset = fields.tensor("multiplier", rows), fields.tensor("offset", rows)
    return Requantize(fields.name, fields.inputs(), codes, multiplier, offset, fields.integer("shift"))


def build_scores(fields: Fields) -> Scores:
    """Scores."""
    kind = fields.acc_type()
    multiplier, offset = fields.tensor("multiplier", kind.shape), fields.tensor("offset", kind.shape)
    return Scores(fields.name, fields.inputs(), kind, multiplier, offset)


RECORDS: Mapping[str, Record[Any]] = {
    record.kind.kind: record
    for record in (
        Record(Input, lambda f: Input(f.name, f.inputs(), f.code_type(), f.transform()), input_fields),
        Record(
            Dense,
            lambda f: Dense(f.name, f.inputs(), f.acc_type(), f.weights()),
            lambda node: {"weights": weight_record(node.weights)},
            weight_tensor,
        ),
        Record(Conv2d, build_conv, conv_fields, weight_tensor),
        Record(MaxPool, build_max_pool, pool_fields),
        Record(SumPool, build_sum_pool, pool_fields),
        Record(Add, lambda f: Add(f.name, f.inputs(), f.acc_type())),
        Record(Concat, lambda f: Concat(f.name, f.inputs(), f.code_type())),
        Record(Threshold, build_threshold, tensors=threshold_tensors),
        Record(Rnn, build_rnn, recurrent_fields, recurrent_tensors),
        Record(Lstm, build_lstm, recurrent_fields, recurrent_tensors),
        Record(Requantize, build_requantize, lambda node: {"shift": node.shift}, affine_tensors),
        Record(Scores, build_scores, tensors=affine_tensors),
    )
}
