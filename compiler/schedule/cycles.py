"""The cycle model: how many cycles a frame keeps each stage of the accelerator busy.

All stages work at once, so the accelerator's initiation interval *equals* the largest bound; simulation measures it.
"""

from dataclasses import dataclass

from ..folds.folding import Folding
from ..ir import IntegerNetwork
from .parts import StageKind
from .plan import Plan, plan_parts

__all__ = [
    "FoldRow",
    "StageBound",
    "StageKind",
    "bounds_of",
    "fold_table",
    "initiation_interval",
    "stage_bounds",
    "waste_warnings",
]

WASTE_WARNED = 0.10
"""Share of idle multiplier-cycles above which `waste_warnings` speaks."""


@dataclass(frozen=True, slots=True)
class StageBound:
    """One stage in stream order: its name (of a node, "a to b" for a converter, ...), and cycles a frame."""

    name: str
    kind: StageKind
    cycles: int


@dataclass(frozen=True, slots=True)
class FoldRow:
    """One engine in the folding table.

    share: cycles over the initiation interval (1.0: always busy). waste: share of the engine's multiplier-cycles
    that work on padding. bottleneck: no stage takes more cycles than this engine.
    """

    layer: str
    rows: int
    columns: int
    pe: int
    simd: int
    neuron_folds: int
    synapse_folds: int
    planes_in_time: int
    cycles: int
    share: float
    waste: float
    bottleneck: bool


def stage_bounds(network: IntegerNetwork, folding: Folding) -> tuple[StageBound, ...]:
    """Every stage's bound in topological order; UsageError if the folding does not suit the network."""
    return bounds_of(plan_parts(network, folding))


def bounds_of(plan: Plan) -> tuple[StageBound, ...]:
    """Every stage's bound in topological order. Forks and FIFOs are left out: they pass on what comes."""
    passing = (StageKind.FORK, StageKind.FIFO)
    return tuple(StageBound(part.name, part.kind, part.cycles) for part in plan.parts if part.kind not in passing)


def initiation_interval(network: IntegerNetwork, folding: Folding) -> int:
    """Cycles from one result to the next in steady state: the largest bound of any stage."""
    return max(bound.cycles for bound in stage_bounds(network, folding))


def fold_table(network: IntegerNetwork, folding: Folding) -> tuple[FoldRow, ...]:
    """The folding as a table, one row an engine, in stream order."""
    interval = initiation_interval(network, folding)
    table = []
    for stage in network.stages():
        rows, columns = stage.dot.weights.codes.shape
        fold = folding.layers[stage.dot.name]
        nf, sf = fold.neuron_folds(rows), fold.synapse_folds(columns, stage.segments)
        cycles = stage.vectors * nf * sf * fold.planes_in_time
        waste = 1 - rows * columns / (nf * fold.pe * sf * fold.simd)
        row = FoldRow(
            stage.dot.name,
            rows,
            columns,
            fold.pe,
            fold.simd,
            nf,
            sf,
            fold.planes_in_time,
            cycles,
            share=cycles / interval,
            waste=waste,
            bottleneck=cycles == interval,
        )
        table.append(row)
    return tuple(table)


def waste_warnings(table: tuple[FoldRow, ...]) -> tuple[str, ...]:
    """One line for each engine that spends more than a tenth of its work on padding."""
    return tuple(
        f"layer {row.layer!r}: {row.waste:.0%} of {row.pe} x {row.simd} works on padding "
        f"({row.rows} x {row.columns} does not divide)"
        for row in table
        if row.waste > WASTE_WARNED
    )
