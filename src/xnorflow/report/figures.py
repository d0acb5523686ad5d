"""The numbers of a report as typed rows, each taken from the design, the counts or the simulation's result."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..boards.loader import Board
from ..compiler.cost.counts import LayerCounts, total_counts
from ..compiler.cost.energy import DesignEnergy, EnergyReport
from ..compiler.folds.folding import Arithmetic, Folding, LayerFold
from ..compiler.ir import Encoding, IntegerNetwork, Stage
from ..compiler.planes import DotForm
from ..compiler.schedule.cycles import FoldRow
from ..hdl.manifest import EngineEntry, Manifest

__all__ = [
    "EngineCard",
    "Picture",
    "Resources",
    "count_table",
    "energy_rows",
    "engine_cards",
    "picojoules",
    "resources",
]

_MATRIX_WIDTH, _MATRIX_HEIGHT = 140, 72


@dataclass(frozen=True, slots=True)
class Picture:
    """A weight matrix and the part that one cycle handles, in pixels."""

    columns: float
    rows: float
    simd: float
    pe: float


@dataclass(frozen=True, slots=True)
class EngineCard:
    """One engine of the pipeline picture. arithmetic: XNOR, pairs of bit planes, or multiply; share: percent of
    the initiation interval that it is busy."""

    name: str
    rows: int
    columns: int
    pe: int
    simd: int
    activations: str
    arithmetic: str
    waste: str
    cycles: str
    share: float
    slowest: bool
    picture: Picture


@dataclass(frozen=True, slots=True)
class Resources:
    """What a design holds and handles. Estimates of LUTs are synthesis' business and are not made here.

    weights_per_cycle: PE * SIMD of all engines. Memories in bits, input buffers with both banks; float_memory_bits is
    what the weights would take as float32.
    """

    weights_per_cycle: int
    weight_memory_bits: int
    float_memory_bits: int
    threshold_memory_bits: int
    input_buffer_bits: int
    board: str
    board_lut: int | None
    board_bram_kbit: int | None


def engine_cards(
    manifest: Manifest, table: Sequence[FoldRow], network: IntegerNetwork, folding: Folding
) -> tuple[EngineCard, ...]:
    """The engines in stream order."""
    arithmetics = (_arithmetic(stage, folding.layers[stage.dot.name]) for stage in network.stages())
    return tuple(_card(*each) for each in zip(manifest.engines, table, arithmetics, strict=True))


def _arithmetic(stage: Stage, fold: LayerFold) -> str:
    if fold.arithmetic is Arithmetic.MAC:
        return "multiply"
    if stage.dot.weights.bits == stage.input_type.bits == 1 and stage.dot.weights.encoding is Encoding.BIPOLAR:
        return "XNOR"
    return f"{DotForm.of(stage.dot.weights, stage.input_type).pairs} bit planes"


def _card(engine: EngineEntry, row: FoldRow, arithmetic: str) -> EngineCard:
    scale = min(_MATRIX_WIDTH / engine.columns, _MATRIX_HEIGHT / engine.rows)
    width, height = max(engine.columns * scale, 6.0), max(engine.rows * scale, 6.0)
    picture = Picture(
        round(width, 1),
        round(height, 1),
        round(max(min(engine.simd / engine.columns, 1) * width, 1.5), 1),
        round(max(min(engine.pe / engine.rows, 1) * height, 1.5), 1),
    )
    return EngineCard(
        name=engine.dot,
        rows=engine.rows,
        columns=engine.columns,
        pe=engine.pe,
        simd=engine.simd,
        activations=f"{engine.activation_bits} bit",
        arithmetic=arithmetic,
        waste=f"{row.waste:.1%}",
        cycles=f"{engine.cycles:,}",
        share=round(100 * row.share, 1),
        slowest=row.bottleneck,
        picture=picture,
    )


def resources(manifest: Manifest, layers: Sequence[LayerCounts], board: Board | None) -> Resources:
    """Work and memory of the whole design, and what the board offers where it is known."""
    totals = total_counts(tuple(layers))
    budget = board.budget if board else None
    return Resources(
        weights_per_cycle=sum(engine.pe * engine.simd for engine in manifest.engines),
        weight_memory_bits=totals["weight_bits"],
        float_memory_bits=sum(map(_float_bits, layers)),
        threshold_memory_bits=totals["threshold_bits"],
        input_buffer_bits=sum(
            2 * e.sf * e.simd * e.activation_bits for e in manifest.engines if e.nf * e.planes_in_time > 1
        ),
        board=manifest.source.board,
        board_lut=budget.lut if budget else None,
        board_bram_kbit=budget.bram_kbit if budget else None,
    )


def count_table(layers: Sequence[LayerCounts]) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], tuple[str, ...]]:
    """Head, rows and total of the table of operations and memory; memories in kilobits beside 32-bit floats."""
    head = ("layer", "matrix", "multiply-adds", "XNOR + count", "thresholds", "weights, kbit", "as float32, kbit")
    rows = tuple(
        (
            layer.name,
            f"{layer.rows} × {layer.columns}",
            f"{layer.macs:,}",
            f"{layer.binary_operations:,}",
            f"{layer.thresholds:,}",
            f"{layer.weight_bits / 1024:,.1f}",
            f"{_float_bits(layer) / 1024:,.1f}",
        )
        for layer in layers
    )
    sums = total_counts(tuple(layers))
    total = (
        "total",
        "",
        f"{sums['macs']:,}",
        f"{sums['binary_operations']:,}",
        f"{sums['thresholds']:,}",
        f"{sums['weight_bits'] / 1024:,.1f}",
        f"{sum(map(_float_bits, layers)) / 1024:,.1f}",
    )
    return head, rows, total


def _float_bits(layer: LayerCounts) -> int:
    return 32 * layer.rows * layer.columns


def energy_rows(report: EnergyReport, *, multiplies: bool = False) -> list[dict[str, object]]:
    """Rows of the energy chart: numbers as text, and each part's share of the most expensive design in percent.

    multiplies: the design is not the first of them but the one with int8 multiply-adds.
    """
    designs = (report.xnor, *report.baselines)
    most = max(design.total for design in designs)
    ours = designs[1] if multiplies else designs[0]
    return [_energy_row(design, most, ours=design is ours) for design in designs]


def _energy_row(design: DesignEnergy, most: float, *, ours: bool) -> dict[str, object]:
    parts = (design.compute, design.weights, design.activations)
    return {
        "name": design.name,
        "ours": ours,
        "parts": [round(100 * part / most, 2) for part in parts],
        "compute": picojoules(design.compute),
        "weights": picojoules(design.weights),
        "activations": picojoules(design.activations),
        "total": picojoules(design.total),
        "ratio": "1" if design.ratio == 1 else f"{design.ratio:.1f} ×",
    }


def picojoules(value: float) -> str:
    """An energy with a readable unit."""
    for unit, size in (("mJ", 1e9), ("µJ", 1e6), ("nJ", 1e3)):
        if value >= size:
            return f"{value / size:,.2f} {unit}"
    return f"{value:,.1f} pJ"
