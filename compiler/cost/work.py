"""What a design does and stores for one frame: the XNOR design, and its folding with multiply-adds of any width."""

from dataclasses import dataclass
from fractions import Fraction

from ..folds.folding import Folding
from ..ir import IntegerNetwork, Scores, Stage
from ..planes import DotForm
from .counts import LayerCounts, count_layers

__all__ = ["Work", "mac_work", "total_work", "xnor_work"]


@dataclass(frozen=True, slots=True)
class Work:
    """One layer of one design, a frame.

    multiplications, additions: of numbers, padding left out. bit_pairs: gates whose outputs are counted, padding left
    out. comparisons: with thresholds. weight_bits, constant_bits, activation_bits: stored; constants are thresholds or
    biases, activations one vector of the layer's inputs. weight_reads, constant_reads, activation_reads,
    activation_writes: bits moved, padding of the folding included.
    """

    name: str
    multiplications: int
    additions: int
    bit_pairs: int
    comparisons: int
    weight_bits: int
    constant_bits: int
    activation_bits: int
    weight_reads: int
    constant_reads: int
    activation_reads: int
    activation_writes: int

    @property
    def operations(self) -> int:
        """Everything counted singly: a multiply-add is two operations, and so are a gate and the count of its bit."""
        return self.multiplications + self.additions + 2 * self.bit_pairs + self.comparisons

    @property
    def stored_bits(self) -> int:
        """Weights and constants."""
        return self.weight_bits + self.constant_bits

    @property
    def accesses(self) -> int:
        """Bits read from and written to memories."""
        return self.weight_reads + self.constant_reads + self.activation_reads + self.activation_writes


def xnor_work(network: IntegerNetwork, folding: Folding) -> tuple[Work, ...]:
    """The layers of the XNOR-popcount design; UsageError if the folding does not suit the network.

    Additions: a popcount is added to the accumulator once a SIMD word and pair of planes; class scores take a
    multiplication and an addition each.
    """
    return tuple(_xnor(layer, stage, folding) for layer, stage in _layers(network, folding))


def mac_work(network: IntegerNetwork, folding: Folding, bits: int) -> tuple[Work, ...]:
    """The layers of a design with the same folding and a multiply-add of `bits` for each weight.

    Weights and activations have `bits`, biases 32; a bias is added to every neuron. Activation functions are free, and
    scores are folded into the weights. A weight and its activation are read once, whatever planes the XNOR design takes
    them in.
    """
    return tuple(_mac(layer, stage, bits) for layer, stage in _layers(network, folding))


def total_work(name: str, layers: tuple[Work, ...]) -> Work:
    """The sum over the layers."""
    names = [field for field in Work.__dataclass_fields__ if field != "name"]
    return Work(name, *(sum(getattr(layer, field) for layer in layers) for field in names))


def _layers(network: IntegerNetwork, folding: Folding) -> "zip[tuple[LayerCounts, Stage]]":
    return zip(count_layers(network, folding), network.stages(), strict=True)


def _xnor(layer: LayerCounts, stage: Stage, folding: Folding) -> Work:
    planes = DotForm.of(stage.dot.weights, stage.input_type).pairs
    scores = stage.sink.type.size if isinstance(stage.sink, Scores) else 0
    words = folding.layers[layer.name].synapse_folds(layer.columns, stage.segments)
    return Work(
        name=layer.name,
        multiplications=layer.multiplications + scores,
        additions=layer.positions * layer.rows * words * planes + layer.additions + scores,
        bit_pairs=layer.macs * planes,
        comparisons=layer.thresholds,
        weight_bits=layer.weight_bits,
        constant_bits=layer.threshold_bits,
        activation_bits=layer.columns * stage.input_type.bits,
        weight_reads=layer.weight_reads,
        constant_reads=layer.threshold_reads,
        activation_reads=layer.activation_reads,
        activation_writes=layer.activation_writes,
    )


def _mac(layer: LayerCounts, stage: Stage, bits: int) -> Work:
    weight, activation = Fraction(bits, stage.dot.weights.bits), Fraction(bits, stage.input_type.bits)
    return Work(
        name=layer.name,
        multiplications=layer.macs + layer.multiplications,
        additions=layer.macs + layer.positions * layer.rows + layer.additions,
        bit_pairs=0,
        comparisons=0,
        weight_bits=int(layer.weight_bits * weight),
        constant_bits=32 * layer.rows,
        activation_bits=layer.columns * bits,
        weight_reads=int(layer.weight_reads // layer.planes_in_time * weight),
        constant_reads=32 * layer.positions * layer.rows,
        activation_reads=int(layer.activation_reads // layer.planes_in_time * activation),
        activation_writes=int(layer.activation_writes * activation),
    )
