"""A convolutional design on the bench: every pixel of every layer's stream, with stalls, and a fault that is found."""

from pathlib import Path

import numpy as np
import pytest
from random_conv_networks import Conv, random_codes, random_conv_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Encoding
from xnorflow.hdl.generate import write_design
from xnorflow.sim.simulate import simulate

NETWORK = random_conv_network(
    (7, 6, 3),
    [Conv(5, (3, 2), padding=(1, 1)), Conv(6, (2, 2), (2, 1), pool_codes=((2, 2), (2, 2)))],
    (4, 3),
    source=(3, Encoding.UNSIGNED),
    hidden=(2, Encoding.BIPOLAR),
)
FOLDING = Folding(
    {"conv0": LayerFold(2, 2), "conv1": LayerFold(4, 3), "dense0": LayerFold(2, 5), "dense1": LayerFold(3, 2)}
)
TAPS = [  # name, vectors, beats
    ("conv_act0", 49, 49 * 3),
    ("conv_act1", 18, 18 * 2),
    ("code_pool1", 3, 3 * 2),
    ("act0", 1, 2),
    ("scores", 1, 1),
]


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("conv") / "design"
    written = write_design(NETWORK, FOLDING, out, board=load_board("pynq-z1"))
    assert [(e.sink, e.kind, e.line_buffer > 0) for e in written.manifest.engines] == [
        ("conv_act0", "conv2d", True),
        ("conv_act1", "conv2d", True),
        ("act0", "dense", False),
        ("scores", "dense", False),
    ]
    assert [(t.name, t.vectors, t.beats) for t in written.manifest.taps] == TAPS
    return out


@pytest.mark.parametrize("stalls", [None, 3])
def test_every_layer_equals_the_golden_model(design: Path, stalls: int | None) -> None:
    result = simulate(design, raw_images=random_codes(NETWORK, 30), stalls=stalls)
    assert (result.images, result.mismatches, result.layers_checked) == (30, 0, len(TAPS))
    assert result.bound_cycles == 49 * 3 * 12
    if stalls is None:
        assert (result.steady, result.cycles_per_image) == (True, result.bound_cycles)


def test_a_wrong_weight_is_found_in_its_layer(design: Path) -> None:
    memory = design / "rtl" / "conv1_weights.hex"
    words = memory.read_text()
    first = words.split("\n", 1)[0]
    memory.write_text(words.replace(first, f"{int(first, 16) ^ 1:0{len(first)}x}", 1))
    try:
        result = simulate(design, raw_images=random_codes(NETWORK, 30))
    finally:
        memory.write_text(words)
    assert result.mismatches > 0 and result.first_mismatch is not None
    assert result.first_mismatch.layer == "conv_act1"


def test_weights_of_two_bits(tmp_path: Path) -> None:
    """W2A2, both kinds of codes, a map of codes pooled and taken as one vector."""
    network = random_conv_network(
        (6, 5, 3),
        [Conv(5, (3, 3), padding=(1, 1), pool_codes=((2, 2), (2, 2))), Conv(4, (2, 1))],
        (5, 3),
        source=(2, Encoding.BIPOLAR),
        hidden=(2, Encoding.UNSIGNED),
        weights=(2, Encoding.BIPOLAR),
        seed=7,
    )
    folds = {"conv0": LayerFold(3, 2), "conv1": LayerFold(2, 4), "dense0": LayerFold(2, 3), "dense1": LayerFold(3, 2)}
    design = write_design(network, Folding(folds, 2), tmp_path / "design", board=load_board("pynq-z1")).path
    codes = random_codes(network, 30)
    trace = golden.run(network, codes)
    assert all(len(np.unique(trace[name])) == 4 for name in ("conv_act0", "conv_act1", "act0"))
    result = simulate(design, raw_images=codes, stalls=3)
    assert (result.images, result.mismatches, result.layers_checked) == (30, 0, 5)
