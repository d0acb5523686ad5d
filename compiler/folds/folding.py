"""Folding: how many rows and columns of each matrix work in one cycle. A separate object, kept in a YAML file."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from ...config import dump_yaml, from_mapping, load_yaml, nearest, to_mapping
from ...errors import UsageError
from ...files import atomic_write
from ..ir import IntegerNetwork, Recurrent
from ..macs import MacForm, mac_problem
from ..planes import DotForm
from ..types import CodeType, Weights

__all__ = [
    "MOST_SLOTS",
    "SHALLOW_WORDS",
    "Arithmetic",
    "Folding",
    "LayerFold",
    "Memory",
    "Popcount",
    "WeightStore",
    "check_folding",
    "load_folding",
    "save_folding",
    "with_arithmetic",
]


MOST_SLOTS = 1024
"""The most sequences that may take turns: each keeps its states in LUTs."""

SHALLOW_WORDS = 64
"""Of a memory of single thresholds: up to there it lies in LUTs even where weights lie in block RAM. Its words are wide
and few, and would leave most of every block empty."""


class Memory(StrEnum):
    """Where weights lie, and thresholds: single ones if they are of more than `SHALLOW_WORDS` words."""

    AUTO = "auto"
    BLOCK = "block"
    LUT = "lut"


class WeightStore(StrEnum):
    """How weights get into the hardware: with it (rom), with it and at run time by AXI4-Lite, thresholds too (axi), or
    vector by vector through a stream of their own (stream)."""

    ROM = "rom"
    AXI = "axi"
    STREAM = "stream"


class Popcount(StrEnum):
    """How set bits are counted: portable adders, or compressors of explicit 6-input LUTs (Xilinx)."""

    ADDERS = "adders"
    LUT6 = "lut6"


class Arithmetic(StrEnum):
    """What an engine computes with: gates and popcounts of bit planes, or multipliers and adders (MAC)."""

    PLANES = "planes"
    MAC = "mac"


@dataclass(frozen=True, slots=True)
class LayerFold:
    """The folding of one dot product: PE rows x SIMD columns a cycle, a part of the activations' bit planes at a time.

    NF = ceil(N / PE) neuron folds, SF = ceil(K / SIMD) synapse folds, for a convolution kh * kw * ceil(C / SIMD); a
    vector takes NF * SF * planes_in_time cycles. What does not divide is padded up, and the waste is shown; the planes
    in time divide the activation planes.

    A grouped convolution (C / G channels and N / G neurons a group) works on one group at a time, SIMD dividing its
    channels and PE its neurons, or on PE / (N / G) whole groups at once, SIMD being their C / G channels. A depthwise
    one so works on PE channels at once, one tap a cycle.
    """

    pe: int
    simd: int
    memory: Memory = Memory.AUTO
    planes_in_time: int = 1
    weights: WeightStore = WeightStore.ROM
    arithmetic: Arithmetic = Arithmetic.PLANES

    def __post_init__(self) -> None:
        for name, value in (("pe", self.pe), ("simd", self.simd), ("planes_in_time", self.planes_in_time)):
            if value < 1:
                raise UsageError(f"{name} must be a positive whole number, not {value}")

    def neuron_folds(self, rows: int) -> int:
        """NF for a matrix of that many rows."""
        return -(-rows // self.pe)

    def groups_at_once(self, rows: int, groups: int) -> int:
        """Groups of a grouped convolution of that many rows that the PEs work on in the same cycle."""
        return max(1, self.pe * groups // rows) if groups > 1 else 1

    def blocks(self, rows: int, groups: int) -> int:
        """Passes over a window, each for the next groups."""
        return -(-groups // self.groups_at_once(rows, groups))

    def lanes(self, rows: int, groups: int) -> int:
        """Activations that come in a cycle: SIMD for each group that is worked on."""
        return self.simd * self.groups_at_once(rows, groups)

    def groups_problem(self, rows: int, channels: int, groups: int) -> str | None:
        """What is wrong with the fold for groups that have `rows` neurons and `channels` channels together, or None."""
        neurons, inputs = rows // groups, channels // groups
        one = neurons % self.pe == 0 and inputs % self.simd == 0
        several = self.pe % neurons == 0 and self.simd == inputs
        if groups == 1 or one or several:
            return None
        return (
            f"pe {self.pe} and simd {self.simd} cut groups of {neurons} neurons and {inputs} channels; use divisors of "
            f"both, or pe a multiple of {neurons} with simd {inputs}"
        )

    def synapse_folds(self, columns: int, segments: int = 1) -> int:
        """SF for a matrix of that many columns, in so many segments that start on a beat of their own."""
        return segments * -(-columns // segments // self.simd)

    def passes(self, rows: int) -> int:
        """How often each beat of a vector is worked on: NF times the planes in time."""
        return self.neuron_folds(rows) * self.planes_in_time

    def form(self, weights: Weights, source: CodeType) -> DotForm:
        """How a matrix of weights and the codes that it reads become the numbers that the engine counts."""
        if self.arithmetic is Arithmetic.MAC:
            return MacForm.of(weights, source, fixed=self.weights is WeightStore.ROM)
        return DotForm.of(weights, source)

    def planes_problem(self, form: DotForm) -> str | None:
        """What is wrong with the arithmetic or the planes in time for a dot product of that form, or None."""
        if self.arithmetic is Arithmetic.MAC:
            problem = mac_problem(form.weight_bits, form.weights)
            if problem is not None:
                return f"arithmetic mac: {problem}; use planes"
            if self.planes_in_time > 1:
                return f"planes_in_time {self.planes_in_time}: multipliers take whole numbers; use 1"
        if self.planes_in_time == 1:
            return None
        if form.shift_bits:
            return f"planes_in_time {self.planes_in_time}: {form.weights} weights shift all planes at once; use 1"
        if form.activation_planes % self.planes_in_time:
            return f"planes_in_time {self.planes_in_time} does not divide {form.activation_planes} activation planes"
        return None


@dataclass(frozen=True)
class Folding:
    """Foldings by the name of the dot product; score lanes = classes scored in one cycle; how to count bits.

    interleave: sequences that recurrent layers work on in turn, a frame of each; every one has a state of its own.
    """

    layers: Mapping[str, LayerFold]
    score_lanes: int = 1
    popcount: Popcount = Popcount.ADDERS
    interleave: int = 1

    def __post_init__(self) -> None:
        if self.score_lanes < 1:
            raise UsageError(f"score_lanes must be a positive whole number, not {self.score_lanes}")
        if self.interleave < 1:
            raise UsageError(f"interleave must be a positive whole number, not {self.interleave}")
        if self.interleave > MOST_SLOTS:
            raise UsageError(f"interleave {self.interleave} is too large; use at most {MOST_SLOTS}")

    @property
    def rewritable(self) -> bool:
        """Whether anything can be written at run time: then what stands behind the engines is too."""
        return any(fold.weights is WeightStore.AXI for fold in self.layers.values())


def with_arithmetic(folding: Folding, arithmetic: Arithmetic) -> Folding:
    """The same folding, and so the same cycles a frame, with other arithmetic in every layer.

    Layers whose planes take turns have no twin with multipliers at that rate: `check_folding` refuses them.
    """
    layers = {name: replace(fold, arithmetic=arithmetic) for name, fold in folding.layers.items()}
    return replace(folding, layers=layers)


def load_folding(path: Path, network: IntegerNetwork | None = None) -> Folding:
    """The folding in a YAML file, checked against `network` if given; UsageError if it is wrong in any way."""
    folding = from_mapping(Folding, load_yaml(path), str(path))
    if network is not None:
        try:
            check_folding(network, folding)
        except UsageError as error:
            raise UsageError(f"{path}: {error}") from error
    return folding


def save_folding(folding: Folding, path: Path) -> None:
    """Write the folding as YAML, atomically; `load_folding` gives an equal one back."""
    atomic_write(path, dump_yaml(to_mapping(folding)))


def check_folding(network: IntegerNetwork, folding: Folding) -> None:
    """UsageError unless the folding names exactly the network's dot products and each fold suits its matrix.

    PE may exceed the rows and SIMD the columns (of a convolution: the channels), 10 rows on 16 PEs say, but at least
    half of them must have work.
    """
    stages = {stage.dot.name: stage for stage in network.stages()}
    shapes = {name: (*stage.dot.weights.codes.shape, stage.segments) for name, stage in stages.items()}
    for name in folding.layers:
        if name not in shapes:
            near, known = nearest(name, shapes), ", ".join(shapes)
            raise UsageError(f"folding for unknown layer {name!r}; did you mean {near!r}? (layers: {known})")
    for name, (rows, columns, segments) in shapes.items():
        fold = folding.layers.get(name)
        if fold is None:
            raise UsageError(f"no folding for layer {name!r} ({rows} x {columns}): give it pe and simd")
        for what, value, size in (("pe", fold.pe, rows), ("simd", fold.simd, columns // segments)):
            if value >= 2 * size:
                raise UsageError(f"layer {name!r}: {what} {value} is too large for {size}; use at most {size}")
        groups = stages[name].groups
        problem = fold.groups_problem(rows, columns // segments * groups, groups)
        if problem is not None:
            raise UsageError(f"layer {name!r}: {problem}")
    for stage in network.stages():
        problem = folding.layers[stage.dot.name].planes_problem(DotForm.of(stage.dot.weights, stage.input_type))
        if problem is not None:
            raise UsageError(f"layer {stage.dot.name!r}: {problem}")
    if folding.interleave > 1 and not any(isinstance(node, Recurrent) for node in network.nodes):
        raise UsageError(f"interleave {folding.interleave}: no layer is recurrent; leave it out")
    for node in network.nodes:
        if not isinstance(node, Recurrent):
            continue
        fold = folding.layers[node.name]
        if fold.weights is not WeightStore.ROM:
            raise UsageError(f"layer {node.name!r}: the weights of a recurrent layer are fixed; use weights: rom")
        if fold.arithmetic is not Arithmetic.PLANES:
            raise UsageError(f"layer {node.name!r}: a recurrent layer counts bit planes; use arithmetic: planes")
        if fold.pe % node.gates and node.gates % fold.pe:
            raise UsageError(
                f"layer {node.name!r}: pe {fold.pe} splits the {node.gates} gates of a unit; use 1, 2 or 4 n"
            )
        if node.features % fold.simd:
            raise UsageError(f"layer {node.name!r}: simd {fold.simd} does not divide its {node.features} inputs")
    classes = len(network.class_names)
    if folding.score_lanes >= 2 * classes:
        raise UsageError(f"score_lanes {folding.score_lanes} is too large for {classes} classes; use at most {classes}")
