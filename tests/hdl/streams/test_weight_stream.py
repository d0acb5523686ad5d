"""Weights from outside: engines and whole accelerators that wait for them, bit for bit, with stalls on all sides."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from dot.test_engine import COUNTS, FRAMES, case_of, params_of
from farm import Farm
from random_conv_networks import random_codes
from random_networks import random_network
from test_graph_accelerator import case_of as accelerator_case
from test_graph_accelerator import mixed
from uniform_thresholds import with_uniform_thresholds

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold, WeightStore
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.errors import HardwareError
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.dot.engine import Engine
from xnorflow.hdl.dot.params import EngineParams
from xnorflow.hdl.generate import write_design
from xnorflow.hdl.streams.weight_stream import weight_beats
from xnorflow.sim.component import run_bench
from xnorflow.sim.simulate import simulate

STREAM = WeightStore.STREAM

# rows, columns, PE, SIMD, activation bits, thresholds, popcount stages, weight bits, planes in time
CASES = [
    (10, 37, 4, 8, 1, 1, 1, 1, 1),
    (10, 33, 10, 8, 1, 1, 1, 1, 1),  # NF = 1: no buffer
    (10, 20, 10, 20, 1, 1, 1, 1, 1),  # a word of weights for a vector
    (10, 30, 4, 8, 4, 15, 2, 2, 2),  # every word twice, for two groups of planes
    (5, 12, 2, 4, 3, COUNTS, 0, 1, 3),
]


def params(number: int) -> EngineParams:
    *case, turns = CASES[number]
    made = params_of(*case, name=f"c{number}")
    return replace(made, fold=replace(made.fold, weights=STREAM, planes_in_time=turns))


def test_engines_equal_their_reference(tmp_path: Path) -> None:
    engines = {f"c{number}": Engine(params(number)) for number in range(len(CASES))}
    cases = {}
    for name, engine in engines.items():
        image = weight_beats(engine.params)
        width = engine.params.weight_image.width
        vector = [image.word(beat) & (1 << width) - 1 for beat in range(image.depth)]
        assert image.depth == engine.params.cycles
        case = case_of(engine.params)
        cases[name] = case | {"sources": case["sources"] | {"w": [vector] * FRAMES}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps(cases))
    memories = {file: text for engine in engines.values() for file, text in engine.memories.items()}
    assert not any("weights" in file for file in memories)
    run_bench(
        Farm(engines),
        "bench_streams",
        build_dir=tmp_path,
        name="farm",
        parameters={"cases": str(path)},
        memories=memories,
    )


def networks() -> dict[str, tuple[IntegerNetwork, Folding]]:
    """A perceptron with its first and its last layer's weights streamed; convolutions, whose vectors are many."""
    perceptron = with_uniform_thresholds(
        random_network([20, 16, 12, 5], (3, Encoding.UNSIGNED), (4, Encoding.UNSIGNED))
    )
    folds = {
        "dense0": LayerFold(4, 5, weights=STREAM),
        "dense1": LayerFold(3, 4),
        "dense2": LayerFold(2, 9, weights=STREAM),
    }
    graph, folding = mixed()
    chosen = {
        name: replace(fold, weights=STREAM) if k < 2 else fold for k, (name, fold) in enumerate(folding.layers.items())
    }
    return {"perceptron": (perceptron, Folding(folds)), "graph": (graph, replace(folding, layers=chosen))}


def bench(folder: Path, network: IntegerNetwork, folding: Folding, flip: int = 0) -> None:
    """With `flip` bits of a word of weights are wrong."""
    accelerator = Accelerator(network, folding)
    case = accelerator_case(network, folding)
    frames = len(case["sources"]["s_axis"])
    for layer, image in accelerator.weight_streams.items():
        stage = next(stage for stage in network.stages() if stage.dot.name == layer)
        beats = [image.word(beat) ^ (flip if beat == 1 else 0) for beat in range(image.depth)]
        case["sources"][f"s_axis_{layer}"] = [beats * stage.vectors] * frames
    (folder / "cases.json").write_text(json.dumps({"part": case}))
    run_bench(
        Farm({"part": accelerator}),
        "bench_streams",
        build_dir=folder,
        name="farm",
        parameters={"cases": str(folder / "cases.json")},
        memories=accelerator.memories,
    )


@pytest.mark.parametrize("name", ["perceptron", "graph"])
def test_accelerators_equal_the_golden_model(name: str, tmp_path: Path) -> None:
    """At the bound where weights come in every cycle, and under stalls of all sources."""
    bench(tmp_path, *networks()[name])


def test_a_wrong_bit_of_a_weight_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="instead of"):
        bench(tmp_path, *networks()["perceptron"], flip=1 << 3)


def test_designs_say_what_to_send_and_simulate(tmp_path: Path) -> None:
    network, folding = networks()["graph"]
    design = write_design(network, folding, tmp_path / "design", board=load_board("pynq-z1"))
    streams = Accelerator(network, folding).weight_streams
    assert len(streams) == 2
    for layer, image in streams.items():
        assert (design.rtl / f"{layer}_weight_stream.hex").read_text() == image.hex()
        assert f"s_axis_{layer}_tdata" in {port.name for port in design.manifest.ports}
        assert not (design.rtl / f"{layer}_weights.hex").exists()
    for stalls in (None, 3):
        result = simulate(tmp_path / "design", raw_images=random_codes(network, 20), stalls=stalls)
        assert (result.images, result.mismatches) == (20, 0)
        assert stalls is not None or result.cycles_per_image == result.bound_cycles
