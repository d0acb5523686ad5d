"""The score unit: lanes, multipliers, shifts, ties, padding lanes."""

import json
from pathlib import Path

import numpy as np
from farm import Farm
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.hdl.activations.scores import ScoreUnit
from xnorflow.hdl.dot.params import ScoreParams
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 30
ONES = np.ones(10, dtype=np.int64)


def params_of(name: str) -> ScoreParams:
    rng = np.random.default_rng(11)
    factors, offsets = rng.integers(-100, 100, 10), rng.integers(-5000, 5000, 10)
    few = np.array([0, 1])
    return {
        "counts": ScoreParams("counts", ONES, 1, -64 * ONES, 64, 1),  # acc itself: no multiplier
        "all_lanes": ScoreParams("all_lanes", ONES, 0, offsets // 100, 64, 10),
        "ragged": ScoreParams("ragged", factors, 1, offsets, 1024, 4),  # 10 classes on 4 lanes
        "three": ScoreParams("three", factors, 0, offsets, 1024, 3),
        "wide": ScoreParams("wide", factors, 0, offsets, 1024, 16),  # more lanes than classes
        "negative": ScoreParams("negative", 0 * ONES, 0, -5 - ONES, 3, 4),  # padding lanes must not win
        "two": ScoreParams("two", few, 0, few * 0, 1, 2),
        "one": ScoreParams("one", few[1:], 0, few[1:], 9, 1),  # a single class
    }[name]


NAMES = ("counts", "all_lanes", "ragged", "three", "wide", "negative", "two", "one")


def case_of(params: ScoreParams) -> dict[str, object]:
    rng = np.random.default_rng(5)
    counts = rng.integers(0, params.p_max + 1, (FRAMES, params.classes))
    counts[:2] = np.array([[0], [params.p_max]])
    counts[2::3] = counts[2::3, :1]  # equal counts: where multipliers and offsets are equal as well, ties
    classes, scores = params.reference(counts)
    mask = (1 << params.score_bits) - 1
    results = [
        int(winner) + sum((int(score) & mask) << (params.class_bits + k * params.score_bits) for k, score in pairs)
        for winner, pairs in ((w, enumerate(row)) for w, row in zip(classes, scores, strict=True))
    ]
    lowest_first = -(-params.classes // params.lanes)
    return {
        "sources": {"i": [pack_frame(row.tolist(), params.lanes, params.count_bits) for row in counts]},
        "sinks": {"o": results},
        "frame_beats": 1,
        "bound": params.beats,
        "latency": lowest_first - 1 + ScoreUnit(params).latency,
    }


def test_equals_its_reference(tmp_path: Path) -> None:
    units = {name: ScoreUnit(params_of(name)) for name in NAMES}
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({name: case_of(params_of(name)) for name in NAMES}))
    memories = {file: text for unit in units.values() for file, text in unit.memories.items()}
    parameters = {"cases": str(cases)}
    run_bench(Farm(units), "bench_streams", build_dir=tmp_path, name="farm", parameters=parameters, memories=memories)


def test_ties_go_to_the_lowest_class() -> None:
    classes, _ = params_of("counts").reference(np.array([[3, 7, 7, 1, 7, 0, 0, 0, 0, 0], [64] * 10]))
    assert classes.tolist() == [1, 0]


@settings(deadline=None, max_examples=100)
@given(
    st.lists(st.tuples(st.integers(-1000, 1000), st.integers(-(10**6), 10**6)), min_size=1, max_size=12),
    st.integers(1, 5000),
    st.integers(0, 3),
)
def test_every_score_fits_and_the_bounds_are_reached(affine: list[tuple[int, int]], p_max: int, shift: int) -> None:
    multiplier, offset = np.array(affine, dtype=np.int64).T
    params = ScoreParams("scores", multiplier, shift, offset, p_max, 1)
    _, scores = params.reference(np.array([[0], [p_max]]).repeat(len(affine), axis=1))
    limit = 1 << (params.score_bits - 1)
    assert (int(scores.min()), int(scores.max())) == params.bounds
    assert -limit <= scores.min() and scores.max() < limit
    assert params.score_bits == 1 or not (-limit // 2 <= scores.min() and scores.max() < limit // 2)
