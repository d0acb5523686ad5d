"""Units that turn counts into codes, between streams: both kinds of threshold unit and the requantizer."""

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from farm import Farm
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.compiler.folds.folding import Memory
from xnorflow.errors import HardwareError
from xnorflow.hdl.activations.params import ActivationParams, RequantizeParams, ThresholdParams
from xnorflow.hdl.activations.requantizer import Requantizer
from xnorflow.hdl.activations.search import SearchUnit, search_stages
from xnorflow.hdl.activations.threshold import ThresholdUnit
from xnorflow.hdl.activations.unit import ActivationUnit, StreamActivation, activation_unit
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

VECTORS = 30
LEVELS = (1, 2, 3, 6, 7, 15, 20)  # 2: ternary codes; 6 and 20: not 2^n - 1
FOLDS = ((7, 3), (5, 5), (5, 8), (4, 1))  # rows, PE: padding in the last fold, none, in all, one row at a time


def thresholds(rows: int, pe: int, levels: int, interval: int, p_max: int, name: str = "act") -> ThresholdParams:
    """Random thresholds, rows that descend; never and always, repeated thresholds and both ends are among them."""
    rng = np.random.default_rng([rows, pe, levels, interval, p_max])
    values = rng.integers(0, p_max + 2, (rows, levels))
    values[rng.random((rows, levels)) < 0.2] = rng.choice([0, 1, p_max, p_max + 1])
    values[1, : levels // 2] = values[1, 0]
    values[2], values[3] = 0, p_max + 1
    folds = -(-rows // pe)
    return ThresholdParams(name, np.sort(values, axis=1), p_max, pe, folds, interval, rng.random(rows) < 0.5)


def constants(rows: int, pe: int, bits: int, p_max: int, name: str = "act") -> RequantizeParams:
    """Slopes of both signs that spread the codes over the counts; constant rows."""
    rng = np.random.default_rng([rows, pe, bits, p_max])
    shift = 12
    slope = rng.choice([-1, 1], rows) * rng.uniform(0.5, 2, rows) * (1 << bits) / p_max
    multiplier = np.rint(slope * (1 << shift)).astype(np.int64)
    offset = (rng.integers(0, 1 << bits, rows) << shift) - multiplier * rng.integers(0, p_max + 1, rows)
    multiplier[0] = 0
    return RequantizeParams(name, multiplier, offset, shift, bits, p_max, pe, -(-rows // pe))


def case_of(params: ActivationParams, part: StreamActivation, interval: int) -> dict[str, object]:
    rows = len(params.values if isinstance(params, ThresholdParams) else params.multiplier)
    counts = np.random.default_rng(5).integers(0, params.p_max + 1, (VECTORS, rows))
    counts[0], counts[1] = 0, params.p_max
    if isinstance(params, ThresholdParams):  # both sides of a threshold
        counts[2], counts[3] = np.minimum(params.values[:, -1], params.p_max), np.maximum(params.values[:, 0] - 1, 0)
    codes = params.reference(counts)
    return {
        "sources": {"i": [pack_frame(c.tolist(), params.pe, params.count_bits) for c in counts]},
        "sinks": {"o": [b for c in codes for b in pack_frame(c.tolist(), params.pe, params.code_bits)]},
        "frame_beats": params.folds,
        "bound": params.folds * interval,
        "latency": part.latency,
    }


def run(folder: Path, units: dict[str, ActivationUnit], memories: dict[str, str] | None = None) -> None:
    parts = {name: StreamActivation(unit) for name, unit in units.items()}
    cases = folder / "cases.json"
    cases.write_text(json.dumps({name: case_of(u.params, parts[name], u.interval) for name, u in units.items()}))
    run_bench(
        Farm(parts),
        "bench_streams",
        build_dir=folder,
        name="farm",
        parameters={"cases": str(cases)},
        memories={file: text for part in parts.values() for file, text in part.memories.items()} | (memories or {}),
    )


@pytest.mark.parametrize("kind", [SearchUnit, ThresholdUnit])
def test_threshold_units_equal_their_reference(kind: type[SearchUnit | ThresholdUnit], tmp_path: Path) -> None:
    units: dict[str, ActivationUnit] = {}
    for index, (levels, interval) in enumerate(
        [*product(LEVELS, (1,)), *zip(LEVELS, (2, 9, 3, 2, 3, 9, 4), strict=True)]
    ):
        rows, pe = FOLDS[index % len(FOLDS)]
        name = f"t{levels}_{interval}"
        units[name] = kind(thresholds(rows, pe, levels, interval, 100, name))
    units["wide"] = kind(thresholds(5, 2, 255, 2, 4000, "wide"), lut6=True)
    units["narrow"] = kind(thresholds(5, 2, 15, 1, 1, "narrow"))  # thresholds repeat, most of them
    run(tmp_path, units)


def test_requantizer_equals_its_reference(tmp_path: Path) -> None:
    units: dict[str, ActivationUnit] = {}
    for bits, (rows, pe) in product((4, 8), FOLDS):
        name = f"q{bits}_{rows}_{pe}"
        units[name] = Requantizer(constants(rows, pe, bits, 1000, name), lut6=pe == 3)
    run(tmp_path, units)


@pytest.mark.parametrize("kind", ["search", "rounds", "directions", "requantize"])
def test_a_flipped_bit_in_a_memory_is_noticed(kind: str, tmp_path: Path) -> None:
    params = replace(thresholds(7, 3, 7, 1, 100), descending=np.arange(7) % 2 == 0)
    unit: ActivationUnit = SearchUnit(params) if kind == "search" else ThresholdUnit(params)
    if kind == "requantize":
        unit = Requantizer(constants(7, 3, 4, 100))
    wanted = {"search": "thresholds_1_0", "rounds": "thresholds", "directions": "directions", "requantize": "constants"}
    file = f"act_{wanted[kind]}.hex"
    flip = {"directions": 2, "requantize": 1 << 9}.get(kind, 1 << 5)
    lines = unit.memories[file].splitlines()
    lines[1] = f"{int(lines[1], 16) ^ flip:0{len(lines[1])}x}"
    with pytest.raises(HardwareError, match="instead of"):
        run(tmp_path, {"act": unit}, {file: "\n".join(lines) + "\n"})


@given(st.integers(1, 40), st.integers(1, 9), st.integers(0, 999))
def test_walking_the_trees_gives_the_code(levels: int, interval: int, seed: int) -> None:
    """The memories of the search, read as the hardware reads them."""
    params = replace(thresholds(5, 2, levels, interval, 60 + seed % 7), descending=None)
    counts = np.random.default_rng(seed).integers(0, params.p_max + 1, 5)
    stages = search_stages(params)
    assert sum(stage.rounds for stage in stages) == params.code_bits
    assert max(stage.rounds for stage in stages) <= max(1, interval)
    codes = []
    for row, count in enumerate(counts.tolist()):
        fold, lane, code = row // params.pe, row % params.pe, 0
        for index, stage in enumerate(stages):
            images, node = stage.images(params, index), 1
            known = code
            for _ in range(stage.rounds):
                address = ((fold << stage.known) + known << stage.node_bits) + (node if stage.node_bits else 0)
                word = images[0 if stage.shared else lane].word(address)
                if stage.shared:
                    word = word >> lane * params.threshold_bits & (1 << params.threshold_bits) - 1
                node = node << 1 | (count >= word)
            code = known << stage.rounds | node - (1 << stage.rounds)
        codes.append(code)
    assert codes == params.reference(counts[None])[0].tolist()


def test_the_cheaper_unit_is_taken() -> None:
    """Two bits are compared in parallel; a search replaces what would be many comparators, not what would be one."""
    kinds = {
        (3, 1): ThresholdUnit,
        (2, 1): ThresholdUnit,
        (15, 1): SearchUnit,
        (15, 4): SearchUnit,
        (255, 1): SearchUnit,
        (255, 32): SearchUnit,
        (15, 64): ThresholdUnit,
    }
    for (levels, interval), kind in kinds.items():
        unit = activation_unit(thresholds(32, 8, levels, interval, 1000), Memory.AUTO)
        assert type(unit) is kind, (levels, interval)
    assert type(activation_unit(constants(8, 4, 4, 100))) is Requantizer


def test_a_sum_that_is_too_wide_is_refused() -> None:
    params = constants(8, 4, 4, 100)
    with pytest.raises(HardwareError, match=r"act: multiply and add need 69 bits; at most 62 fit"):
        replace(params, multiplier=np.full(8, 1 << 61))
