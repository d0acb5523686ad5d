"""Accelerators of graphs: residual blocks, concatenations, broadcasts. Bit for bit, at the bound, under stalls; and the
depth of every FIFO that keeps two branches together."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from accelerator_farm import accelerator_case, run_farm
from random_conv_networks import random_codes
from random_graphs import GraphBuilder, random_graph

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.schedule.parts import FifoPart
from xnorflow.errors import HardwareError
from xnorflow.hdl import accelerator as accelerator_module
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.maps.line_depths import line_depths
from xnorflow.hdl.timing.model import accelerator_circuit

FRAMES = 20
WARM_UP = 9  # frames that fill the pipeline, line buffers and FIFOs


def balanced_folding(network: IntegerNetwork, seed: int) -> Folding:
    """Folds that all take about as many cycles: everything is busy, so that a beat that waits too long shows."""
    rng = np.random.default_rng(seed)
    choices = {}
    for stage in network.stages():
        rows, columns = stage.dot.weights.codes.shape
        folds = [LayerFold(pe, simd) for pe in range(1, min(rows, 8) + 1)
                 for simd in range(1, min(columns // stage.segments, 8) + 1)]  # fmt: skip
        folds = [
            f for f in folds if f.groups_problem(rows, columns // stage.segments * stage.groups, stage.groups) is None
        ]
        cycles = [stage.vectors * f.passes(rows) * f.synapse_folds(columns, stage.segments) for f in folds]
        choices[stage.dot.name] = list(zip(cycles, folds, strict=True))
    slowest = max(min(cycles for cycles, _ in choice) for choice in choices.values()) * rng.choice([1, 1.5, 3])
    layers = {}
    for name, choice in choices.items():
        fitting = [(cycles, fold) for cycles, fold in choice if cycles <= slowest]
        most = max(cycles for cycles, _ in fitting)
        layers[name] = rng.choice([fold for cycles, fold in fitting if cycles >= most * rng.choice([0.5, 1])])
    return Folding(layers, int(rng.integers(1, network.scores.type.size + 1)))


def residual(seed: int = 0) -> tuple[IntegerNetwork, Folding]:
    """A block whose two convolutions take long, against nothing at all; both operands come from the same stream."""
    graph = GraphBuilder((6, 7, 2), (4, Encoding.SIGNED), seed)
    value = graph.threshold(graph.conv("image", 3, padding=1), (3, Encoding.SIGNED))
    inner = graph.threshold(graph.conv(graph.threshold(value), 3, padding=1))
    branch = graph.threshold(graph.conv(inner, 3, padding=1), (3, Encoding.SIGNED))
    total = graph.threshold(graph.add(value, branch), (2, Encoding.UNSIGNED))
    network = graph.finish(graph.dense(total, 3))
    folds = [LayerFold(3, 2), LayerFold(3, 3), LayerFold(3, 2), LayerFold(1, 2)]
    names = [stage.dot.name for stage in network.stages()]
    return network, Folding(dict(zip(names, folds, strict=True)))


def mixed(seed: int = 1) -> tuple[IntegerNetwork, Folding]:
    """A concatenation of 3 + 4 + 2 channels, the input among them; a pool read by three; a sum of three encodings;
    lanes that do not divide one another."""
    graph = GraphBuilder((5, 6, 3), (2, Encoding.UNSIGNED), seed)
    kind = (2, Encoding.UNSIGNED)
    dot = graph.conv("image", 4, padding=1)
    wide = graph.concat("image", graph.threshold(dot, kind), graph.requantize(graph.conv("image", 2, 1), kind))
    pooled = graph.max_pool(graph.concat(graph.threshold(wide), graph.threshold(graph.conv(wide, 3, 1))))
    first = graph.threshold(graph.dense(pooled, 4), (3, Encoding.BIPOLAR))
    second = graph.threshold(graph.dense(pooled, 4), (2, Encoding.TERNARY))
    network = graph.finish(graph.add(first, second, graph.threshold(graph.dense(pooled, 4), (2, Encoding.LOG))))
    names = [stage.dot.name for stage in network.stages()]
    folds = [LayerFold(*f) for f in ((4, 3), (2, 3), (3, 5), (3, 5), (1, 4), (2, 7))]
    return network, Folding(dict(zip(names, folds, strict=True)), 3)


def drawn(seed: int) -> tuple[IntegerNetwork, Folding]:
    network = random_graph(seed)
    return network, balanced_folding(network, seed)


DESIGNS = {"residual": residual(), "mixed": mixed(), **{f"drawn{seed}": drawn(seed) for seed in (11, 25, 112)}}


def case_of(network: IntegerNetwork, folds: Folding) -> dict[str, object]:
    codes = random_codes(network, FRAMES, seed=6)
    trace = golden.run(network, codes)
    assert len({tuple(row) for row in trace.scores.tolist()}) > FRAMES // 2
    return accelerator_case(network, folds, codes, trace, warm_up=WARM_UP)


def test_equals_the_golden_model(tmp_path: Path) -> None:
    run_farm(DESIGNS, {name: case_of(*design) for name, design in DESIGNS.items()}, tmp_path)


def distances(accelerator: Accelerator, frames: int = 30) -> list[int]:
    """Cycles between the last results of a run without stalls, by the cycle model; HardwareError if it hangs."""

    def never(cycles: int) -> np.ndarray:
        return np.zeros(cycles, dtype=np.bool_)

    trace = accelerator_circuit(accelerator, frames).run([never, never], patience=20 * accelerator.interval + 2000)
    found: list[int] = np.diff(trace.delivered[0]).tolist()[-8:]
    return found


@pytest.mark.parametrize("start", range(100, 180, 20))
def test_branches_keep_the_interval(start: int) -> None:
    for seed in range(start, start + 20):
        accelerator = Accelerator(*drawn(seed))
        assert set(distances(accelerator)) == {accelerator.interval}


def with_depths(
    monkeypatch: pytest.MonkeyPatch, design: tuple[IntegerNetwork, Folding], depths: Mapping[str, int]
) -> Accelerator:
    """The accelerator with other depths of some FIFOs than those computed."""
    monkeypatch.setattr(accelerator_module, "line_depths", lambda *args: {**line_depths(*args), **depths})
    return Accelerator(*design)


def fifo_depths(accelerator: Accelerator) -> dict[str, int]:
    names = [part.name for part in accelerator.plan.parts if isinstance(part, FifoPart)]
    return {name: accelerator.parts[name.replace(" ", "_")].depth for name in names}


def unequal() -> tuple[IntegerNetwork, Folding]:
    """Three convolutions, one of them strided over the whole width, against identity."""
    graph = GraphBuilder((8, 8, 2), (2, Encoding.UNSIGNED), 4)
    value = graph.threshold(graph.conv("image", 2, 1), (2, Encoding.UNSIGNED))
    branch = value
    for kernel in ((5, 5), (3, 3), (5, 3)):
        branch = graph.threshold(
            graph.conv(branch, 2, kernel, padding=(kernel[0] // 2, kernel[1] // 2)), (2, Encoding.UNSIGNED)
        )
    network = graph.finish(graph.dense(graph.threshold(graph.add(value, branch)), 3))
    names = [stage.dot.name for stage in network.stages()]
    folds = [LayerFold(1, 1), LayerFold(2, 2), LayerFold(1, 2), LayerFold(2, 1), LayerFold(3, 2)]
    return network, Folding(dict(zip(names, folds, strict=True)))


@pytest.mark.parametrize(
    ("design", "beats", "spare"), [(residual(), 6 * 7, 8), (unequal(), 8 * 8 * 2, 2)], ids=["block", "unequal"]
)
def test_the_depth_of_a_fifo_is_needed(
    design: tuple[IntegerNetwork, Folding], beats: int, spare: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The branch that does nothing waits: half the depth stops everything for good, a little less than that costs time.

    What is spare is no more than the line buffers of the other branch happen to hold beyond what they need.
    """
    whole = Accelerator(*design)
    assert set(distances(whole)) == {whole.interval}
    depths = fifo_depths(whole)
    name, depth = max(depths.items(), key=lambda entry: entry[1])
    assert depth < beats and min(depths.values()) == 2  # less than a frame, and nothing for the branch that is late
    with pytest.raises(HardwareError, match="it hangs"):
        distances(with_depths(monkeypatch, design, {name: depth // 2}))
    try:
        found = distances(with_depths(monkeypatch, design, {name: depth - spare - 1}))
    except HardwareError:
        return  # it hangs
    assert set(found) != {whole.interval}
