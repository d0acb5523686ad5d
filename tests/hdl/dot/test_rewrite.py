"""Weights and thresholds written at run time: an accelerator made for one network becomes another, bit for bit."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from random_conv_networks import random_codes
from random_graphs import GraphBuilder
from random_networks import random_network
from test_graph_accelerator import balanced_folding
from uniform_thresholds import with_uniform_thresholds

from xnorflow.boards.loader import load_board
from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold, Memory, WeightStore, load_folding
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.requantize import requantized
from xnorflow.errors import HardwareError, UsageError
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.dot.rewrite import rewrites
from xnorflow.hdl.generate import write_design
from xnorflow.hdl.streams.axi import OutputAdapter
from xnorflow.hdl.streams.axi_lite import Region, address_map
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench
from xnorflow.sim.simulate import simulate

FRAMES = 12
AXI = WeightStore.AXI


def perceptron(seed: int) -> IntegerNetwork:
    """15 thresholds a neuron, then one; weights of two planes."""
    codes = (3, Encoding.UNSIGNED), (4, Encoding.BIPOLAR)
    return random_network([20, 12, 9, 5], *codes, weights=(2, Encoding.BIPOLAR), seed=seed)


def residual(seed: int) -> IntegerNetwork:
    """Ternary weights, whose rows that descend have a bit that says so; a sum with thresholds of its own."""
    graph = GraphBuilder((4, 5, 2), (2, Encoding.UNSIGNED), seed)
    kinds = (3, Encoding.UNSIGNED), (2, Encoding.TERNARY)
    value = graph.threshold(graph.conv("image", 3, 1, weights=kinds[1]), kinds[0])
    branch = graph.threshold(graph.conv(graph.threshold(value), 3, 1), kinds[0])
    total = graph.threshold(graph.add(value, branch), (2, Encoding.UNSIGNED))
    return graph.finish(graph.dense(total, 3))


def rewritable(network: IntegerNetwork, seed: int = 3) -> Folding:
    folding = balanced_folding(network, seed)
    memories = (Memory.AUTO, Memory.LUT, Memory.BLOCK)
    layers = {
        name: replace(fold, weights=AXI, memory=memories[k % 3])
        for k, (name, fold) in enumerate(folding.layers.items())
    }
    return replace(folding, layers=layers)


def case_of(accelerator: Accelerator, network: IntegerNetwork) -> dict[str, object]:
    codes = random_codes(network, FRAMES, seed=6)
    trace = golden.run(network, codes)
    part, output = accelerator.input_part, OutputAdapter(len(network.class_names), accelerator.score_params.score_bits)
    answers = zip(trace.classes.tolist(), trace.scores.tolist(), strict=True)
    return {
        "frames": [pack_frame(frame.ravel().tolist(), part.lanes, part.bits) for frame in codes],
        "results": [output.reference(winner, scores) for winner, scores in answers],
    }


def unmapped(regions: tuple[Region, ...]) -> list[int]:
    """A register, the padding of words and of memories, and what lies between regions."""
    found = [0, 4, 12]
    for region in regions:
        found += [region.address(0, part) for part in range(region.parts, region.stride)]
        if region.address(region.depth, 0) < region.base + region.size:
            found.append(region.address(region.depth, 0))
    return found


def bench(folder: Path, make: "type[object] | object", skip: int | None = None) -> None:
    before, after = make(1), make(2)
    folding = rewritable(before)
    accelerator, other = Accelerator(before, folding), Accelerator(after, folding)
    case = {
        "before": case_of(accelerator, before),
        "after": case_of(accelerator, after),
        "writes": rewrites(accelerator, other),
        "back": rewrites(other, accelerator),
        "unmapped": unmapped(accelerator.regions),
        "skip": skip,
    }
    assert case["before"]["results"] != case["after"]["results"] and len(case["writes"]) > 50
    (folder / "case.json").write_text(json.dumps(case))
    parameters, memories = {"case": str(folder / "case.json")}, accelerator.memories
    run_bench(
        accelerator, "bench_rewrite", build_dir=folder, name="accelerator", parameters=parameters, memories=memories
    )


@pytest.mark.parametrize("make", [perceptron, residual])
def test_an_accelerator_becomes_another_networks(make: object, tmp_path: Path) -> None:
    bench(tmp_path, make)


def test_a_write_that_is_left_out_is_noticed(tmp_path: Path) -> None:
    with pytest.raises(HardwareError, match="instead of"):
        bench(tmp_path, perceptron, skip=0)


def test_regions_are_aligned_and_apart() -> None:
    regions = address_map((("a", 5, 33), ("b", 1, 8), ("c", 300, 100), ("d", 2, 32)))
    assert [(r.base, r.size, r.parts, r.stride) for r in regions] == [
        (64, 64, 2, 2),
        (128, 4, 1, 1),
        (8192, 8192, 4, 4),
        (16384, 8, 1, 1),
    ]
    assert regions[2].address(299, 3) == 8192 + 4 * (299 * 4 + 3)


def test_some_layers_alone() -> None:
    before, after = perceptron(1), perceptron(2)
    folding = rewritable(before)
    one, two = Accelerator(before, folding), Accelerator(after, folding)
    some = rewrites(one, two, ["dense1"])
    assert some and set(some) < set(rewrites(one, two))
    assert rewrites(one, one) == []


def test_what_cannot_be_written_is_refused() -> None:
    before, after = perceptron(1), perceptron(2)
    folding = rewritable(before)
    fixed = replace(folding, layers=folding.layers | {"dense1": replace(folding.layers["dense1"], weights="rom")})
    with pytest.raises(UsageError, match=r"dense1_weights differs and cannot be written at run time"):
        rewrites(Accelerator(before, fixed), Accelerator(after, fixed))
    with pytest.raises(UsageError, match="not of one structure"):
        rewrites(Accelerator(before, folding), Accelerator(residual(1), rewritable(residual(1))))
    other = random_network([20, 12, 9, 5], (3, Encoding.BIPOLAR), (4, Encoding.BIPOLAR), (2, Encoding.BIPOLAR), seed=2)
    with pytest.raises(UsageError, match="image differs|dense0 differs in more than the numbers in its memories"):
        rewrites(Accelerator(before, folding), Accelerator(other, folding))
    requantizations = [requantized(with_uniform_thresholds(perceptron(seed), seed)) for seed in (1, 2)]
    with pytest.raises(UsageError, match=r"dense0_constants: words of \d+ bits .* do not fit those of"):
        rewrites(*(Accelerator(network, folding) for network in requantizations))


def test_without_rewritable_layers_there_is_no_port() -> None:
    network = perceptron(1)
    accelerator = Accelerator(network, Folding({f"dense{k}": LayerFold(1, 1) for k in range(3)}))
    assert accelerator.regions == () and not hasattr(accelerator, "s_axil_awaddr")


def test_words_are_those_of_the_image() -> None:
    """Each word of a memory is put together again from the writes that fill it."""
    before, after = perceptron(1), perceptron(2)
    folding = rewritable(before)
    one, two = Accelerator(before, folding), Accelerator(after, folding)
    written = dict(rewrites(one, two))
    for region in one.regions:
        for word in range(region.depth):
            old, value = one.images[region.name].word(word), 0
            for part in range(region.parts):
                kept = old >> 32 * part & 0xFFFFFFFF
                value |= written.get(region.address(word, part), kept) << 32 * part
            assert value == two.images[region.name].word(word)
    assert np.all([address % 4 == 0 for address in written])


def test_a_design_with_the_port_names_its_memories_and_simulates(tmp_path: Path) -> None:
    network = perceptron(1)
    folding = rewritable(network)
    design = write_design(network, folding, tmp_path / "design", board=load_board("pynq-z1"))
    assert load_folding(tmp_path / "design" / "folding.yaml", network) == folding
    accelerator = Accelerator(network, folding)
    entries = [(entry.name, entry.base, entry.depth, entry.width) for entry in design.manifest.regions]
    assert entries == [(r.name, r.base, r.depth, r.width) for r in accelerator.regions] and entries
    result = simulate(tmp_path / "design", raw_images=random_codes(network, 20), stalls=3)
    assert (result.images, result.mismatches) == (20, 0)
