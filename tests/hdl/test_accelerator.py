"""Whole accelerators of small networks equal the golden model, at the bound of the cycle model and under stalls."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from amaranth.back import verilog
from farm import Farm
from random_networks import random_network

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, Popcount
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.errors import UsageError
from xnorflow.hdl.accelerator import Accelerator, Results
from xnorflow.hdl.streams.axi import OutputAdapter
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

FRAMES = 24
WARM_UP = 4  # frames that fill the pipeline

PIXELS = (8, Encoding.UNSIGNED)


def folding(lanes: int, *folds: tuple[int, int]) -> Folding:
    layers = {f"dense{n}": LayerFold(pe, simd) for n, (pe, simd) in enumerate(folds)}
    return Folding(layers, lanes)


DESIGNS: dict[str, tuple[IntegerNetwork, Folding, Results]] = {
    "divides": (random_network([32, 16, 12, 10], seed=1), folding(1, (4, 8), (3, 8), (5, 4)), Results.SCORES),
    "ragged": (
        random_network([20, 11, 9, 10], PIXELS, (4, Encoding.UNSIGNED), seed=2),
        folding(3, (4, 6), (2, 3), (4, 5)),
        Results.SCORES,
    ),
    "unfolded": (random_network([6, 5], PIXELS, seed=3), folding(5, (5, 6)), Results.SCORES),
    "class_only": (
        random_network([30, 20, 7], (2, Encoding.BIPOLAR), (2, Encoding.BIPOLAR), seed=4),
        folding(7, (3, 7), (12, 6)),
        Results.CLASS,
    ),
    "mixed": (  # every layer with weights of another width
        random_network(
            [20, 13, 9, 6], (3, Encoding.UNSIGNED), (2, Encoding.BIPOLAR),
            [(3, Encoding.BIPOLAR), (2, Encoding.BIPOLAR), (4, Encoding.BIPOLAR)], seed=9,
        ),
        folding(2, (4, 6), (5, 3), (2, 4)),
        Results.SCORES,
    ),
    "encodings": (  # ternary, signed and logarithmic weights, descending neurons everywhere; planes in time
        random_network(
            [21, 13, 9, 7, 5], PIXELS, (2, Encoding.SIGNED),
            [(2, Encoding.TERNARY), (3, Encoding.SIGNED), (3, Encoding.LOG), (2, Encoding.UNSIGNED)], seed=10,
        ),
        Folding({
            "dense0": LayerFold(4, 6, planes_in_time=4), "dense1": LayerFold(3, 13, planes_in_time=2),
            "dense2": LayerFold(7, 2), "dense3": LayerFold(2, 7),
        }),
        Results.SCORES,
    ),
    "binaryconnect": (  # 1-bit weights between 8-bit activations
        random_network([9, 6, 5, 4], PIXELS, (8, Encoding.UNSIGNED), seed=12),
        Folding({"dense0": LayerFold(2, 3), "dense1": LayerFold(5, 6, planes_in_time=8), "dense2": LayerFold(1, 5)}),
        Results.SCORES,
    ),
    "powers": (  # powers of two in every place
        random_network(
            [18, 12, 10, 4], (3, Encoding.LOG), (3, Encoding.LOG_UNSIGNED),
            [(2, Encoding.LOG), (1, Encoding.BIPOLAR), (3, Encoding.LOG)], seed=11,
        ),
        Folding({"dense0": LayerFold(3, 6), "dense1": LayerFold(10, 4, planes_in_time=7), "dense2": LayerFold(2, 5)}),
        Results.SCORES,
    ),
    "output_bound": (random_network([9, 9, 9], seed=5), folding(1, (9, 9), (9, 9)), Results.SCORES),
}  # fmt: skip


def case_of(network: IntegerNetwork, folds: Folding, results: Results) -> dict[str, object]:
    rng = np.random.default_rng(6)
    source = network.input.type
    codes = rng.integers(0, source.max_code + 1, (FRAMES, *source.shape), dtype=np.uint8)
    codes[:2] = np.array([[0], [source.max_code]])
    trace = golden.run(network, codes)
    score_bits = Accelerator(network, folds).score_params.score_bits
    output = OutputAdapter(len(network.class_names), score_bits if results is Results.SCORES else None)
    lanes = folds.layers["dense0"].simd
    answers = zip(trace.classes.tolist(), trace.scores.tolist(), strict=True)
    return {
        "sources": {"s_axis": [pack_frame(frame.tolist(), lanes, source.bits) for frame in codes]},
        "sinks": {"m_axis": [output.reference(winner, scores) for winner, scores in answers]},
        "frame_beats": 1,
        "bound": initiation_interval(network, folds),
        "warm_up": WARM_UP,
    }


def prefixed(prefix: str, network: IntegerNetwork, folds: Folding, results: Results) -> Accelerator:
    """The accelerator with `prefix_` before every name: the memory files of a farm lie in one folder."""
    nodes = tuple(
        replace(node, name=f"{prefix}_{node.name}", inputs=tuple(f"{prefix}_{name}" for name in node.inputs))
        for node in network.nodes
    )
    layers = {f"{prefix}_{name}": fold for name, fold in folds.layers.items()}
    return Accelerator(IntegerNetwork(nodes, network.class_names), Folding(layers, folds.score_lanes), results=results)


@pytest.mark.parametrize(
    ("bench", "names"),
    [
        ("bench_streams", ("divides", "unfolded", "output_bound")),
        ("bench_streams", ("ragged", "class_only", "mixed")),
        ("bench_streams", ("encodings", "powers", "binaryconnect")),
        ("bench_reset", ("divides", "class_only")),
    ],
    ids=["even", "uneven", "encodings", "reset"],
)
def test_equals_the_golden_model(bench: str, names: tuple[str, ...], tmp_path: Path) -> None:
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({name: case_of(*DESIGNS[name]) for name in names}))
    parts = {name: prefixed(name, *DESIGNS[name]) for name in names}
    memories = {file: text for part in parts.values() for file, text in part.memories.items()}
    parameters = {"cases": str(cases)}
    run_bench(Farm(parts), bench, build_dir=tmp_path, name="farm", parameters=parameters, memories=memories)


def test_frames_of_the_wrong_length(tmp_path: Path) -> None:
    """One that is too short is filled up with code 0, one that is too long is cut; the next one is whole again."""
    network, folds, _ = DESIGNS["divides"]
    accelerator = Accelerator(network, folds)
    codes = np.random.default_rng(8).integers(0, 2, (4, 32), dtype=np.uint8)
    frames = [pack_frame(frame.tolist(), 8, 1) for frame in codes]
    codes[1, 16:] = 0
    frames[1] = frames[1][:2]
    frames[2] = [*frames[2], 0x5A, 0xFF]
    trace = golden.run(network, codes)
    output = OutputAdapter(10, accelerator.score_params.score_bits)
    answers = zip(trace.classes.tolist(), trace.scores.tolist(), strict=True)
    parameters = {"frames": frames, "results": [output.reference(winner, scores) for winner, scores in answers]}
    memories = accelerator.memories
    run_bench(accelerator, "bench_lengths", build_dir=tmp_path, name="top", parameters=parameters, memories=memories)


def test_verilog_names_parts_and_taps() -> None:
    network, folds, _ = DESIGNS["ragged"]
    text = verilog.convert(Accelerator(network, folds), name="accelerator", emit_src=False, strip_internal_attrs=True)
    top = text[text.index("module accelerator(") :].partition("endmodule")[0]
    for part in ("input_adapter", "dense0", "dense0_to_dense1", "dense1", "dense1_to_dense2", "dense2", "scores",
                 "dense2_to_scores", "output_adapter"):  # fmt: skip
        assert f" {part} (" in top
    assert "wire [15:0] act0_payload;" in top  # 4 codes of 4 bits
    assert all(f"wire {tap}_{port};" in top for tap in ("act0", "act1", "scores") for port in ("valid", "ready"))
    assert "U$" not in text  # no nameless submodule


def test_popcount_and_memory_kinds_reach_the_engines() -> None:
    network = DESIGNS["divides"][0]
    layers = {"dense0": LayerFold(4, 8, Memory.LUT), "dense1": LayerFold(3, 8), "dense2": LayerFold(5, 4)}
    text = verilog.convert(Accelerator(network, Folding(layers, popcount=Popcount.LUT6)), emit_src=False)
    assert "LUT6_2" in text and '.STYLE("lut")' in text


def test_a_folding_for_another_network_is_refused() -> None:
    with pytest.raises(UsageError, match="no folding for layer 'dense2'"):
        Accelerator(DESIGNS["divides"][0], folding(1, (4, 8), (3, 8)))
