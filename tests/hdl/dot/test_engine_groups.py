"""Engines of grouped and depthwise convolutions: every way to fold groups, at the bound and under stalls."""

import json
from pathlib import Path

import numpy as np
import pytest
from farm import Farm

from xnorflow.compiler.folds.folding import LayerFold
from xnorflow.errors import HardwareError
from xnorflow.hdl.dot.engine import Engine
from xnorflow.hdl.dot.params import EngineParams
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 14
COUNTS = 0  # no thresholds: the engine yields counts

# rows, segments, channels, groups; PE, SIMD, planes in time; bits, weight bits, thresholds
ENGINES = {
    "depthwise": (10, 9, 10, 10, 4, 1, 1, 1, 1, 1),  # four channels a cycle, the last ones padded
    "depthwise_wide": (10, 9, 10, 10, 5, 1, 1, 2, 2, 3),
    "depthwise_at_once": (8, 4, 8, 8, 8, 1, 1, 1, 1, 1),  # NF = 1
    "two_a_channel": (12, 4, 6, 6, 6, 1, 1, 2, 1, 1),  # three channels at once
    "three_a_channel": (12, 4, 4, 4, 1, 1, 1, 1, 1, 3),  # one neuron at a time, input banks
    "in_turn": (12, 2, 12, 3, 2, 2, 1, 1, 1, 1),  # four channels of a group in two beats, its rows in two folds
    "whole_group": (12, 2, 12, 3, 4, 4, 1, 2, 1, COUNTS),
    "two_groups": (12, 2, 12, 3, 8, 4, 1, 1, 1, 1),  # the fourth group is padding
    "one_beat": (4, 1, 4, 4, 2, 1, 1, 2, 1, COUNTS),  # 1 x 1: SF = 1
    "planes_in_turn": (6, 4, 6, 6, 3, 1, 2, 4, 1, 3),  # every block lies in a bank, for its planes
    "all_in_turn": (8, 2, 4, 2, 2, 1, 2, 2, 1, 1),  # ... and for the folds of its group
}


def params_of(name: str) -> EngineParams:
    rows, segments, channels, groups, pe, simd, in_time, bits, weight_bits, levels = ENGINES[name]
    rng = np.random.default_rng([rows, channels, pe, simd])
    columns = segments * channels // groups
    weights = rng.integers(0, 1 << weight_bits, (rows, columns), dtype=np.uint8)
    p_max = columns * ((1 << bits) - 1) * ((1 << weight_bits) - 1)
    thresholds = np.sort(rng.integers(0, p_max + 2, (rows, levels)), axis=1) if levels else None
    fold = LayerFold(pe, simd, planes_in_time=in_time)
    return EngineParams(
        name, weights, bits, thresholds, fold, segments=segments, weight_bits=weight_bits, groups=groups
    )


def codes_of(params: EngineParams) -> np.ndarray:
    columns = params.columns * params.groups
    codes = np.random.default_rng(7).integers(0, params.activation_max + 1, (FRAMES, columns), dtype=np.uint8)
    codes[0], codes[1] = 0, params.activation_max
    return codes


def beats_of(params: EngineParams, codes: np.ndarray) -> list[int]:
    """A vector's beats: (block, segment, part of the block's channels)."""
    pixels = codes.reshape(params.segments, params.groups, -1)
    padded = np.zeros((params.segments, params.blocks * params.groups_at_once, pixels.shape[2]), dtype=np.int64)
    padded[:, : params.groups] = pixels
    ordered = padded.reshape(params.segments, params.blocks, -1).transpose(1, 0, 2)
    return pack_frame(ordered.ravel().tolist(), params.lanes, params.activation_bits)


def case_of(params: EngineParams) -> dict[str, object]:
    codes = codes_of(params)
    expected = params.reference(codes)
    first_step = 1 if params.passes > 1 else 0
    return {
        "sources": {"i": [beats_of(params, vector) for vector in codes]},
        "sinks": {"o": [b for e in expected for b in pack_frame(e.tolist(), params.fold.pe, params.output_bits)]},
        "frame_beats": params.neuron_folds,
        "bound": params.cycles,
        "latency": first_step + params.fold_cycles - 1 + Engine(params).latency,
    }


def test_equals_its_reference(tmp_path: Path) -> None:
    engines = {name: Engine(params_of(name)) for name in ENGINES}
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({name: case_of(engine.params) for name, engine in engines.items()}))
    memories = {file: text for engine in engines.values() for file, text in engine.memories.items()}
    parameters = {"cases": str(cases)}
    run_bench(Farm(engines), "bench_streams", build_dir=tmp_path, name="farm", parameters=parameters, memories=memories)


@pytest.mark.parametrize("name", ENGINES)
def test_counts_against_a_loop(name: str) -> None:
    params = params_of(name)
    bits = [(i, j) for i in range(params.weight_bits) for j in range(params.activation_bits)]
    codes = codes_of(params)[:4]
    for vector, counts in zip(codes, params.counts(codes), strict=True):
        pixels = vector.reshape(params.segments, params.groups, -1).astype(int)
        for neuron, row in enumerate(params.weights.astype(int)):
            own = pixels[:, neuron * params.groups // params.rows].ravel()
            pairs = zip(row, own, strict=True)
            agree = sum((w >> i & 1 == x >> j & 1) << i + j for w, x in pairs for i, j in bits)
            assert agree == counts[neuron]


@pytest.mark.parametrize(("pe", "simd"), [(3, 2), (2, 3), (8, 2), (6, 4)])
def test_folds_that_cut_groups_are_refused(pe: int, simd: int) -> None:
    weights = np.zeros((12, 8), dtype=np.uint8)
    with pytest.raises(HardwareError, match=f"fc: pe {pe} and simd {simd} cut groups of 4 neurons and 4 channels"):
        EngineParams("fc", weights, 1, None, LayerFold(pe, simd), segments=2, groups=3)
