"""A whole accelerator through its two pins, against the golden model."""

import json
from pathlib import Path

import numpy as np
import pytest
from random_networks import random_network

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.storage.network_file import network_hash
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.board.linked import LinkedAccelerator
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

IMAGES = 24


@pytest.mark.parametrize(
    ("widths", "folds", "cycles"),
    [([20, 9, 4], [(3, 20), (2, 3)], 4), ([33, 6, 9], [(2, 8), (1, 2)], 7)],
    ids=["a beat a frame", "five beats a frame"],
)
def test_equals_the_golden_model(tmp_path: Path, widths: list[int], folds: list[tuple[int, int]], cycles: int) -> None:
    network = random_network(widths)
    layers = {f"dense{index}": LayerFold(*fold) for index, fold in enumerate(folds)}
    accelerator = Accelerator(network, Folding(layers))
    top = LinkedAccelerator(accelerator, accelerator.input_part.cycles, network_hash(network), cycles=cycles)
    codes = np.random.default_rng(1).integers(0, 2, (IMAGES, widths[0]), dtype=np.uint8)
    trace = golden.run(network, codes)
    width = len(accelerator.s_axis_tdata) // 8
    frames = [
        b"".join(beat.to_bytes(width, "little") for beat in pack_frame(image.tolist(), folds[0][1], 1))
        for image in codes
    ]
    results = []
    for index, scores in zip(trace.classes.tolist(), trace.scores.tolist(), strict=True):
        fields = [index.to_bytes(accelerator.class_bytes, "little")]
        fields += [score.to_bytes(accelerator.score_bytes, "little", signed=True) for score in scores]
        results.append(b"".join(fields))
    vectors = {
        "frames": [frame.hex() for frame in frames],
        "results": [result.hex() for result in results],
        "identity": top.identity.payload().hex(),
    }
    (tmp_path / "vectors.json").write_text(json.dumps(vectors))
    run_bench(
        top,
        "bench_linked",
        build_dir=tmp_path,
        name="linked",
        parameters={"cycles": cycles, "vectors": str(tmp_path / "vectors.json")},
        memories=accelerator.memories,
    )
