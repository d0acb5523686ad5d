"""A generated design over a whole data set in cocotb + Verilator, every beat compared with the golden model."""

import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from ..files import atomic_write
from ..hdl.generate import load_design
from ..hdl.tools.netlist import accelerator_netlist
from .results import save_results
from .session import GATE_LEVEL, BenchSession, Run
from .verdict import BufferMark, FirstMismatch, read_log, timing
from .verilator import find_verilator

__all__ = ["SimulationResult", "simulate"]

_BEFORE, _AFTER = 20_000, 50  # cycles around the first mismatch in its waveform, at most


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """What a simulation found; also in DESIGN/sim/result.json, or DESIGN/gate_level/result.json where the netlist was
    simulated (paths there are relative to DESIGN).

    images, mismatches: frames sent, beats that were not as the golden model says (missing ones counted);
    layers_checked: streams inside that were compared too; cycles_per_image: mean distance between results after warm-up
    (None: fewer than two results), bound_cycles: what it must be without stalls; latency_cycles: first beat in to
    result out of the first frame; steady: all of at least 8 successive distances equal the bound (None: stalls, or too
    few frames); kcycles_per_s: speed of the simulation; seconds: the whole call; stalls: their seed; waveform: the file
    kept; classes, scores: .npy files of the hardware's answers, int64 (N,) and (N, C), scores (N, 0) where results
    carry the class alone; completions: .npy file of the cycle, counted from start, in which each result was handed
    over, int64 (N,); buffers: line buffers and FIFOs, and the most each held; modified: files of the design that are
    not as generated; synth: the Yosys command that made the netlist, None where the Verilog was simulated.
    """

    images: int
    mismatches: int
    layers_checked: int
    cycles_per_image: float | None
    bound_cycles: int
    latency_cycles: int | None
    steady: bool | None
    kcycles_per_s: float
    verilator: str
    seconds: float
    stalls: int | None
    first_mismatch: FirstMismatch | None
    waveform: Path | None
    classes: Path
    scores: Path
    completions: Path
    buffers: tuple[BufferMark, ...]
    modified: tuple[str, ...]
    synth: str | None = None


def simulate(
    design_dir: Path,
    *,
    raw_images: NDArray[np.generic],
    last: NDArray[np.bool_] | None = None,
    images: int | Literal["all"] = "all",
    stalls: int | None = None,
    waves: bool = False,
    layers: bool = True,
    gate_level: bool = False,
    progress: Callable[[str], None] | None = None,
) -> SimulationResult:
    """Send raw samples (B, *input shape) back to back through the design, and compare every beat.

    last: bool (B,), which samples end a sequence, where samples are its steps; None: the last alone.
    stalls: seed of random pauses at both ports (None: none). layers: compare every tapped stream, not the results
    alone. waves: keep a waveform of the whole run, DESIGN/sim/waves.vcd. Where something differs, the run is
    repeated up to there with tracing, and DESIGN/sim/first_mismatch.vcd kept.
    gate_level: simulate the accelerator as `xnorflow build` has it synthesized for the board's family, with models of
    its cells; everything is in DESIGN/gate_level then. Streams inside have no names there: `layers` must be False.
    progress: hears of long steps.

    Raises ToolError (Verilator, Yosys or their tools missing or failing), UsageError (no design, nothing to send),
    DataError (samples of the wrong shape), HardwareError (a netlist for a board without cell models),
    InterruptedRunError.
    """
    if gate_level and layers:
        raise UsageError("the netlist is flattened: its layers cannot be checked, its results alone")
    begin = time.perf_counter()
    if images != "all" and not 1 <= images <= len(raw_images):
        raise UsageError(f"images must be 1 to {len(raw_images)} or all, not {images}")
    design = load_design(design_dir)
    verilator = find_verilator()
    chosen = raw_images if images == "all" else raw_images[:images]
    ends = None if last is None else last[: len(chosen)]
    netlist = (
        accelerator_netlist(design, design.path / GATE_LEVEL / "netlist", progress=progress) if gate_level else None
    )
    with BenchSession(design, verilator, chosen, ends, netlist) as session:
        run = Run(layers=layers, stalls=stalls, window=(0, 0) if waves else None)
        speed = session.run_cocotb(run)
        log = read_log(session.log, session.interface, images=session.images, layers=layers)
        waveform = session.trace.replace(session.folder / "waves.vcd") if waves else None
        if log.first is not None and not waves:
            waveform = _trace_mismatch(session, run, log.first)
        rates = timing(log, session.interface)
        paths = save_results(log.results, log.delivered, session.interface, session.folder)
        result = SimulationResult(
            images=session.images,
            mismatches=log.mismatches,
            layers_checked=len(session.interface.taps) if layers else 0,
            cycles_per_image=rates.cycles_per_image,
            bound_cycles=session.interface.bound,
            latency_cycles=rates.latency,
            steady=rates.steady if stalls is None else None,
            kcycles_per_s=speed.kcycles_per_s,
            verilator=str(verilator),
            seconds=time.perf_counter() - begin,
            stalls=stalls,
            first_mismatch=log.first,
            waveform=waveform,
            classes=paths[0],
            scores=paths[1],
            completions=paths[2],
            buffers=log.buffers,
            modified=design.modified,
            synth=netlist.synth if netlist else None,
        )
        atomic_write(session.folder / "result.json", _json(result, design_dir))
    return result


def _trace_mismatch(session: BenchSession, run: Run, first: FirstMismatch) -> Path:
    """Repeat the run with the same seeds, tracing the cycles around its first mismatch; return the waveform."""
    before = min(_BEFORE, 2 * session.interface.bound + 200)
    window = max(0, first.cycle - before), first.cycle + _AFTER
    session.run_cocotb(Run(layers=run.layers, stalls=run.stalls, window=window))
    return session.trace.replace(session.folder / "first_mismatch.vcd")


def _json(result: SimulationResult, design_dir: Path) -> str:
    """The result as JSON text; paths relative to the design's folder."""

    def plain(value: object) -> str:
        assert isinstance(value, Path)  # all that json does not know by itself
        return value.relative_to(design_dir).as_posix()

    return json.dumps(asdict(result), indent=2, default=plain) + "\n"
