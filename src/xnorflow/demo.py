"""The whole road on real handwritten digits, as `make demo` walks it: a few seconds of training, then the proof."""

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from . import flow
from .compiler.folds.folding import Popcount
from .errors import UsageError
from .files import atomic_write

if TYPE_CHECKING:
    from .report import ReportResult
    from .sim.simulate import SimulationResult
    from .train.loop.progress import Progress
    from .train.loop.trainer import TrainResult

__all__ = ["DemoResult", "run_demo"]

RECIPE = "digits"
MARK = ".xnorflow-demo"  # says that a folder is a demo's, so that its run may be replaced
STALLS = 1  # seed of the run with random pauses at both ports


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What each step found: streaming is the simulation without pauses, stalled the one with them."""

    trained: "TrainResult"
    evaluated: flow.Evaluation
    generated: flow.Generated
    streaming: "SimulationResult"
    stalled: "SimulationResult"
    report: "ReportResult"

    @property
    def mismatches(self) -> int:
        """Differences anywhere between PyTorch, golden model and hardware; 0 is the claim."""
        return self.evaluated.disagreements + self.streaming.mismatches + self.stalled.mismatches


def run_demo(
    out: Path,
    *,
    say: Callable[[str], None],
    watch: "Callable[[], AbstractContextManager[Progress | None]]" = nullcontext,
) -> DemoResult:
    """Train, compile, compare with PyTorch, generate, simulate the whole test split twice, report; all into `out`.

    say: is told each step before it begins. watch: opens the progress display of the training. Everything is done
    anew each time: what an earlier demo left in `out` is replaced.
    """
    run, network, design = out / "run", out / "network.safetensors", out / "design"
    say(f"1/6 train: recipe {RECIPE} on scikit-learn's handwritten digits")
    _clear(out, run)
    with watch() as progress:
        trained = flow.train(RECIPE, run, progress=progress)
    say("2/6 compile: the trained module becomes integers")
    flow.compile_run(run, network)
    say("3/6 eval: every code and score of the test split against PyTorch")
    evaluated = flow.evaluate(network, RECIPE, against=run)
    say(f"4/6 generate: Verilog for {flow.DEFAULT_BOARD}")
    generated = flow.generate(network, popcount=Popcount.ADDERS, out=design)  # the sort that simulates fastest
    say("5/6 simulate: the whole test split in cocotb + Verilator, with random pauses and without")
    stalled = flow.simulate(design, stalls=STALLS)
    streaming = flow.simulate(design)
    say("6/6 report")
    report = flow.report(design, out / "report.html", run=run)
    return DemoResult(trained, evaluated, generated, streaming, stalled, report)


def _clear(out: Path, run: Path) -> None:
    """Remove an earlier demo's run; UsageError if the run there is not a demo's."""
    if (out / MARK).exists():
        shutil.rmtree(run, ignore_errors=True)
    elif run.exists():
        raise UsageError(f"{run} was not made by the demo; give another --out")
    atomic_write(out / MARK, "outputs of xnorflow demo, replaced by the next one\n")
