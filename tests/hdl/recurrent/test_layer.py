"""Recurrent layers: every kind of fold, lanes and slots, sequences of any length, at their bound and under stalls."""

import json
from pathlib import Path

import numpy as np
import pytest
from farm import Farm
from random_recurrent import random_lstm, random_rnn

from xnorflow.compiler.folds.folding import LayerFold, Memory
from xnorflow.compiler.ir import Recurrent
from xnorflow.compiler.schedule.recurrent_cycles import loop_latency, steps_cycles
from xnorflow.errors import HardwareError
from xnorflow.hdl.recurrent.layer import RecurrentLayer
from xnorflow.hdl.recurrent.params import RecurrentParams, recurrent_params
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

# node, PE, SIMD, slots
CELLS = {
    "rnn": (random_rnn(5, 7, 2, 2), 3, 4, 1),  # nothing divides
    "rnn_at_once": (random_rnn(8, 8, 1, 1), 8, 16, 1),  # NF = 1: no input bank; a wide beat for x and one for h
    "rnn_slots": (random_rnn(6, 9, 4, 4), 2, 5, 3),
    "lstm": (random_lstm(6, 5, 4, 4), 4, 4, 1),
    "lstm_by_gates": (random_lstm(6, 5, 4, 4, seed=1), 1, 4, 4),
    "lstm_cuts": (random_lstm(6, 11, 4, 3), 16, 2, 2),  # four units a beat, half of one back
    "lstm_gathers": (random_lstm(9, 6, 4, 2), 8, 6, 3),
    "lstm_both": (random_lstm(9, 11, 6, 3), 16, 6, 5),  # four elements a beat out, six back
    "lstm_at_once": (random_lstm(9, 6, 2, 2, (1, 6, 1)), 24, 16, 2),
    "lstm_narrow_cell": (random_lstm(4, 6, 3, 2, (2, 4, 1)), 8, 8, 1),  # c is clipped all the time
}


def case_of(params: RecurrentParams, codes: np.ndarray, last: np.ndarray) -> dict[str, object]:
    simd = params.engine.fold.simd
    states = params.reference(codes, last)
    return {
        "sources": {
            "i": [pack_frame(c.tolist(), simd, params.bits) for c in codes],
            "last": [[int(flag)] for flag in last],
        },
        "sinks": {"o": [beat for h in states for beat in pack_frame(h.tolist(), params.lanes, params.bits)]},
    }


def run(
    folder: Path, layers: dict[str, RecurrentLayer], cases: dict[str, object], others: dict[str, str] | None = None
) -> None:
    path = folder / "cases.json"
    path.write_text(json.dumps(cases))
    memories = {file: text for layer in layers.values() for file, text in layer.memories.items()}
    memories |= others or {}
    parameters = {"cases": str(path)}
    run_bench(Farm(layers), "bench_streams", build_dir=folder, name="farm", parameters=parameters, memories=memories)


def layer_of(name: str, node: Recurrent, pe: int, simd: int, slots: int) -> RecurrentLayer:
    object.__setattr__(node, "name", name)  # frozen; each needs memories of its own
    return RecurrentLayer(recurrent_params(node, LayerFold(pe, simd), slots))


def test_sequences_of_any_length_equal_the_reference(tmp_path: Path) -> None:
    layers, cases = {}, {}
    for name, cell in CELLS.items():
        layers[name] = layer_of(name, *cell)
        rng = np.random.default_rng(len(layers))
        codes = rng.integers(0, cell[0].type.max_code + 1, (60, cell[0].features), dtype=np.uint8)
        cases[name] = case_of(layers[name].params, codes, rng.random(60) < 0.2)
    run(tmp_path, layers, cases)


def test_steps_take_fold_and_loop_latency_which_slots_hide(tmp_path: Path) -> None:
    layers, cases = {}, {}
    for name in ("rnn", "rnn_at_once", "lstm_by_gates", "lstm_cuts", "lstm_both"):
        node, pe, simd, _ = CELLS[name]
        one = layer_of(name, node, pe, simd, 1)
        for slots in (1, -(-one.steps_cycles // one.params.engine.cycles)):
            key = f"{name}_{slots}"
            layers[key] = layer = layer_of(key, node, pe, simd, slots)
            hidden = layer.params.engine.cycles * slots >= one.steps_cycles
            assert layer.steps_cycles == (slots * layer.params.engine.cycles if hidden else one.steps_cycles)
            shape = (12 * slots, node.features)
            codes = np.random.default_rng(slots).integers(0, node.type.max_code + 1, shape, dtype=np.uint8)
            cases[key] = case_of(layer.params, codes, np.zeros(len(codes), np.bool_))
            cases[key] |= {"frame_beats": slots * layer.params.output_beats, "bound": layer.steps_cycles}
    run(tmp_path, layers, cases)


@pytest.mark.parametrize("name", sorted(CELLS))
@pytest.mark.parametrize("stages", [0, 1, 3])
def test_the_plan_knows_the_loop_latency(name: str, stages: int) -> None:
    node, pe, simd, slots = CELLS[name]
    for fold in (LayerFold(pe, simd), LayerFold(1, 1), LayerFold(4, 1, Memory.LUT), LayerFold(4, simd, Memory.BLOCK)):
        layer = RecurrentLayer(recurrent_params(node, fold, slots, popcount_stages=stages))
        assert layer.loop_latency == loop_latency(node, fold, stages)
        assert layer.steps_cycles == steps_cycles(node, fold, slots, stages)


def test_a_fold_takes_whole_units_or_equal_parts_of_one() -> None:
    with pytest.raises(HardwareError, match="PE 6 splits the 4 gates of a unit; 1, 2 or a multiple of 4 fits"):
        recurrent_params(CELLS["lstm"][0], LayerFold(6, 4))


def test_a_wrong_memory_is_noticed(tmp_path: Path) -> None:
    layer = layer_of("lstm", *CELLS["lstm"])
    rng = np.random.default_rng(3)
    case = case_of(layer.params, rng.integers(0, 16, (80, 6), dtype=np.uint8), rng.random(80) < 0.1)
    lines = layer.memories["lstm_thresholds.hex"].splitlines()
    lines[1] = f"{int(lines[1], 16) ^ 0x3FF:0{len(lines[1])}x}"
    with pytest.raises(HardwareError, match="instead of"):
        run(tmp_path, {"lstm": layer}, {"lstm": case}, {"lstm_thresholds.hex": "\n".join(lines) + "\n"})
