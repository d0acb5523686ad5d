"""The cycle model of whole accelerators: the cycle of every frame, and what every buffer held, are simulation's."""

import importlib
import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_conv_networks import Conv, random_conv_network
from random_graphs import GraphBuilder
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.cli import main
from xnorflow.compiler.folds.folding import Folding, LayerFold, load_folding
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.errors import HardwareError, UsageError
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.dot.engine import Engine
from xnorflow.hdl.generate import write_design
from xnorflow.hdl.manifest import load_manifest, manifest_text
from xnorflow.hdl.timing.model import accelerator_circuit
from xnorflow.sim.cycle_check import check_cycles
from xnorflow.sim.simulate import SimulationResult, simulate
from xnorflow.sim.stalls import Stalls

NETWORKS = Path(__file__).parents[2] / "networks"
FRAMES = 30


def written(network: IntegerNetwork, folding: Folding, out: Path) -> Path:
    return write_design(network, folding, out, board=load_board("pynq-z1")).path


def codes(network: IntegerNetwork, count: int) -> NDArray[np.uint8]:
    source = network.input.type
    return np.random.default_rng(3).integers(0, source.max_code + 1, (count, *source.shape), dtype=np.uint8)


def unrolled(network: IntegerNetwork) -> Folding:
    """A multiplier for every weight: a frame a cycle."""
    shapes = {stage.dot.name: stage.dot.weights.codes.shape for stage in network.stages()}
    return Folding({name: LayerFold(*shape) for name, shape in shapes.items()}, len(network.class_names))


