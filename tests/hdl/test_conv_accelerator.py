"""Whole convolutional accelerators equal the golden model, at the bound of the cycle model and under stalls."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from accelerator_farm import accelerator_case, run_farm
from amaranth.back import verilog
from random_conv_networks import Conv, random_codes, random_conv_network

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import (
    Concat,
    Dense,
    Encoding,
    IntegerNetwork,
    Requantize,
    Scores,
    Threshold,
    Weights,
)
from xnorflow.compiler.ranges import acc_type
from xnorflow.compiler.verify import verify
from xnorflow.errors import HardwareError
from xnorflow.hdl.accelerator import Accelerator

FRAMES = 18
WARM_UP = 7  # frames that fill the pipeline and let the line buffers find their level


def folding(lanes: int, **folds: tuple[int, int]) -> Folding:
    return Folding({name: LayerFold(pe, simd) for name, (pe, simd) in folds.items()}, lanes)


HALVES = ((2, 2), (2, 2))
DESIGNS: dict[str, tuple[IntegerNetwork, Folding]] = {
    # CNV in small: pools send in bursts, and the engines in front are as busy as those behind
    "cnv": (
        random_conv_network(
            (8, 8, 3), [Conv(4, (3, 3)), Conv(4, (3, 3), pool_codes=HALVES), Conv(6, (2, 2))], (5, 3),
            source=(8, Encoding.UNSIGNED), seed=1,
        ),
        folding(1, conv0=(2, 3), conv1=(2, 4), conv2=(1, 4), dense0=(1, 1), dense1=(1, 1)),
    ),
    # nothing divides: channels, rows, the dense layer behind a map of 2 x 2 x 5
    "ragged": (
        random_conv_network(
            (6, 5, 5), [Conv(7, (2, 3), (2, 1), (1, 1)), Conv(5, (2, 2), (2, 1), (1, 0), (2, 1))], (4,),
            source=(2, Encoding.BIPOLAR), hidden=(2, Encoding.UNSIGNED), seed=2,
        ),
        folding(3, conv0=(3, 2), conv1=(2, 3), dense0=(3, 8)),
    ),
    # ternary weights, signed codes with a pad code, planes in time behind a window
    "signed": (
        random_conv_network(
            (6, 6, 3), [Conv(4, (3, 3), padding=(1, 1)), Conv(5, (2, 2), pool_codes=HALVES)], (4,),
            source=(8, Encoding.UNSIGNED), hidden=(2, Encoding.SIGNED), weights=(2, Encoding.TERNARY), seed=4,
        ),
        Folding({
            "conv0": LayerFold(4, 3, planes_in_time=4), "conv1": LayerFold(2, 4, planes_in_time=2),
            "dense0": LayerFold(4, 5),
        }),
    ),
    # pools in front of everything and overlapping behind a window that takes every beat; scores of codes
    "pools": (
        random_conv_network(
            (9, 8, 4), [Conv(6, (1, 1), pool_codes=((3, 3), (2, 2)))], (4,),
            hidden=(2, Encoding.BIPOLAR), scores_of_codes=True, seed=3,
        ),
        folding(4, conv0=(6, 4), dense0=(4, 9)),
    ),
}  # fmt: skip


def pooled_counts(seed: int) -> IntegerNetwork:
    """A pool of accumulators that a Threshold and a Requantize read: it works on counts. Their codes stand side by
    side, for a dense layer."""
    network = random_conv_network((6, 5, 3), [Conv(5, (3, 2), pool_acc=HALVES)], source=(2, Encoding.UNSIGNED),
                                  hidden=(2, Encoding.UNSIGNED), seed=seed)  # fmt: skip
    image, conv0, pool, act = network.nodes[:4]
    assert isinstance(act, Threshold) and act.type.shape == (2, 2, 5)
    rng = np.random.default_rng(seed)
    scaled = Requantize("scaled", (pool.name,), act.type, rng.integers(-9, 10, 5), rng.integers(0, 60, 5), 5)
    both = Concat("both", (act.name, scaled.name), replace(act.type, shape=(2, 2, 10)))
    weights = Weights(rng.integers(0, 2, (4, 40), dtype=np.uint8), 1, Encoding.BIPOLAR)
    dense = Dense("dense0", (both.name,), acc_type(weights, both.type), weights)
    ones, zeros = np.ones(4, dtype=np.int64), np.zeros(4, dtype=np.int64)
    scores = Scores("scores", (dense.name,), dense.type, ones, zeros)
    return verify(IntegerNetwork((image, conv0, pool, act, scaled, both, dense, scores), tuple("abcd")))


DESIGNS["pool_of_counts"] = (pooled_counts(7), folding(4, conv0=(2, 3), dense0=(2, 5)))


def case_of(network: IntegerNetwork, folds: Folding) -> dict[str, object]:
    codes = random_codes(network, FRAMES, seed=6)
    trace = golden.run(network, codes)
    assert len(set(trace.scores.ravel().tolist())) > 3
    return accelerator_case(network, folds, codes, trace, warm_up=WARM_UP)


def test_equals_the_golden_model(tmp_path: Path) -> None:
    run_farm(DESIGNS, {name: case_of(*design) for name, design in DESIGNS.items()}, tmp_path)


def test_verilog_names_parts() -> None:
    text = verilog.convert(Accelerator(*DESIGNS["ragged"]), name="top", emit_src=False, strip_internal_attrs=True)
    top = text[text.index("module top(") :].partition("endmodule")[0]
    for part in ("image_to_conv0", "conv0_window", "conv0", "conv1_window", "conv1",
                 "conv1_to_dense0_pixels", "conv1_to_dense0", "dense0"):  # fmt: skip
        assert f" {part} (" in top
    assert "U$" not in text


def test_what_is_not_built_is_refused_by_name() -> None:
    pooled = random_conv_network((5, 5, 1), [Conv(2, (2, 2), pool_sum=HALVES)], hidden=(2, Encoding.LOG))
    with pytest.raises(HardwareError, match=r"^hardware for sum0 \(sums of log codes\) is not built yet$"):
        Accelerator(pooled, folding(1, conv0=(1, 1), dense0=(1, 1)))
