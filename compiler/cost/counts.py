"""How much work one frame is: operations, thresholds, memory and its accesses, layer by layer."""

import math
from dataclasses import dataclass

from ..folds.folding import Folding, check_folding
from ..ir import (
    Add,
    CodeType,
    Conv2d,
    Dense,
    IntegerNetwork,
    MaxPool,
    Node,
    Recurrent,
    Requantize,
    Scores,
    Stage,
    SumPool,
    Threshold,
    Weights,
)
from ..planes import DotForm

__all__ = ["LayerCounts", "count_layers", "node_operations", "total_counts"]


@dataclass(frozen=True, slots=True)
class LayerCounts:
    """One engine's work a frame. Padding is work too where a fold does not divide, hence the folding's numbers.

    positions: how many vectors a frame pass the matrix, 1 of a dense layer, H' * W' of a convolution; everything but
    the stored bits grows with it. planes_in_time: the folding's. macs: multiply-adds, positions * N * K. operations:
    2 * macs, the field's way to count. binary_operations: 2 * macs for each pair of a weight plane and an activation
    plane, the gates and the bits counted; none where the folding has multipliers.
    acc_bits: width of the popcount accumulator. thresholds: comparisons. weight_bits, threshold_bits: stored, the
    constants of a Requantize included.
    weight_reads, threshold_reads, activation_reads, activation_writes: bits a frame, the input buffer being read
    once for each neuron fold and plane in time. activation_writes: the vectors that the engine takes, a convolution's
    windows.
    additions, multiplications: of whole numbers, by sums, sum pools, requantizations, and scores of something else than
    a dot product.

    What stands between dot products is counted with the one before it, along first inputs; what has none before it,
    with the first.
    """

    name: str
    rows: int
    columns: int
    positions: int
    planes_in_time: int
    macs: int
    operations: int
    binary_operations: int
    acc_bits: int
    thresholds: int
    weight_bits: int
    threshold_bits: int
    weight_reads: int
    threshold_reads: int
    activation_reads: int
    activation_writes: int
    additions: int
    multiplications: int


def node_operations(node: Node) -> int:
    """Operations a frame: two for each weight, one for each threshold, at every position; two for each score and each
    requantization, five for each unit of an LSTM; one less than it has terms for each sum and each output of a pool."""
    match node:
        case Dense():
            return 2 * node.weights.codes.size
        case Conv2d():
            return 2 * node.weights.codes.size * math.prod(node.type.shape[:-1])
        case MaxPool() | SumPool():
            return node.type.size * (math.prod(node.kernel) - 1)
        case Add():
            return node.type.size * (len(node.inputs) - 1)
        case Requantize():
            return 2 * node.type.size
        case Threshold():
            return node.type.size * node.type.max_code
        case Recurrent():
            cell = 5 * node.hidden if node.gates > 1 else 0  # two products and a sum make c', a table and a product h'
            return 2 * node.weights.codes.size + node.thresholds.size + cell
        case Scores():
            return 2 * node.multiplier.size
    return 0


def count_layers(network: IntegerNetwork, folding: Folding) -> tuple[LayerCounts, ...]:
    """The work of each engine in stream order; UsageError if the folding does not suit the network."""
    check_folding(network, folding)
    stages = list(network.stages())
    behind: dict[str, list[Node]] = {stage.dot.name: [] for stage in stages}
    owners = {network.input.name: stages[0].dot.name}
    for node in network.nodes[1:]:
        owners[node.name] = node.name if node.name in behind else owners[node.inputs[0]]
        behind[owners[node.name]].append(node)
    return tuple(_count(network, stage, folding, behind[stage.dot.name]) for stage in stages)


def total_counts(layers: tuple[LayerCounts, ...]) -> dict[str, int]:
    """Sums over the layers of everything that can be summed, by the name of the field."""
    summed = (
        "macs",
        "operations",
        "binary_operations",
        "thresholds",
        "weight_bits",
        "threshold_bits",
        "weight_reads",
        "threshold_reads",
        "activation_reads",
        "activation_writes",
        "additions",
        "multiplications",
    )
    return {name: sum(getattr(layer, name) for layer in layers) for name in summed}


def popcount_bits(weights: Weights, source: CodeType) -> int:
    """Bits of the largest popcount sum."""
    return int(weights.codes.shape[1] * DotForm.of(weights, source).column_max).bit_length()


def _count(network: IntegerNetwork, stage: Stage, folding: Folding, behind: list[Node]) -> LayerCounts:
    weights, source = stage.dot.weights, stage.input_type
    rows, columns = map(int, weights.codes.shape)
    fold = folding.layers[stage.dot.name]
    nf, sf, passes = fold.neuron_folds(rows), fold.synapse_folds(columns, stage.segments), fold.passes(rows)
    form = fold.form(weights, source)
    positions = stage.vectors
    matrix = rows * columns
    macs = positions * matrix
    acc_bits = form.p_max(columns).bit_length()
    thresholds = threshold_bits = threshold_reads = additions = multiplications = 0
    for node in behind:
        match node:
            case Threshold():
                counts, kind = _reads_counts(network, node), network.node(node.inputs[0]).type
                bits = acc_bits if counts else (kind.hi - kind.lo).bit_length()
                compared, levels = node.type.size // node.type.shape[-1], node.type.max_code
                padded = nf * fold.pe if counts else node.type.shape[-1]  # an engine has a comparator for each PE
                thresholds += node.type.size * levels
                threshold_bits += node.thresholds.size * bits
                threshold_reads += compared * padded * levels * bits
            case Requantize():
                bits = 32 * 2 * node.multiplier.size
                threshold_bits += bits
                threshold_reads += node.type.size // node.type.shape[-1] * bits
                additions += node.type.size
                multiplications += node.type.size
            case Add() | SumPool():
                additions += node_operations(node)
            case Scores() if node is not stage.sink:
                additions += node.type.size
                multiplications += node.type.size
    return LayerCounts(
        name=stage.dot.name,
        rows=rows,
        columns=columns,
        positions=positions,
        planes_in_time=fold.planes_in_time,
        macs=macs,
        operations=2 * macs,
        binary_operations=2 * macs * form.pairs,
        acc_bits=acc_bits,
        thresholds=thresholds,
        weight_bits=matrix * weights.bits,
        threshold_bits=threshold_bits,
        weight_reads=positions * passes * fold.pe * sf * fold.simd * weights.bits,
        threshold_reads=threshold_reads,
        activation_reads=positions * passes * sf * fold.lanes(rows, stage.groups) * source.bits,
        activation_writes=positions * columns * source.bits,
        additions=additions,
        multiplications=multiplications,
    )


def _reads_counts(network: IntegerNetwork, node: Node) -> bool:
    """Whether the accumulators of a dot product reach the node, pools of them between or not."""
    source = network.node(node.inputs[0])
    if isinstance(source, MaxPool):
        return _reads_counts(network, source)
    return isinstance(source, Dense | Conv2d)
