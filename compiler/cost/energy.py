"""Energy of one frame: the XNOR design against the same network with int8, fp16 and fp32 multiply-adds.

Arithmetic and memory energies are the published 45 nm figures (M. Horowitz, "Computing's energy problem (and what we
can do about it)", ISSCC 2014). They know no XNOR and no popcount, so these are derived from the 8-bit addition. Every
number that enters is a field of `EnergyModel` and comes out again as an `Assumption`, to be printed beside the result.
It is a comparison of designs on one table, not a prediction for a chip: clock tree, registers, wires and leakage are
left out for all of them.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

from ...errors import UsageError
from ..folds.folding import Folding
from ..ir import IntegerNetwork, Scores, Stage
from ..planes import DotForm
from .counts import LayerCounts, count_layers
from .work import Work, mac_work, xnor_work

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

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name != "sram_pj" and value <= 0:
                raise UsageError(f"{field.name} must be positive, not {value:g}")
        sizes = [size for size, _ in self.sram_pj]
        if len(sizes) < 2 or sizes != sorted(set(sizes)) or sizes[0] <= 0 or any(pj <= 0 for _, pj in self.sram_pj):
            raise UsageError("sram_pj must be two or more pairs of positive numbers (bytes, pJ), sizes ascending")

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
    compute: float
    weights: float
    activations: float

    @property
    def total(self) -> float:
        return self.compute + self.weights + self.activations


def energy(network: IntegerNetwork, folding: Folding, model: EnergyModel | None = None) -> EnergyReport:
    """Energies of one frame; UsageError if the folding does not suit the network."""
    model = EnergyModel() if model is None else model
    layers = count_layers(network, folding)
    stages = list(network.stages())

    def parts(work: Sequence[Work], compute: Iterable[float]) -> _Parts:
        return _Parts(
            sum(compute),
            sum(_weights(layer, model) for layer in work),
            sum(_activations(layer, model) for layer in work),
        )

    def macs(bits: int, multiply_pj: float, add_pj: float) -> _Parts:
        compute = (_mac(*pair, multiply_pj, add_pj, model) for pair in zip(layers, stages, strict=True))
        return parts(mac_work(network, folding, bits), compute)

    ours = parts(
        xnor_work(network, folding),
        (_xnor(layer, stage, folding, model) for layer, stage in zip(layers, stages, strict=True)),
    )
    rivals = {
        "int8 MAC": macs(8, model.int8_multiply_pj, model.int32_add_pj),
        "fp16 MAC": macs(16, model.fp16_multiply_pj, model.fp16_add_pj),
        "fp32 MAC": macs(32, model.fp32_multiply_pj, model.fp32_add_pj),
    }
    baselines = tuple(_design(name, rival, ours) for name, rival in rivals.items())
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


def _weights(work: Work, model: EnergyModel) -> float:
    """Weights and constants, each from a memory of the size they take."""
    weights = model.read_pj(work.weight_reads, work.weight_bits)
    return weights + model.read_pj(work.constant_reads, work.constant_bits)


def _activations(work: Work, model: EnergyModel) -> float:
    """The vectors that come to the layer, through a buffer of one."""
    return model.read_pj(work.activation_reads + work.activation_writes, work.activation_bits)


def _xnor(layer: LayerCounts, stage: Stage, folding: Folding, model: EnergyModel) -> float:
    """XNOR and count every bit pair (padding included), accumulate once a plane pair and beat, compare or score."""
    planes = DotForm.of(stage.dot.weights, stage.input_type).pairs
    columns_handled = layer.weight_reads // layer.planes_in_time // stage.dot.weights.bits
    bit_pairs = columns_handled * planes
    simd = folding.layers[layer.name].simd
    accumulations = columns_handled // simd * planes
    full_adders = bit_pairs * (model.xnor_per_full_adder + model.full_adders_per_counted_bit)
    full_adders += accumulations * layer.acc_bits + layer.threshold_reads  # a comparison takes as many as it reads bits
    scores = stage.sink.type.size if isinstance(stage.sink, Scores) else 0
    score_pj = scores * (model.int32_multiply_pj + model.int32_add_pj)
    return full_adders * model.full_adder_pj + score_pj + _sums(layer, model)


def _sums(layer: LayerCounts, model: EnergyModel) -> float:
    """What stands between the dot products adds and multiplies in int32, in every design alike."""
    return layer.additions * model.int32_add_pj + layer.multiplications * model.int32_multiply_pj


def _mac(layer: LayerCounts, stage: Stage, multiply_pj: float, add_pj: float, model: EnergyModel) -> float:
    """A multiplication and an addition for each weight (padding included), and a bias added to each neuron."""
    handled = layer.weight_reads // layer.planes_in_time // stage.dot.weights.bits
    biases = layer.positions * layer.rows * add_pj
    return handled * (multiply_pj + add_pj) + biases + _sums(layer, model)


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
