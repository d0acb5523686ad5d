"""Energy of one frame: the XNOR design against the same network with int8, fp16 and fp32 multiply-adds.

Arithmetic and memory energies are the published 45 nm figures (M. Horowitz, "Computing's energy problem (and what we
can do about it)", ISSCC 2014). They know no XNOR and no popcount, so these are derived from the 8-bit addition. Every
number that enters is a field of `EnergyModel` and comes out again as an `Assumption`, to be printed beside the result.
It is a comparison of designs on one table, not a prediction for a chip: clock tree, registers, wires and leakage are
left out for all of them.
"""

import math
from dataclasses import dataclass, fields

from ..folds.folding import Folding
from ..ir import IntegerNetwork, Scores, Stage
from ..planes import DotForm
from .counts import LayerCounts, count_layers

__all__ = ["Assumption", "DesignEnergy", "EnergyModel", "EnergyReport", "energy"]

_HOROWITZ = "Horowitz, ISSCC 2014, 45 nm, 0.9 V"


@dataclass(frozen=True, slots=True)
class EnergyModel:
    """Picojoules an operation, and shares where the table has no entry. sram_pj: (bytes, pJ for 64 bits), ascending."""

    int8_add_pj: float = 0.03
    int8_multiply_pj: float = 0.2
    int32_add_pj: float = 0.1
    int32_multiply_pj: float = 3.1
    fp16_add_pj: float = 0.4
    fp16_multiply_pj: float = 1.1
    fp32_add_pj: float = 0.9
    fp32_multiply_pj: float = 3.7
    sram_pj: tuple[tuple[int, float], ...] = ((8 << 10, 10.0), (32 << 10, 20.0), (1 << 20, 100.0))
    xnor_per_full_adder: float = 0.5
    full_adders_per_counted_bit: float = 1.0

    @property
    def full_adder_pj(self) -> float:
        """One bit of a ripple-carry addition: an eighth of the 8-bit one."""
        return self.int8_add_pj / 8

    def sram_word_pj(self, size: float) -> float:
        """Energy of 64 bits of a memory of `size` bytes: the table, straight lines between its points in log-log.

        Below the least size its value is kept; above the largest the last line goes on.
        """
        points = self.sram_pj
        if size <= points[0][0]:
            return points[0][1]
        index = next((i for i in range(1, len(points)) if size <= points[i][0]), len(points) - 1)
        (size0, energy0), (size1, energy1) = points[index - 1], points[index]
        slope = math.log(energy1 / energy0) / math.log(size1 / size0)
        return energy0 * math.pow(size / size0, slope)

    def read_pj(self, bits: float, stored_bits: float) -> float:
        """Energy of moving `bits` out of or into a memory that stores `stored_bits`."""
        return bits / 64 * self.sram_word_pj(stored_bits / 8)


@dataclass(frozen=True, slots=True)
class Assumption:
    """One number or convention that the result rests on."""

    what: str
    value: str
    source: str


@dataclass(frozen=True, slots=True)
class DesignEnergy:
    """Picojoules a frame of one design: arithmetic, weight and threshold memory, activation buffers, their sum.

    ratio: total over the XNOR design's total. compute_ratio: the same of the arithmetic alone.
    """

    name: str
    compute: float
    weights: float
    activations: float
    total: float
    ratio: float
    compute_ratio: float


@dataclass(frozen=True, slots=True)
class EnergyReport:
    """The XNOR design and its rivals, all with the same folding, and what was assumed."""

    xnor: DesignEnergy
    baselines: tuple[DesignEnergy, ...]
    assumptions: tuple[Assumption, ...]


