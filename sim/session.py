"""A design on the bench: vectors written, models built (once for every size of run), runs made."""

import hashlib
import json
import shutil
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Self

import numpy as np
from cocotb_tools import config as cocotb_config
from numpy.typing import NDArray

from ..compiler.folds.folding import load_folding
from ..compiler.storage.network_file import load_network
from ..errors import ToolError, UsageError
from ..files import take_folder
from ..hdl.generate import Design
from ..hdl.tools.netlist import Netlist
from .bench_source import BENCH_PORTS, bench_main, cocotb_main, render_bench
from .build import Optimization, build_model, cell_arguments
from .interface import Interface
from .process import run_logged, tool_environment
from .runner import build_cocotb, run_cocotb
from .streams import PARAMETERS_VARIABLE
from .vectors import write_vectors
from .verilator import VerilatorInfo

__all__ = ["GATE_LEVEL", "BenchSession", "Driver", "Run", "Speed"]

GATE_LEVEL = "gate_level"
"""Where a design's netlist, and its simulation, are kept."""

# Both drivers are built alike, so that their speeds can be compared.
_OPTIMIZATION = Optimization(fast="-O3", slow="-O1")
_BUILT_FAST = Optimization()  # a trace of a short window, a netlist: build fast rather than run fast
_ARGUMENTS: tuple[str, ...] = ("--x-assign", "fast", "--x-initial", "fast", "--no-assert")
_SMALLEST = 1024  # frames of memory at least: one build serves every small run


class Driver(StrEnum):
    """What turns the clock: cocotb, or a bare C++ loop."""

    COCOTB = "cocotb"
    BARE = "bare"


@dataclass(frozen=True, slots=True)
class Run:
    """Settings of one run. stalls: seed of pauses at both ports; window: cycles to trace, the run ends after them."""

    layers: bool = True
    stalls: int | None = None
    window: tuple[int, int] | None = None

    @property
    def seeds(self) -> tuple[int, int]:
        """Seeds of the stalls at the source and at the sink; 0 means none, so every seed maps to something else."""
        if self.stalls is None:
            return 0, 0
        digest = hashlib.sha256(str(self.stalls).encode()).digest()
        return int.from_bytes(digest[:8], "little") | 1, int.from_bytes(digest[8:16], "little") | 1


@dataclass(frozen=True, slots=True)
class Speed:
    """Cycles that a run took from start to done, and the seconds it took to simulate them."""

    cycles: int
    seconds: float

    @property
    def kcycles_per_s(self) -> float:
        """Thousands of simulated cycles a second."""
        return self.cycles / max(self.seconds, 1e-9) / 1e3


