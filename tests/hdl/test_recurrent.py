"""Recurrent layers: every kind of fold, lanes and slots, sequences of any length, at their bound and under stalls."""

import json
from pathlib import Path

import numpy as np
from farm import Farm
from random_recurrent import random_lstm, random_rnn

from xnorflow.compiler.folding import LayerFold
from xnorflow.compiler.ir import Recurrent
from xnorflow.hdl.recurrent import RecurrentLayer
from xnorflow.hdl.recurrent_params import RecurrentParams, recurrent_params
from xnorflow.hdl.stream import pack_frame
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


def run(folder: Path, layers: dict[str, RecurrentLayer], cases: dict[str, object], **others: object) -> None:
    path = folder / "cases.json"
    path.write_text(json.dumps(cases))
    memories = {file: text for layer in layers.values() for file, text in layer.memories.items()}
    memories |= others
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
    for name, (node, pe, simd, _) in CELLS.items():
        enough = -(
            -layer_of(name, node, pe, simd, 1).steps_cycles // layer_of(name, node, pe, simd, 1).params.engine.cycles
        )
        for slots in sorted({1, 2, enough}):
            key = f"{name}_{slots}"
            layers[key] = layer = layer_of(key, node, pe, simd, slots)
            codes = np.random.default_rng(slots).integers(
                0, node.type.max_code + 1, (12 * slots, node.features), dtype=np.uint8
            )
            cases[key] = case_of(layer.params, codes, np.zeros(len(codes), np.bool_))
            cases[key] |= {"frame_beats": slots * layer.params.output_beats, "bound": layer.steps_cycles}
    run(tmp_path, layers, cases)
