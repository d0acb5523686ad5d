"""The figures that `xnorflow bench` prints: each measured on its own, ratios taken in one run."""

import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..boards.loader import DEFAULT_BOARD
from ..compiler.storage.network_file import load_network, save_network
from ..compiler.synthetic import binary_vgg
from ..errors import HardwareError, UsageError, XnorflowError
from .designs import NETWORK, random_samples
from .networks import compiled, load_samples

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ..compiler.fast.bench import BackendBench
    from ..gpu.figures import GpuBench
    from ..sim.bare import SpeedRatio
    from ..sim.cycle_check import CycleCheck

__all__ = ["GenerationCost", "bench_cpu", "bench_cycles", "bench_generation", "bench_gpu", "bench_simulation"]


@dataclass(frozen=True, slots=True)
class GenerationCost:
    """What `xnorflow generate` took as a process of its own: wall time, and the peak of its memory; bits of weights."""

    seconds: float
    peak_mib: float
    weight_bits: int


def bench_cpu(
    run_dir: Path, *, data_dir: Path | None = None, limit: int | None = None, threads: int = 2
) -> "BackendBench":
    """The fast CPU backend against the PyTorch module of a trained run, over its data set's test split."""
    from ..compiler.fast.bench import bench_backend
    from ..train.loop.runs import load_run

    if threads < 1:
        raise UsageError(f"the number of threads must be positive, not {threads}")
    run = load_run(run_dir)
    network = compiled(run)
    samples = load_samples(network, run.recipe.dataset, limit=limit, data_dir=data_dir)
    return bench_backend(network, run.model, samples.images, threads=threads)


def bench_simulation(
    design_dir: Path, *, data: str | None = None, images: int | None = None, data_dir: Path | None = None
) -> "SpeedRatio":
    """cocotb's speed against a bare Verilator C++ loop of the same design."""
    from ..hdl.generate import load_design
    from ..sim.bare import speed_ratio

    network = load_network(load_design(design_dir).path / NETWORK)
    name = data or network.provenance.get("data")
    if name is None:
        raise UsageError(f"{design_dir} does not say which data set its network is for; give --data")
    samples = load_samples(network, name, limit=images, data_dir=data_dir)
    return speed_ratio(design_dir, raw_images=samples.images)


def bench_cycles(
    design_dir: Path, *, traces: int, images: int, data: str | None = None, data_dir: Path | None = None
) -> "Iterator[CycleCheck]":
    """The cycle model against simulation, without stalls and under `traces` seeds of stalls.

    data: the data set whose test images are sent; random ones without it, which take the same cycles.
    """
    from ..hdl.generate import load_design
    from ..sim.cycle_check import check_cycles

    if traces < 0 or images < 1:
        raise UsageError(f"traces must be at least 0 and images at least 1, not {traces} and {images}")
    network = load_network(load_design(design_dir).path / NETWORK)
    if data is None:
        raw = random_samples(network, images)
    else:
        raw = load_samples(network, data, limit=images, data_dir=data_dir).images
    return check_cycles(design_dir, raw_images=raw, traces=traces)


def bench_generation(file: Path | None, *, folding: Path | None = None, board: str = DEFAULT_BOARD) -> GenerationCost:
    """Time and peak memory of `xnorflow generate` on a network file; None: on a random VGG-like network."""
    options = ["--board", board] + (["--folding", str(folding)] if folding else [])
    with tempfile.TemporaryDirectory() as folder:
        if file is None:
            file = Path(folder) / "vgg.safetensors"
            save_network(binary_vgg(), file)
        matrices = [stage.dot.weights for stage in load_network(file).stages()]
        command = [sys.executable, "-m", "xnorflow", "generate", str(file), "--out", f"{folder}/design", *options]
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = time.perf_counter() - begin
    if done.returncode:
        message = done.stderr.removeprefix("xnorflow: error: ").strip()
        kinds = {kind.exit_code: kind for kind in XnorflowError.__subclasses__()}
        raise kinds.get(done.returncode, HardwareError)(message)
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss  # of the largest child, in KiB on Linux
    return GenerationCost(seconds, peak / 1024, sum(weights.codes.size * weights.bits for weights in matrices))


def bench_gpu(files: "Sequence[Path]", *, sizes: "Sequence[int]", batches: "Sequence[int]", rounds: int) -> "GpuBench":
    """Products of those sizes, networks at those batches on the current GPU; without files LFC's and CNV's layers."""
    from ..gpu.driver import check_gpu

    check_gpu()  # before networks are made and libraries loaded
    from ..gpu.bench import bench_gpu as measured
    from ..gpu.bench_networks import default_networks

    networks = {file.stem: load_network(file) for file in files} if files else default_networks()
    return measured(networks, sizes=sizes, batches=batches, rounds=rounds)