class BenchSession:
    """A design with its vectors, in DESIGN/sim: `run/` is where simulations run, `build-*/` the models.

    raw: samples (B, *input shape). last: bool (B,), which of them end a sequence, for recurrent networks. netlist: the
    accelerator after synthesis, which then runs in place of the Verilog, in DESIGN/gate_level; it has neither taps nor
    buffers. A context manager: entering writes the vectors, and while it is open no other process works in that
    folder. Raises UsageError for an empty batch, missing files of the design or a folder in use, DataError for samples
    of another shape.
    """

    def __init__(
        self,
        design: Design,
        verilator: VerilatorInfo,
        raw: NDArray[np.generic],
        last: NDArray[np.bool_] | None = None,
        netlist: Netlist | None = None,
    ) -> None:
        if not len(raw):
            raise UsageError("no image to simulate: give at least one")
        missing = [name for name in design.manifest.files if not (design.path / name).is_file()]
        if missing:  # Verilator would go on with a memory full of zeros
            raise UsageError(f"{design.path} lacks {', '.join(missing)}; generate it anew")
        self.design = design
        self.interface = Interface.of(design.manifest)
        self.folder = design.path / (GATE_LEVEL if netlist else "sim")
        self._sources, self._arguments = design.sources, _ARGUMENTS
        self._optimization = _OPTIMIZATION
        if netlist is not None:  # flattened: streams inside have no names any more
            self.interface = replace(self.interface, taps=(), buffers=())
            self._sources = (netlist.verilog, *netlist.models.own)
            self._arguments = (*_ARGUMENTS, *cell_arguments(netlist.models))
            self._optimization = _BUILT_FAST
        self.run_folder = self.folder / "run"
        self.images = len(raw)
        self._raw = raw
        self._last = last
        self._verilator = verilator
        self._capacity = max(_SMALLEST, 1 << (self.images - 1).bit_length())

    def __enter__(self) -> Self:
        self._lock = take_folder(
            self.folder, f"another simulation is at work in {self.folder}; wait for it, or copy the design"
        )
        try:
            self._prepare()
        except BaseException:
            self._lock.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.close()

    def _prepare(self) -> None:
        shutil.rmtree(self.run_folder, ignore_errors=True)
        self.run_folder.mkdir(parents=True)
        # The Verilog names its memory files without a folder: they must be where the simulation runs.
        for memory in self.design.rtl.glob("*.hex"):
            (self.run_folder / memory.name).symlink_to(memory.resolve())
        network = load_network(self.design.path / "network.safetensors")
        folding = load_folding(self.design.path / "folding.yaml", network)
        codes = network.input_codes(self._raw)
        write_vectors(network, folding, self.interface, codes, self.run_folder / "vectors", self._last)

    @property
    def log(self) -> Path:
        """What the bench wrote in the latest run."""
        return self.run_folder / "bench.log"

    @property
    def trace(self) -> Path:
        """The waveform of the latest run that had one."""
        return self.run_folder / "bench.vcd"

    def build(self, driver: Driver, *, waves: bool = False) -> Path:
        """The model's executable, built anew unless design, bench and tools are those of the last time."""
        bench = render_bench(self.interface, capacity=self._capacity)
        folder = self.folder / f"build-{driver}{'-waves' if waves else ''}"
        optimization = _BUILT_FAST if waves else self._optimization
        parts = [bench, driver, str(waves), str(self._verilator.path), self._verilator.version, str(optimization)]
        parts += [*self._arguments, str(cocotb_config.libs_dir), bench_main().read_text(), cocotb_main().read_text()]
        parts += [source.read_text() for source in self._sources]
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        stamp, executable = folder / "key", folder / "bench"
        if stamp.is_file() and stamp.read_text() == key and executable.is_file():
            return executable
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        source = folder / "bench.sv"
        source.write_text(bench)
        sources = [source, *self._sources]
        if driver is Driver.COCOTB:
            build_cocotb(
                self._verilator,
                top="bench",
                ports=BENCH_PORTS,
                sources=sources,
                folder=folder,
                arguments=self._arguments,
                waves=waves,
                optimization=optimization,
                main=cocotb_main(),
            )
        else:
            build_model(
                self._verilator,
                top="bench",
                main=bench_main(),
                sources=sources,
                folder=folder,
                arguments=self._arguments,
                waves=waves,
                optimization=optimization,
            )
        stamp.write_text(key)
        return executable

    def run_cocotb(self, run: Run) -> Speed:
        """Run in cocotb; `log` (and with a window `trace`) hold what came of it. ToolError if the run breaks off."""
        executable = self.build(Driver.COCOTB, waves=run.window is not None)
        source_seed, sink_seed = run.seeds
        first, last = run.window or (0, 0)
        verdict = self.run_folder / "verdict.json"
        parameters = {
            "images": self.images,
            "layers": int(run.layers),
            "source_seed": source_seed,
            "sink_seed": sink_seed,
            "waves_from": first,
            "waves_to": last,
            "verdict": str(verdict.resolve()),
        }
        verdict.unlink(missing_ok=True)
        run_cocotb(
            executable,
            "xnorflow.sim.accelerator_bench",
            folder=self.run_folder,
            environment={PARAMETERS_VARIABLE: json.dumps(parameters)},
        )
        answer = json.loads(verdict.read_text())
        return Speed(answer["cycles"], answer["seconds"])

    def run_bare(self, run: Run) -> Speed:
        """The same run in the bare C++ loop. ToolError if it breaks off."""
        executable = self.build(Driver.BARE)
        source_seed, sink_seed = run.seeds
        output = self.run_folder / "bare.log"
        output.unlink(missing_ok=True)
        status = run_logged(
            [
                str(executable.resolve()),
                f"+images={self.images}",
                f"+layers={int(run.layers)}",
                f"+source_seed={source_seed}",
                f"+sink_seed={sink_seed}",
            ],
            cwd=self.run_folder,
            environment=tool_environment({}),
            log=output,
        )
        words = output.read_text().split()
        if status not in (0, 1) or "kcycles/s" not in words:
            raise ToolError(f"the bare simulation broke off (exit {status}); log: {output}")
        return Speed(int(words[words.index("cycles,") - 1]), float(words[words.index("s,") - 1]))