def folded(network: IntegerNetwork) -> Folding:
    """About a third of the rows and half of the columns (of a convolution: channels) in a cycle."""
    layers = {}
    for stage in network.stages():
        rows, columns = stage.dot.weights.codes.shape
        layers[stage.dot.name] = LayerFold(-(-rows // 3), -(-columns // stage.segments // 2))
    return Folding(layers)


def residual() -> IntegerNetwork:
    """Two blocks, the second one with a 1x1 convolution in its shortcut, and a concatenation."""
    stream = (4, Encoding.SIGNED)
    graph = GraphBuilder((8, 6, 3), (2, Encoding.UNSIGNED), seed=5)
    value = graph.threshold(graph.conv("image", 4, 3, padding=1), stream)
    sign = graph.threshold(value)
    inner = graph.threshold(graph.conv(sign, 4, 3, padding=1))
    branch = graph.threshold(graph.conv(inner, 4, 3, padding=1), stream)
    sign = graph.threshold(graph.add(value, branch))
    branch = graph.threshold(graph.conv(sign, 6, 3, stride=2, padding=1), stream)
    shortcut = graph.threshold(graph.conv(sign, 6, 1, stride=2), stream)
    value = graph.threshold(graph.add(branch, shortcut))
    value = graph.concat(value, graph.max_pool(sign))
    return graph.finish(graph.dense(value, 3))


def check(design: Path, raw: NDArray[np.uint8], traces: int) -> None:
    checks = list(check_cycles(design, raw_images=raw, traces=traces))
    assert [c.stalls for c in checks] == [None, *range(1, traces + 1)]
    for c in checks:
        assert c.predicted.tolist() == c.simulated.tolist(), c.stalls
        assert c.differing == []
        assert c.predicted_most == c.simulated_most and c.differing_buffers == []
    assert len({c.simulated[-1] for c in checks}) > 1  # stalls cost time


def test_a_chain(pristine: Path, samples: NDArray[np.uint8]) -> None:
    check(pristine, samples, 5)


def test_a_graph(tmp_path: Path) -> None:
    """Forks, joins, FIFOs, line buffers, pools."""
    network = residual()
    design = written(network, folded(network), tmp_path / "design")
    check(design, codes(network, FRAMES), 5)
    result = simulate(design, raw_images=codes(network, FRAMES))
    held = {buffer.name: buffer for buffer in result.buffers}
    assert (result.mismatches, result.steady) == (0, True)
    assert any("fifo" in name for name in held) and any("window" in name for name in held)
    assert all(0 < buffer.most <= buffer.depth for buffer in held.values())
    stored = json.loads((design / "sim" / "result.json").read_text())
    assert {entry["name"]: entry["most"] for entry in stored["buffers"]} == {n: b.most for n, b in held.items()}


def check_one_cycle(result: SimulationResult, frames: int) -> None:
    assert (result.images, result.mismatches, result.bound_cycles, result.steady) == (frames, 0, 1, True)
    assert set(np.diff(np.load(result.completions))) == {1}


def test_a_frame_a_cycle(tmp_path: Path) -> None:
    network = random_network([18, 11, 9, 5], seed=12)
    design = written(network, unrolled(network), tmp_path / "design")
    raw = codes(network, 200)
    check_one_cycle(simulate(design, raw_images=raw), 200)
    for seed in (1, 2, 3):
        result = simulate(design, raw_images=raw, stalls=seed)
        assert result.mismatches == 0 and set(np.diff(np.load(result.completions))) != {1}
    check(design, raw, 5)


@pytest.mark.slow
def test_the_digits_network_at_an_image_a_cycle(tmp_path: Path) -> None:
    network = load_network(NETWORKS / "digits.safetensors")
    folding = load_folding(NETWORKS / "digits-1cycle.folding.yaml", network)
    assert {**unrolled(network).layers} == {**folding.layers}
    design = written(network, folding, tmp_path / "design")
    raw = codes(network, 1000)
    check_one_cycle(simulate(design, raw_images=raw), 1000)
    check(design, raw, 5)


@pytest.mark.slow
def test_the_published_lfc(tmp_path: Path) -> None:
    network = load_network(NETWORKS / "mnist-lfc.safetensors")
    folding = load_folding(NETWORKS / "lfc-published.folding.yaml", network)
    design = written(network, Folding(folding.layers, folding.score_lanes), tmp_path / "design")
    check(design, codes(network, 20), 20)


def test_a_wrong_model_is_told_frame_by_frame(
    design: Path, samples: NDArray[np.uint8], capsys: pytest.CaptureFixture[str]
) -> None:
    """A manifest that speaks of one more register in the popcounts."""
    manifest = design / "manifest.json"
    manifest.write_text(manifest_text(replace(load_manifest(manifest), popcount_stages=2)))
    (found,) = check_cycles(design, raw_images=samples, traces=0)
    assert found.differing == list(range(len(samples)))
    assert set(found.predicted - found.simulated) == {3}  # three engines
    assert main(["bench", "cycles", str(design), "--traces", "0", "--images", "4"]) == HardwareError.exit_code
    assert "no stalls: 4 frames" in (said := capsys.readouterr().out) and "4 differ (frame 0: " in said


def test_a_changed_folding_is_refused(design: Path, samples: NDArray[np.uint8]) -> None:
    (design / "folding.yaml").write_text((design / "folding.yaml").read_text().replace("pe: 6", "pe: 12"))
    with pytest.raises(UsageError, match=r"folding\.yaml changed"):
        list(check_cycles(design, raw_images=samples, traces=1))


def test_a_design_with_other_buffers_is_refused(tmp_path: Path) -> None:
    network = random_conv_network((4, 4, 2), [Conv(3, (2, 2))])
    design = written(network, folded(network), tmp_path / "design")
    manifest = load_manifest(design / "manifest.json")
    first, *others = manifest.buffers
    deeper = replace(manifest, buffers=(replace(first, depth=first.depth + 1), *others))
    (design / "manifest.json").write_text(manifest_text(deeper))
    with pytest.raises(UsageError, match="other buffers than this program would give it"):
        list(check_cycles(design, raw_images=codes(network, 1), traces=0))


def test_without_numba_the_model_says_the_same(network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {"dense0": LayerFold(6, 11), "dense1": LayerFold(4, 6), "dense2": LayerFold(7, 4)}
    circuit = accelerator_circuit(Accelerator(network, Folding(layers, score_lanes=2)), 12)

    def run() -> list[list[int]]:
        trace = circuit.run([Stalls(11, 64), Stalls(12, 64)], patience=1000)
        return [cycles.tolist() for cycles in (*trace.taken, *trace.delivered)]

    compiled = run()
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "numba" else find_spec(name))
    monkeypatch.delitem(sys.modules, "xnorflow.hdl.timing.kernel")
    assert not importlib.import_module("xnorflow.hdl.timing.kernel").COMPILED
    assert run() == compiled


def test_parts_without_cells_are_named(network: IntegerNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Engine, "timing")
    with pytest.raises(HardwareError, match="the cycle model does not cover dense0, dense1, dense2"):
        accelerator_circuit(Accelerator(network, folded(network)), 1)
