"""Every component takes and gives its beats in exactly the cycles that its timing cells say, under random stalls, and
holds as many beats at most."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from activations.test_unit import constants, thresholds
from amaranth.lib import wiring
from dot.test_engine import COUNTS, params_of
from dot.test_engine_groups import params_of as params_of_groups
from dot.test_mac import ENGINES as MAC_ENGINES
from dot.test_mac import engine as engine_of
from farm import Farm
from maps.test_pool import POOLS
from maps.test_window import GEOMETRIES
from numpy.typing import NDArray

from xnorflow.compiler.folds.folding import LayerFold, Memory
from xnorflow.compiler.schedule.parts import AddPart, ConcatPart
from xnorflow.compiler.types import CodeType, Encoding
from xnorflow.errors import HardwareError
from xnorflow.hdl.activations.requantizer import Requantizer
from xnorflow.hdl.activations.scores import ScoreUnit
from xnorflow.hdl.activations.search import SearchUnit
from xnorflow.hdl.activations.threshold import ThresholdUnit
from xnorflow.hdl.activations.unit import StreamActivation
from xnorflow.hdl.dot.engine import Engine
from xnorflow.hdl.dot.params import ScoreParams
from xnorflow.hdl.maps.pool import Pool
from xnorflow.hdl.maps.window import SlidingWindow
from xnorflow.hdl.maps.window_model import least_depth
from xnorflow.hdl.streams.axi import InputAdapter, OutputAdapter
from xnorflow.hdl.streams.broadcast import Broadcast
from xnorflow.hdl.streams.buffer import StreamBuffer, StreamFifo
from xnorflow.hdl.streams.converter import FrameWidthConverter
from xnorflow.hdl.streams.join import StreamAdd, StreamConcat
from xnorflow.hdl.timing.frames import Fifo, Fork, Join
from xnorflow.hdl.timing.model import Circuit, Trace
from xnorflow.sim.component import run_bench
from xnorflow.sim.streams import random_pauses

FRAMES = 4
ROUNDS = ((0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.4, 0.4))  # shares of the cycles in which sources and sinks pause


@dataclass(frozen=True)
class Case:
    """A component with what a frame is at its ports: port -> beats."""

    component: wiring.Component
    sources: Mapping[str, int]
    sinks: Mapping[str, int]


def stream(component: wiring.Component, beats_in: int, beats_out: int) -> Case:
    return Case(component, {"i": beats_in}, {"o": beats_out})


def buffers() -> dict[str, Case]:
    return {
        "register": stream(StreamBuffer(4), 7, 7),
        "fifo": stream(StreamFifo(4, depth=3), 17, 17),
        "late_fifo": stream(StreamFifo(4, depth=4, memory=Memory.BLOCK), 17, 17),
        "shallow_late_fifo": stream(StreamFifo(4, depth=3, memory=Memory.BLOCK), 17, 17),
        "broadcast": Case(Broadcast(3, consumers=3), {"i": 15}, {"o__0": 15, "o__1": 15, "o__2": 15}),
        "input": Case(InputAdapter(13, 2, lanes=3), {"s_axis": 5}, {"o": 5}),
        "output": Case(OutputAdapter(4, 7), {"i": 9}, {"m_axis": 9}),
    }


def converters() -> dict[str, Case]:
    shapes = [(12, 4, 2), (11, 4, 2), (5, 8, 2), (12, 2, 6), (11, 2, 6), (5, 2, 9), (24, 6, 4), (23, 6, 4), (10, 4, 10),
              (7, 2, 3), (9, 6, 4)]  # fmt: skip
    return {
        f"convert_{e}_{a}_{b}": stream(FrameWidthConverter(e, 2, lanes_in=a, lanes_out=b), -(-e // a), -(-e // b))
        for e, a, b in shapes
    }


def windows() -> dict[str, Case]:
    cases = {}
    for name, params in GEOMETRIES.items():
        for depth in (params.least_working_depth, least_depth(params)):
            unit = SlidingWindow(params, depth=depth)
            cases[f"{name}_{depth}"] = stream(unit, params.beats_in, params.beats_out)
    return cases


def pools() -> dict[str, Case]:
    return {
        name: stream(Pool(params), params.sliding.beats_in, params.window.positions * params.pixel_beats)
        for name, (params, *_) in POOLS.items()
    }


# rows, columns, PE, SIMD, activation bits, thresholds, popcount stages, weight bits
ENGINES = [
    (12, 24, 4, 8, 1, 1, 1),
    (10, 37, 4, 8, 1, 1, 0),
    (10, 33, 10, 8, 1, 1, 1),  # NF = 1: no buffer
    (10, 20, 5, 20, 1, 1, 3),  # SF = 1: a beat a cycle
    (10, 20, 10, 20, 1, 1, 1),  # NF = SF = 1: a vector a cycle
    (2, 1, 1, 1, 1, 1, 1),
    (10, 37, 4, 8, 1, COUNTS, 1),
    (10, 30, 4, 8, 4, 15, 1),  # thresholds in rounds
    (10, 30, 4, 2, 4, 15, 2),
    (6, 10, 3, 10, 2, 3, 1),
    (6, 10, 6, 10, 2, 3, 0),
    (10, 30, 4, 8, 2, 3, 1, 2),  # several planes
    (5, 12, 2, 5, 8, COUNTS, 1, 8),
]


def engines() -> dict[str, Case]:
    cases = {}
    for number, values in enumerate(ENGINES):
        params = params_of(*values, name=f"e{number}")
        cases[f"e{number}"] = stream(Engine(params), params.synapse_folds, params.neuron_folds)
    for pe, turns in ((4, 2), (10, 4)):  # planes in time; the second one has a buffer for them alone
        params = params_of(10, 30, pe, 8, 4, 15, 1, name=f"t{turns}")
        params = replace(params, fold=LayerFold(pe, 8, planes_in_time=turns))
        cases[params.name] = stream(Engine(params), params.synapse_folds, params.neuron_folds)
    for number in (0, 3, 4):  # multipliers
        params = engine_of(MAC_ENGINES[number], f"m{number}")
        cases[params.name] = stream(Engine(params), params.synapse_folds, params.neuron_folds)
    for name in ("depthwise", "depthwise_at_once", "in_turn", "two_groups", "planes_in_turn"):
        grouped = params_of_groups(name)
        cases[name] = stream(Engine(grouped), grouped.synapse_folds * grouped.blocks, grouped.neuron_folds)
    return cases


def scores() -> dict[str, Case]:
    cases = {}
    for classes, lanes, factor in ((10, 1, 1), (10, 4, 3), (7, 7, -5), (2, 2, 1), (1, 1, 1)):
        name = f"scores_{classes}_{lanes}"
        multiplier, offset = np.full(classes, factor, dtype=np.int64), np.arange(classes, dtype=np.int64)
        params = ScoreParams(name, multiplier, 0, offset, 31, lanes)
        cases[name] = stream(ScoreUnit(params), params.beats, 1)
    return cases


def activations() -> dict[str, Case]:
    units = {
        f"t{levels}_{interval}": kind(thresholds(7, 3, levels, interval, 100, f"t{levels}_{interval}"))
        for kind, levels, interval in (
            (SearchUnit, 15, 1),
            (SearchUnit, 7, 2),
            (ThresholdUnit, 7, 3),
            (ThresholdUnit, 3, 1),
        )
    }
    parts = {name: StreamActivation(unit) for name, unit in units.items()}
    parts["requantize"] = StreamActivation(Requantizer(constants(7, 3, 4, 100, "requantize")))
    return {name: stream(part, 3, 3) for name, part in parts.items()}


def joins() -> dict[str, Case]:
    kind = CodeType((), 2, Encoding.BIPOLAR)
    adds = {n: StreamAdd(AddPart(f"add{n}", (kind,) * n, 4, 5, 2)) for n in (2, 3)}
    cases = {f"add{n}": Case(add, {f"i{k}": 12 for k in range(n)}, {"o": 12}) for n, add in adds.items()}
    for sizes in ((4, 3), (2, 6, 1), (2, 2)):
        name = f"concat_{'_'.join(map(str, sizes))}"
        counts = {f"i{k}": 3 * -(-size // 2) for k, size in enumerate(sizes)}
        cases[name] = Case(StreamConcat(ConcatPart(name, sizes, 2, 3, 2)), counts, {"o": sum(counts.values())})
    return cases


def played(pauses: Sequence[bool]) -> Callable[[int], np.ndarray]:
    """A pause for each cycle in turn, and pauses for ever behind them."""
    rest = iter(pauses)
    return lambda cycles: np.array([*islice(rest, cycles), *[True] * cycles][:cycles])


def predicted(case: Case, pauses: Mapping[str, Sequence[bool]]) -> tuple[dict[str, list[int]], Trace]:
    circuit = Circuit()
    streams = [circuit.source(FRAMES * beats) for beats in case.sources.values()]
    outs = circuit.place(case.component.timing, *streams, name="part")
    for out, beats in zip(outs, case.sinks.values(), strict=True):
        circuit.sink(out, FRAMES * beats)
    trace = circuit.run([played(pauses[port]) for port in (*case.sources, *case.sinks)], patience=20_000)
    cycles = (*trace.taken, *trace.delivered)
    return {port: some.tolist() for port, some in zip((*case.sources, *case.sinks), cycles, strict=True)}, trace


def pauses_of(case: Case, densities: tuple[float, float], seed: int, cycles: int) -> dict[str, list[bool]]:
    pauses = {}
    for number, port in enumerate((*case.sources, *case.sinks)):
        density = densities[port in case.sinks]
        endless = random_pauses(100 * seed + number, density) if density else iter(lambda: False, None)
        pauses[port] = list(islice(endless, cycles))
    return pauses


@pytest.mark.parametrize(
    "cases",
    [buffers, converters, windows, pools, engines, activations, joins, scores],
    ids=lambda cases: cases.__name__,
)
def test_every_handshake_is_in_its_cycle(cases: Callable[[], dict[str, Case]], tmp_path: Path) -> None:
    made = cases()
    rounds, expected, ends, marks = [], [], [], []
    for number, densities in enumerate(ROUNDS):
        paused = {
            name: pauses_of(case, densities, 100 * number + k, 20_000) for k, (name, case) in enumerate(made.items())
        }
        models = {name: predicted(case, paused[name]) for name, case in made.items()}
        cycles = max(trace.cycles for _, trace in models.values()) + 1
        expected.append({name: found for name, (found, _) in models.items()})
        ends.append({name: trace.cycles for name, (_, trace) in models.items()})
        marks.append({name: trace.most.get("part", 0) for name, (_, trace) in models.items()})
        played_round = {}
        for name, case in made.items():
            text = {port: "".join("01"[p] for p in some[:cycles]) for port, some in paused[name].items()}
            beats = {port: FRAMES * count for port, count in case.sources.items()}
            ports = {port: [pauses, beats.get(port)] for port, pauses in text.items()}
            played_round[name] = {"frame_beats": next(iter(case.sources.values())), "ports": ports}
        rounds.append(played_round)
    (tmp_path / "cases.json").write_text(json.dumps(rounds))
    components = {name: case.component for name, case in made.items()}
    memories = [getattr(component, "memories", {}) for component in components.values()]
    run_bench(
        Farm(components),
        "bench_timing",
        build_dir=tmp_path,
        name="farm",
        parameters={"cases": str(tmp_path / "cases.json"), "found": str(tmp_path / "found.json")},
        memories={file: text for some in memories for file, text in some.items()},
    )
    rounds_found = json.loads((tmp_path / "found.json").read_text())
    for wanted, found, until, most in zip(expected, rounds_found, ends, marks, strict=True):
        for name, ports in wanted.items():
            seen = {port: [c for c in found[name][port] if c < until[name]] for port in ports}
            assert seen == ports, name
            assert max(found[name].get("level", [0])[: until[name]]) == most[name], name


def test_a_circuit_that_hangs_says_so() -> None:
    """A fork whose branches meet again, one of them behind a part that has to see two beats first."""
    circuit = Circuit()
    left, right = circuit.place([Fork(2)], circuit.source(8))
    (left,) = circuit.place([Fifo(1)], left)
    (right,) = circuit.place([Fifo(2), Fifo(2)], right)
    circuit.sink(circuit.place([Join(2)], left, right)[0], 8)

    def never(cycles: int) -> NDArray[np.bool_]:
        return np.zeros(cycles, dtype=np.bool_)

    def always(cycles: int) -> NDArray[np.bool_]:
        return np.ones(cycles, dtype=np.bool_)

    assert len(circuit.run([never, never], patience=100).delivered[0]) == 8
    with pytest.raises(HardwareError, match="it hangs"):
        circuit.run([never, always], patience=100)
