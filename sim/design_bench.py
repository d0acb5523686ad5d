"""The bench that goes with a design: runs with Verilator alone, without this project and without cocotb."""

import shutil
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..compiler.folds.folding import load_folding
from ..compiler.storage.network_file import load_network
from ..files import atomic_directory
from ..hdl.generate import load_design
from .bench_source import bench_main, render_bench, render_makefile
from .interface import Interface
from .vectors import write_vectors

__all__ = ["write_bench"]

_IMAGES = 128  # random codes: with few of them a shifted threshold may go unseen


def write_bench(design_dir: Path, *, raw_images: NDArray[np.generic] | None = None) -> Path:
    """Write DESIGN/bench (replaced in one step): bench.sv, main.cpp, Makefile and vectors. Returns the folder.

    raw_images: samples (B, *input shape) for the vectors; by default 128 frames of random codes, always the same.
    The same input gives the same bytes. Raises UsageError if `design_dir` is no design, DataError for samples of
    another shape.
    """
    design = load_design(design_dir)
    network = load_network(design_dir / "network.safetensors")
    folding = load_folding(design_dir / "folding.yaml", network)
    if raw_images is None:
        shape, most = network.input.type.shape, network.input.type.max_code
        codes = np.random.default_rng(0).integers(0, most + 1, (_IMAGES, *shape), dtype=np.uint8)
    else:
        codes = network.input_codes(raw_images)
    interface = Interface.of(design.manifest)
    out = design_dir / "bench"
    with atomic_directory(out) as folder:
        write_vectors(network, folding, interface, codes, folder / "vectors")
        (folder / "bench.sv").write_text(render_bench(interface, capacity=len(codes)))
        (folder / "Makefile").write_text(render_makefile(images=len(codes)))
        shutil.copyfile(bench_main(), folder / "main.cpp")
    return out
