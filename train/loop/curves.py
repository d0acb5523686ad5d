"""Training and validation curves of several runs beside each other, such as the twins of BinaryConnect's figure 3. No
torch."""

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from ...errors import DataError, UsageError
from ...files import atomic_write
from .metrics import EpochRecord, read_metrics

__all__ = ["RunCurves", "draw_twins", "read_curves"]

_COLOURS = ("#1f5fa8", "#c8501e", "#3b8f4e", "#8a4fa3", "#777777", "#b8860b")


@dataclass(frozen=True, slots=True)
class RunCurves:
    """A run's records, and what they come to.

    name: of its folder. best: the epoch that validation takes. last: the last that is done. A training accuracy is
    that of the epoch's own steps: with whatever was drawn or dropped in them, while the weights moved.
    """

    name: str
    records: tuple[EpochRecord, ...]

    @property
    def best(self) -> EpochRecord:
        """The first of the best, as the trainer chooses."""
        return max(self.records, key=lambda record: record.merit)

    @property
    def last(self) -> EpochRecord:
        """Of the last epoch."""
        return self.records[-1]

    @property
    def gap(self) -> float:
        """Training accuracy less validation accuracy of the last epoch: what was learned by heart."""
        return self.last.train_accuracy - self.last.val_accuracy


def read_curves(runs: Sequence[Path]) -> tuple[RunCurves, ...]:
    """The curves of run folders, finished or not; DataError where one has no metrics, UsageError where two runs go by
    one name or none is given."""
    found = []
    for run in runs:
        records = read_metrics(run / "metrics.jsonl")
        if not records:
            raise DataError(f"{run} has no finished epoch; nothing to draw")
        found.append(RunCurves(run.resolve().name, records))
    names = [curves.name for curves in found]
    if len(set(names)) != len(names) or not names:
        raise UsageError(f"curves take run folders of different names, not {', '.join(map(str, runs)) or 'none'}")
    return tuple(found)


def draw_twins(path: Path, runs: Sequence[RunCurves]) -> None:
    """A PNG: training loss on the left; error of training (broken) and of validation on the right. DataError if it
    cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 4.2), layout="constrained")
    FigureCanvasAgg(figure)  # drawn without pyplot: no display, no global state
    left, right = figure.subplots(1, 2)
    for number, run in enumerate(runs):
        colour = _COLOURS[number % len(_COLOURS)]
        epochs = [record.epoch for record in run.records]
        left.plot(epochs, [record.loss for record in run.records], color=colour, label=run.name)
        right.plot(epochs, [100 * (1 - record.train_accuracy) for record in run.records], color=colour, linestyle=":")
        right.plot(epochs, [100 * (1 - record.val_accuracy) for record in run.records], color=colour, label=run.name)
    left.set(xlabel="epoch", ylabel="training loss", yscale="log")
    right.set(xlabel="epoch", ylabel="error, %", title="training dotted, validation solid")
    right.set_yscale("symlog", linthresh=1)  # a training error may come down to 0
    largest = 100 * max(1 - min(r.train_accuracy, r.val_accuracy) for run in runs for r in run.records)
    right.set_yticks([0, 0.5, *(n for n in (1, 2, 5, 10, 20, 50) if n <= largest)])
    right.yaxis.set_major_formatter("{x:g}")
    right.minorticks_off()
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend(frameon=False)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    try:
        atomic_write(path, buffer.getvalue())
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error
