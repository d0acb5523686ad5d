"""The table of a network: shapes, bits, weights, operations, thresholds and stored bytes of every node."""

from dataclasses import dataclass

from .cost.counts import node_operations
from .cost.kernels import KernelRow, unique_kernels
from .ir import CodeType, Conv2d, Dense, IntegerNetwork, Node, Recurrent, Threshold
from .storage.fields import Array
from .storage.network_file import stored_tensors

__all__ = ["InspectRow", "Inspection", "inspect"]


@dataclass(frozen=True, slots=True)
class InspectRow:
    """One node, or the total.

    weight_bits and activation_bits: of a dot product its weights and its input codes, of an input or threshold node
    the codes it yields; None where there are none. operations: a frame's, see `counts.node_operations`. thresholds:
    stored. bytes: the node's tensors in the network file.
    """

    layer: str
    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weight_bits: int | None
    activation_bits: int | None
    weights: int
    operations: int
    thresholds: int
    bytes: int

    def cells(self) -> tuple[str, ...]:
        """The row as text: layer, kind, input, output, bits, weights, operations, thresholds, bytes."""
        bits = "".join(
            f"{letter}{count}" for letter, count in (("W", self.weight_bits), ("A", self.activation_bits)) if count
        )
        counts = (self.weights, self.operations, self.thresholds, self.bytes)
        return (
            self.layer,
            self.kind,
            "x".join(map(str, self.input_shape)),
            "x".join(map(str, self.output_shape)),
            bits,
            *(f"{count:,}" if count else "" for count in counts),
        )


@dataclass(frozen=True, slots=True)
class Inspection:
    """Every node in stream order, and the total; its bytes are exactly those of the file's tensors.

    kernels: the 2-D kernels of its binary convolutions and their total, if it has any.
    """

    rows: tuple[InspectRow, ...]
    total: InspectRow
    kernels: tuple[KernelRow, ...] = ()


def inspect(network: IntegerNetwork) -> Inspection:
    """The table of a verified network."""
    stored = stored_tensors(network)
    rows = tuple(_row(network, node, _bytes_of(node, stored)) for node in network.nodes)
    total = InspectRow(
        "total",
        "",
        rows[0].output_shape,
        rows[-1].output_shape,
        None,
        None,
        sum(row.weights for row in rows),
        sum(row.operations for row in rows),
        sum(row.thresholds for row in rows),
        sum(tensor.nbytes for tensor in stored.values()),
    )
    return Inspection(rows, total, unique_kernels(network))


def _bytes_of(node: Node, stored: dict[str, Array]) -> int:
    return sum(tensor.nbytes for name, tensor in stored.items() if name.rpartition(".")[0] == node.name)


def _row(network: IntegerNetwork, node: Node, stored_bytes: int) -> InspectRow:
    source = network.node(node.inputs[0]).type if node.inputs else node.type
    dots = Dense | Conv2d | Recurrent
    codes = source if isinstance(node, dots) else node.type
    return InspectRow(
        node.name,
        node.kind,
        source.shape,
        node.type.shape,
        node.weights.bits if isinstance(node, dots) else None,
        codes.bits if isinstance(codes, CodeType) else None,
        node.weights.codes.size if isinstance(node, dots) else 0,
        node_operations(node),
        node.thresholds.size if isinstance(node, Threshold | Recurrent) else 0,
        stored_bytes,
    )
