"""The engine: every kind of fold, code and threshold, at its bound and under stalls."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth.back import verilog
from farm import Farm
from random_networks import random_network

from xnorflow.compiler.folds.folding import LayerFold, Memory, Popcount
from xnorflow.compiler.ir import Encoding, Threshold
from xnorflow.compiler.types import code_values
from xnorflow.errors import HardwareError
from xnorflow.hdl.dot.constants import engine_params
from xnorflow.hdl.dot.engine import Engine
from xnorflow.hdl.dot.params import EngineParams
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 14
Kind = tuple[int, Encoding]
COUNTS = 0  # no thresholds: the engine yields counts

# rows, columns, PE, SIMD, activation bits, thresholds, popcount stages
ONE_BIT = [
    (12, 24, 4, 8, 1, 1, 1),  # everything divides
    (10, 37, 4, 8, 1, 1, 1),  # neither rows nor columns do
    (10, 37, 4, 8, 1, 1, 0),  # no register in the popcount
    (9, 20, 3, 5, 1, 1, 3),
    (10, 33, 10, 8, 1, 1, 1),  # NF = 1: no buffer
    (10, 33, 16, 8, 1, 1, 1),  # ... and rows of padding in every fold
    (10, 20, 5, 20, 1, 1, 1),  # SF = 1: a beat a cycle
    (10, 20, 10, 20, 1, 1, 1),  # NF = SF = 1: a vector a cycle
    (7, 9, 1, 1, 1, 1, 1),  # one PE, one column
    (1, 9, 1, 4, 1, 1, 1),  # one neuron
    (2, 1, 1, 1, 1, 1, 1),  # one column: two folds of one step
    (10, 37, 4, 8, 1, COUNTS, 1),
    (10, 37, 16, 8, 1, COUNTS, 1),
]
MULTI_BIT = [
    (10, 30, 4, 8, 8, 1, 1),  # pixels
    (10, 30, 4, 8, 4, 15, 1),  # 15 thresholds in 4 rounds of 4
    (10, 30, 4, 2, 4, 15, 2),  # ... in 15 rounds of one
    (6, 10, 3, 10, 2, 3, 1),  # SF = 1: all thresholds at once
    (6, 10, 6, 10, 2, 3, 0),  # ... and NF = 1
    (6, 10, 4, 4, 2, 7, 1),
    (5, 12, 2, 4, 3, COUNTS, 1),
]
# ... and weight bits
WIDE_WEIGHTS = [
    (10, 30, 4, 8, 2, 3, 1, 2),  # four pairs of planes in three popcounts
    (6, 10, 6, 10, 2, 3, 0, 2),  # NF = SF = 1, no register in the popcounts
    (7, 21, 3, 4, 1, 7, 1, 3),  # more weight planes than activation planes
    (10, 30, 4, 8, 8, 1, 1, 2),  # a single threshold
    (6, 10, 3, 10, 4, 15, 2, 4),
    (10, 33, 16, 8, 4, 15, 1, 4),  # NF = 1 and rows of padding
    (5, 12, 2, 5, 8, COUNTS, 1, 8),
]


def params_of(
    rows: int,
    columns: int,
    pe: int,
    simd: int,
    bits: int,
    levels: int,
    stages: int,
    weight_bits: int = 1,
    name: str = "fc",
    **others: Any,
) -> EngineParams:
    """Random weights and thresholds; never and always, repeated thresholds and both ends are among them."""
    rng = np.random.default_rng([rows, columns, pe, simd, bits, levels])
    weight_max = (1 << weight_bits) - 1
    p_max = columns * ((1 << bits) - 1) * weight_max
    weights = rng.integers(0, weight_max + 1, (rows, columns), dtype=np.uint8)
    weights[0] = weight_max * (weights[0] & 1)
    thresholds = None
    if levels != COUNTS:
        middle, spread = p_max / 2, max(1.0, p_max / np.sqrt(12 * columns))
        drawn = np.rint(rng.normal(middle, spread, (rows, levels))).astype(np.int64)
        drawn[rng.random((rows, levels)) < 0.2] = rng.choice([0, 1, p_max, p_max + 1])
        drawn[: rows // 4] = drawn[: rows // 4, :1]
        drawn[-1] = p_max + 1
        drawn[0] = 0 if rows > 1 else drawn[0]
        thresholds = np.sort(np.clip(drawn, 0, p_max + 1), axis=1)
    others |= {"popcount_stages": stages, "weight_bits": weight_bits}
    return EngineParams(name, weights, bits, thresholds, LayerFold(pe, simd), **others)


def codes_of(params: EngineParams) -> np.ndarray:
    rng = np.random.default_rng(7)
    codes = rng.integers(0, params.activation_max + 1, (FRAMES, params.columns), dtype=np.uint8)
    codes[0], codes[1] = 0, params.activation_max
    positive = code_values(params.weight_bits, params.weight_encoding)[params.weights[0]] > 0
    codes[2] = params.activation_max * positive  # reaches the largest count of a row
    return codes


def case_of(params: EngineParams) -> dict[str, object]:
    codes = codes_of(params)
    expected = params.reference(codes)
    first_step = 1 if params.passes > 1 else 0
    return {
        "sources": {"i": [pack_frame(c.tolist(), params.fold.simd, params.activation_bits) for c in codes]},
        "sinks": {"o": [b for e in expected for b in pack_frame(e.tolist(), params.fold.pe, params.output_bits)]},
        "frame_beats": params.neuron_folds,
        "bound": params.cycles,
        "latency": first_step + params.fold_cycles - 1 + Engine(params).latency,
    }


def run(folder: Path, all_params: dict[str, EngineParams], memories: dict[str, str] | None = None) -> None:
    engines = {name: Engine(params) for name, params in all_params.items()}
    contents = {file: text for engine in engines.values() for file, text in engine.memories.items()}
    cases = folder / "cases.json"
    cases.write_text(json.dumps({name: case_of(params) for name, params in all_params.items()}))
    run_bench(
        Farm(engines),
        "bench_streams",
        build_dir=folder,
        name="farm",
        parameters={"cases": str(cases)},
        memories=contents | (memories or {}),
    )


# fold of PE, SIMD and planes in time, type of weights, of activations, of codes out (None: counts)
B, U, S, T, L, LU = Encoding
ENCODED: list[tuple[tuple[int, int, int], Kind, Kind, Kind | None]] = [
    ((4, 8, 1), (2, S), (2, U), (2, U)),
    ((4, 8, 1), (1, S), (3, S), (1, B)),  # weights of 0 and -1: an ANDN plane alone
    ((3, 30, 1), (3, S), (2, T), (2, T)),  # ternary codes in and out
    ((10, 8, 1), (4, S), (1, B), None),
    ((4, 8, 1), (2, T), (2, U), (2, B)),
    ((5, 4, 1), (2, T), (2, T), (1, U)),
    ((4, 7, 1), (3, U), (4, S), (2, U)),
    ((4, 8, 1), (1, U), (2, L), (1, B)),
    ((4, 8, 1), (1, B), (3, LU), (3, LU)),  # BinaryConnect's weights, activations without multiplication
    ((4, 8, 1), (3, B), (3, L), (2, L)),
    ((4, 8, 1), (3, L), (8, U), (2, U)),  # pixels
    ((10, 30, 1), (4, L), (2, B), (1, B)),
    ((3, 8, 1), (2, L), (3, L), (2, L)),  # both sides: exponents add up
    ((3, 8, 1), (3, L), (2, LU), None),
    ((4, 8, 1), (2, LU), (3, S), (2, S)),
    ((4, 8, 1), (1, L), (1, LU), (1, LU)),
]
IN_TIME: list[tuple[tuple[int, int, int], Kind, Kind, Kind | None]] = [
    ((4, 8, 8), (1, B), (8, U), (4, U)),  # pixels, plane by plane
    ((4, 8, 2), (1, B), (8, B), (1, B)),
    ((10, 8, 4), (1, B), (8, U), (1, B)),  # NF = 1, a preload that moves up
    ((5, 30, 2), (2, B), (2, U), (2, U)),  # SF = 1
    ((10, 30, 2), (2, B), (2, U), (1, B)),  # NF = SF = 1
    ((16, 8, 2), (2, S), (4, S), (1, U)),  # rows of padding, directions
    ((4, 7, 2), (2, T), (4, U), None),
    ((4, 8, 7), (1, B), (3, LU), (1, B)),
    ((4, 8, 2), (3, U), (2, T), (2, T)),
]


def encoded(fold: tuple[int, int, int], weights: Kind, source: Kind, sink: Kind | None, name: str) -> EngineParams:
    """The engine of a random layer of 10 neurons and 30 inputs."""
    pe, simd, turns = fold
    widths = [30, 10] if sink is None else [30, 10, 2]
    stage = next(random_network(widths, source, sink or (1, B), weights, seed=len(name)).stages())
    return replace(engine_params(stage, LayerFold(pe, simd, planes_in_time=turns)), name=name)


@pytest.mark.parametrize("cases", [ENCODED, IN_TIME], ids=["encoded", "in_time"])
def test_every_encoding_equals_its_reference(
    cases: list[tuple[tuple[int, int, int], Kind, Kind, Kind | None]], tmp_path: Path
) -> None:
    """`test_constants` proves the reference equal to the golden model."""
    run(tmp_path, {f"c{n}": encoded(*case, name=f"c{n}") for n, case in enumerate(cases)})


def test_every_gate_with_lut6_popcounts(tmp_path: Path) -> None:
    cases = [ENCODED[0], ENCODED[5], ENCODED[10], IN_TIME[5]]
    parts = {f"c{n}": encoded(*case, name=f"c{n}") for n, case in enumerate(cases)}
    run(tmp_path, {name: replace(params, popcount=Popcount.LUT6) for name, params in parts.items()})


@pytest.mark.parametrize("cases", [ONE_BIT, MULTI_BIT, WIDE_WEIGHTS], ids=["one_bit", "multi_bit", "wide_weights"])
def test_equals_its_reference(cases: list[tuple[int, ...]], tmp_path: Path) -> None:
    run(tmp_path, {f"c{n}": params_of(*case, name=f"c{n}") for n, case in enumerate(cases)})


def test_equals_its_reference_with_lut6_popcounts(tmp_path: Path) -> None:
    kind = {"popcount": Popcount.LUT6}
    cases = [(6, 40, 3, 17, 1, 1, 1), (4, 10, 2, 7, 2, 3, 0), (4, 10, 2, 7, 2, 3, 1, 3)]
    cases += [
        (6, 40, 3, 17, 1, 1, 5),
        (6, 10, 2, 10, 1, 1, 2),
        (6, 10, 2, 10, 1, 1, 5),
    ]  # and registers behind memories
    run(tmp_path, {f"c{n}": params_of(*case, name=f"c{n}", **kind) for n, case in enumerate(cases)})


def test_rows_that_descend_equal_their_reference(tmp_path: Path) -> None:
    """Half of the rows of these; `test_constants` proves the reference equal to the golden model."""
    all_params = {}
    for encoding, (weight_bits, bits) in product((B, U), ((2, 2), (3, 1), (2, 8), (4, 4))):
        network = random_network([29, 10, 2], (bits, encoding), (2, encoding), (weight_bits, B))
        stage = next(network.stages())
        name = f"{encoding}_w{weight_bits}a{bits}"
        all_params[name] = params = replace(engine_params(stage, LayerFold(4, 8)), name=name)
        varies = np.ptp(params.reference(codes_of(params)), axis=0) > 0
        assert isinstance(stage.sink, Threshold)
        assert varies[stage.sink.descending].any() and varies[~stage.sink.descending].any()
    run(tmp_path, all_params)


@pytest.mark.parametrize(
    ("levels", "file", "line", "bit"),
    [(COUNTS, "fc_weights.hex", 0, 0), (COUNTS, "fc_weights.hex", 5, 7), (1, "fc_thresholds.hex", 1, 0)],
)
def test_a_flipped_bit_in_a_memory_is_noticed(levels: int, file: str, line: int, bit: int, tmp_path: Path) -> None:
    params = params_of(4, 12, 2, 4, 1, levels, 1)
    lines = Engine(params).memories[file].splitlines()
    lines[line] = f"{int(lines[line], 16) ^ 1 << bit:0{len(lines[line])}x}"
    with pytest.raises(HardwareError, match="instead of"):
        run(tmp_path, {"fc": params}, {file: "\n".join(lines) + "\n"})


def test_fifo_returns_credits_in_time() -> None:
    """One fold a cycle needs room for every beat under way; long folds need two."""
    short = Engine(params_of(10, 20, 5, 20, 1, 1, 3))
    assert short.fifo_depth > short.latency
    assert Engine(params_of(10, 160, 5, 8, 1, 1, 1)).fifo_depth == 2


def test_memories_are_named_after_the_layer() -> None:
    params = params_of(10, 37, 4, 8, 1, 1, 1, name="hidden")
    assert list(Engine(params).memories) == ["hidden_weights.hex", "hidden_thresholds.hex"]
    unfolded = params_of(10, 20, 10, 20, 1, 1, 1)
    assert Engine(unfolded).memories == {}  # a single word is a constant


def test_kind_of_memory_reaches_the_verilog() -> None:
    params = params_of(10, 37, 4, 8, 1, 1, 1)
    block = EngineParams("fc", params.weights, 1, params.thresholds, LayerFold(4, 8, Memory.BLOCK))
    assert verilog.convert(Engine(block), emit_src=False).count('.STYLE("block")') == 1
    assert verilog.convert(Engine(block), emit_src=False).count('.STYLE("lut")') == 1  # three words of thresholds