@dataclass(frozen=True, slots=True)
class _Parts:
    compute: float = 0.0
    weights: float = 0.0
    activations: float = 0.0

    def __add__(self, other: "_Parts") -> "_Parts":
        return _Parts(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    @property
    def total(self) -> float:
        return self.compute + self.weights + self.activations


def energy(network: IntegerNetwork, folding: Folding, model: EnergyModel | None = None) -> EnergyReport:
    """Energies of one frame; UsageError if the folding does not suit the network."""
    model = EnergyModel() if model is None else model
    layers = count_layers(network, folding)
    stages = list(network.stages())
    ours = sum((_xnor(layer, stage, folding, model) for layer, stage in zip(layers, stages, strict=True)), _Parts())
    rivals = {
        "int8 MAC": (8, model.int8_multiply_pj, model.int32_add_pj),
        "fp16 MAC": (16, model.fp16_multiply_pj, model.fp16_add_pj),
        "fp32 MAC": (32, model.fp32_multiply_pj, model.fp32_add_pj),
    }
    baselines = tuple(
        _design(
            name,
            sum((_mac(layer, stage, *numbers, model) for layer, stage in zip(layers, stages, strict=True)), _Parts()),
            ours,
        )
        for name, numbers in rivals.items()
    )
    return EnergyReport(_design("XNOR", ours, ours), baselines, assumptions(model))


def _design(name: str, parts: _Parts, ours: _Parts) -> DesignEnergy:
    return DesignEnergy(
        name,
        parts.compute,
        parts.weights,
        parts.activations,
        parts.total,
        parts.total / ours.total,
        parts.compute / ours.compute,
    )


def _xnor(layer: LayerCounts, stage: Stage, folding: Folding, model: EnergyModel) -> _Parts:
    """XNOR and count every bit pair (padding included), accumulate once a plane pair and beat, compare or score."""
    planes = DotForm.of(stage.dot.weights, stage.input_type).pairs
    columns_handled = layer.weight_reads // layer.planes_in_time // stage.dot.weights.bits
    bit_pairs = columns_handled * planes
    simd = folding.layers[layer.name].simd
    accumulations = columns_handled // simd * planes
    full_adders = bit_pairs * (model.xnor_per_full_adder + model.full_adders_per_counted_bit)
    full_adders += accumulations * layer.acc_bits + layer.threshold_reads  # a comparison takes as many as it reads bits
    scores = stage.sink.type.size if isinstance(stage.sink, Scores) else 0
    buffer = layer.activation_writes // layer.positions
    return _Parts(
        full_adders * model.full_adder_pj
        + scores * (model.int32_multiply_pj + model.int32_add_pj)
        + _sums(layer, model),
        model.read_pj(layer.weight_reads, layer.weight_bits)
        + (model.read_pj(layer.threshold_reads, layer.threshold_bits) if layer.thresholds else 0.0),
        model.read_pj(layer.activation_reads, buffer) + model.read_pj(layer.activation_writes, buffer),
    )


def _sums(layer: LayerCounts, model: EnergyModel) -> float:
    """What stands between the dot products adds and multiplies in int32, in every design alike."""
    return layer.additions * model.int32_add_pj + layer.multiplications * model.int32_multiply_pj


def _mac(layer: LayerCounts, stage: Stage, bits: int, multiply_pj: float, add_pj: float, model: EnergyModel) -> _Parts:
    """The same folding with a multiplier and an adder for each weight, and a bias added to each neuron."""
    weight_scale, activation_scale = bits / stage.dot.weights.bits, bits / stage.input_type.bits
    buffer = layer.activation_writes / layer.positions * activation_scale
    bias_bits = 32 * layer.rows
    weight_reads, activation_reads = (r / layer.planes_in_time for r in (layer.weight_reads, layer.activation_reads))
    return _Parts(
        weight_reads / stage.dot.weights.bits * (multiply_pj + add_pj)
        + layer.positions * layer.rows * add_pj
        + _sums(layer, model),
        model.read_pj(weight_reads * weight_scale, layer.weight_bits * weight_scale)
        + model.read_pj(layer.positions * bias_bits, bias_bits),
        model.read_pj(activation_reads * activation_scale, buffer)
        + model.read_pj(layer.activation_writes * activation_scale, buffer),
    )


def assumptions(model: EnergyModel) -> tuple[Assumption, ...]:
    """Everything the energies rest on, numbers first."""
    table = [
        Assumption(f"{name} {what}", f"{value:g} pJ", _HOROWITZ)
        for name, what, value in (
            ("int8", "addition", model.int8_add_pj),
            ("int8", "multiplication", model.int8_multiply_pj),
            ("int32", "addition (accumulates int8 products)", model.int32_add_pj),
            ("int32", "multiplication (class scores)", model.int32_multiply_pj),
            ("fp16", "addition", model.fp16_add_pj),
            ("fp16", "multiplication", model.fp16_multiply_pj),
            ("fp32", "addition", model.fp32_add_pj),
            ("fp32", "multiplication", model.fp32_multiply_pj),
        )
    ]
    memory = ", ".join(f"{size >> 10} KB {value:g} pJ" for size, value in model.sram_pj)
    return (
        *table,
        Assumption("64 bits from a memory of", memory, _HOROWITZ),
        Assumption(
            "other memory sizes",
            "log-log lines",
            "between the table's points; the least value is kept below, the last line goes on above",
        ),
        Assumption("full adder", f"{model.full_adder_pj:g} pJ", "an eighth of the int8 addition"),
        Assumption(
            "XNOR gate",
            f"{model.xnor_per_full_adder * model.full_adder_pj:g} pJ",
            f"{model.xnor_per_full_adder:g} of a full adder, which has two XORs and a majority",
        ),
        Assumption(
            "popcount",
            f"{model.full_adders_per_counted_bit * model.full_adder_pj:g} pJ a bit",
            f"{model.full_adders_per_counted_bit:g} full adder a bit: 2^n - 1 bits take 2^n - 1 - n of them",
        ),
        Assumption(
            "accumulator and comparator",
            f"{model.full_adder_pj:g} pJ a bit",
            "a full adder a bit; one accumulation a SIMD word and plane pair, one comparison a threshold",
        ),
        Assumption(
            "class scores",
            f"{model.int32_multiply_pj + model.int32_add_pj:g} pJ a class",
            "an int32 multiplication and addition, in the XNOR design alone; MAC designs fold them into weights",
        ),
        Assumption("weights", "read once a frame", "each layer from its own memory, of the size its weights take"),
        Assumption(
            "activations",
            "written once, read once a neuron fold",
            "the same folding for all designs; MAC designs keep activations as wide as their weights",
        ),
        Assumption("biases of the MAC designs", "32 bits a neuron", "one addition each; activation functions are free"),
        Assumption("left out for all designs", "clock, registers, wires, leakage, ports", "not in the table"),
    )
