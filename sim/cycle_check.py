"""The cycle model against simulation: the cycle in which every frame's result is handed over, under seeded stalls."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..compiler.folds.folding import load_folding
from ..compiler.storage.network_file import load_network
from ..errors import HardwareError, UsageError
from ..hdl.accelerator import Accelerator
from ..hdl.generate import Design, load_design
from ..hdl.timing.model import Circuit, accelerator_circuit
from .bench_source import long_stall, watchdog
from .session import BenchSession, Run
from .stalls import Stalls
from .verdict import read_log
from .verilator import find_verilator

__all__ = ["CycleCheck", "check_cycles"]

Cycles = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class CycleCheck:
    """One trace. stalls: its seed, None for none. predicted, simulated: the cycle of each frame's result, counted from
    start, int64 (frames,). predicted_most, simulated_most: the most beats that each line buffer and FIFO held."""

    stalls: int | None
    predicted: Cycles
    simulated: Cycles
    predicted_most: Mapping[str, int]
    simulated_most: Mapping[str, int]

    @property
    def differing(self) -> list[int]:
        """The frames whose cycles differ."""
        return np.flatnonzero(self.predicted != self.simulated).tolist()

    @property
    def differing_buffers(self) -> list[str]:
        """The line buffers and FIFOs whose marks differ."""
        return [name for name, most in self.simulated_most.items() if self.predicted_most[name] != most]


def check_cycles(design_dir: Path, *, raw_images: NDArray[np.generic], traces: int) -> Iterator[CycleCheck]:
    """Send the samples through a design without stalls, and again with the stalls of the seeds 1 to `traces`.

    Yields each trace as it is done. Raises HardwareError if a simulation finds a mismatch, UsageError if the design's
    buffers are another version's, and what `simulate` raises.
    """
    design = load_design(design_dir)
    circuit = _circuit(design, len(raw_images))
    with BenchSession(design, find_verilator(), raw_images) as session:
        for stalls in (None, *range(1, traces + 1)):
            run = Run(layers=False, stalls=stalls)
            session.run_bare(run)
            log = read_log(session.log, session.interface, images=session.images, layers=False)
            if log.first is not None:
                raise HardwareError(f"{design_dir}: {log.mismatches} mismatches, the first a {log.first}")
            pauses = [Stalls(seed, long_stall(session.interface)) for seed in run.seeds]
            model = circuit.run(pauses, patience=watchdog(session.interface))
            # The model's first cycle is the one in which reset ends; the bench counts from the next one.
            marks = {buffer.name: buffer.most for buffer in log.buffers}
            yield CycleCheck(stalls, model.delivered[0] - 1, log.delivered, model.most, marks)


def _circuit(design: Design, frames: int) -> Circuit:
    network = load_network(design.path / "network.safetensors")
    folding = load_folding(design.path / "folding.yaml", network)
    accelerator = Accelerator(network, folding, popcount_stages=design.manifest.popcount_stages)
    depths = {buffer.name: buffer.depth for buffer in design.manifest.buffers}
    if depths != {name: part.depth for name, part in accelerator.buffers.items()}:
        raise UsageError(f"{design.path} has other buffers than this program would give it; generate it anew")
    return accelerator_circuit(accelerator, frames)
