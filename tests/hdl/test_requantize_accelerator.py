"""Whole networks with wide activations, requantized: inside engines and behind sums, bit for bit, under stalls."""

from dataclasses import replace
from pathlib import Path

import pytest
from accelerator_farm import run_farm
from random_graphs import GraphBuilder, residual_network
from random_networks import random_network
from test_graph_accelerator import balanced_folding, case_of
from uniform_thresholds import with_uniform_thresholds

from xnorflow.compiler.folds.folding import Folding
from xnorflow.compiler.ir import Encoding, IntegerNetwork, Requantize
from xnorflow.compiler.requantize import requantized
from xnorflow.compiler.schedule.parts import ActivationPart, EnginePart
from xnorflow.compiler.schedule.plan import plan_parts
from xnorflow.errors import HardwareError
from xnorflow.hdl.activations.requantizer import Requantizer


def perceptron(bits: int, encoding: Encoding, weights: int) -> IntegerNetwork:
    kinds = (3, Encoding.UNSIGNED), (bits, encoding), (weights, Encoding.BIPOLAR)
    return with_uniform_thresholds(random_network([40, 12, 9, 5], *kinds))


def pooled() -> IntegerNetwork:
    """Accumulators pooled in front of the activation: of a negative multiplier the least code is wanted."""
    graph = GraphBuilder((6, 7, 2), (3, Encoding.UNSIGNED), 5)
    codes = graph.threshold(graph.max_pool(graph.conv("image", 5, padding=1)), (4, Encoding.UNSIGNED))
    return with_uniform_thresholds(graph.finish(graph.dense(codes, 3)))


NETWORKS = {
    "pooled": pooled(),
    "bits4": perceptron(4, Encoding.UNSIGNED, 1),
    "bits8": perceptron(8, Encoding.BIPOLAR, 2),
    "residual": with_uniform_thresholds(residual_network(stream=(4, Encoding.SIGNED))),
}


def designs() -> dict[str, tuple[IntegerNetwork, Folding]]:
    smaller = {name: requantized(network) for name, network in NETWORKS.items()}
    return {name: (network, balanced_folding(network, 2)) for name, network in smaller.items()}


def test_requantizations_are_placed_in_engines_and_on_their_own() -> None:
    for name, (network, folding) in designs().items():
        parts = plan_parts(network, folding).parts
        inside = [part for part in parts if isinstance(part, EnginePart) and part.requantize is not None]
        alone = [part for part in parts if isinstance(part, ActivationPart) and isinstance(part.node, Requantize)]
        assert inside and bool(alone) == (name == "residual")
        assert len(inside) + len(alone) == sum(isinstance(node, Requantize) for node in network.nodes)
        assert not any(isinstance(node, Requantize) for node in NETWORKS[name].nodes)


def bench(folder: Path, chosen: dict[str, tuple[IntegerNetwork, Folding]]) -> None:
    cases = {name: case_of(*design) for name, design in chosen.items()}
    contents = run_farm(chosen, cases, folder)
    assert any(file.endswith("_constants.hex") for file in contents)


def test_equals_the_golden_model(tmp_path: Path) -> None:
    bench(tmp_path, designs())


def test_a_shift_off_by_one_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    init = Requantizer.__init__
    monkeypatch.setattr(
        Requantizer,
        "__init__",
        lambda self, params, *a, **k: init(self, replace(params, shift=params.shift + 1), *a, **k),
    )
    with pytest.raises(HardwareError, match="instead of"):
        bench(tmp_path, {"bits4": designs()["bits4"]})
