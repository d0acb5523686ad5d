"""How long commands show where they are: a bar with the time left on a terminal, one line an epoch elsewhere."""

import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from ..train.loop.metrics import EpochRecord

__all__ = ["TrainingBar", "TrainingLines", "counting", "entropy", "training_progress", "working"]


def training_progress(file: TextIO, every: int = 1) -> "AbstractContextManager[TrainingBar | TrainingLines]":
    """What to hand to `train` as progress: a bar if `file` is a terminal, else a line at each `every`-th epoch."""
    return TrainingBar(file) if file.isatty() else nullcontext(TrainingLines(file, every))


@contextmanager
def counting(file: TextIO, what: str) -> "Iterator[Callable[[int], None] | None]":
    """A function that takes a count and shows it on a terminal; None elsewhere."""
    if not file.isatty():
        yield None
        return
    from rich.console import Console

    console = Console(file=file)
    with console.status(what) as status:
        yield lambda count: status.update(f"{count:,} {what}")


@contextmanager
def working(file: TextIO) -> "Iterator[Callable[[str], None]]":
    """A function that is told what begins: on a terminal with the time that it takes so far, a line each elsewhere."""
    if not file.isatty():

        def say(what: str) -> None:
            file.write(f"{what}\n")
            file.flush()

        yield say
        return
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = SpinnerColumn(finished_text="-"), TextColumn("{task.description}"), TimeElapsedColumn()
    with Progress(*columns, console=Console(file=file)) as bar:

        def begin(what: str) -> None:
            for task in bar.tasks:
                bar.update(task.id, total=1, completed=1)
            bar.add_task(what, total=None)

        yield begin


class TrainingLines:
    """A line at each `every`-th epoch and at the last."""

    def __init__(self, file: TextIO, every: int = 1) -> None:
        self._file = file
        self._every = every
        self._epochs = 0

    def start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Say how much there is to do."""
        self._epochs = epochs
        if first_epoch > epochs:
            self._say(f"all {epochs} epochs are done; the test is left")
        else:
            self._say(f"epochs {first_epoch} to {epochs}, {steps} steps each")

    def step(self, epoch: int, step: int) -> None:
        """Nothing: lines are for whole epochs."""

    def epoch(self, record: "EpochRecord") -> None:
        """The epoch's figures."""
        if record.epoch % self._every == 0 or record.epoch == self._epochs:
            self._say(f"epoch {record.epoch}/{self._epochs}  {_figures(record)}")

    def note(self, text: str) -> None:
        """The sentence on a line of its own."""
        self._say(f"note: {text}")

    def _say(self, line: str) -> None:
        self._file.write(f"{line}\n")
        self._file.flush()


class TrainingBar:
    """A bar over all steps of the run, with the time left and the last epoch's figures."""

    def __init__(self, file: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._steps = 1
        self._bar: Progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[figures]}"),
            console=Console(file=file),
            speed_estimate_period=120,
        )
        self._task = self._bar.add_task("training", total=None, epoch=1, epochs=1, figures="")

    def __enter__(self) -> "TrainingBar":
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Set the bar's length; what an earlier, cut-off part of the run did counts as done."""
        self._steps = steps
        done = (first_epoch - 1) * steps
        self._bar.update(self._task, total=epochs * steps, completed=done, epoch=first_epoch, epochs=epochs)

    def step(self, epoch: int, step: int) -> None:
        """Move the bar."""
        self._bar.update(self._task, completed=(epoch - 1) * self._steps + step, epoch=epoch)

    def epoch(self, record: "EpochRecord") -> None:
        """Show the epoch's figures."""
        self._bar.update(self._task, figures=_figures(record))

    def note(self, text: str) -> None:
        """The sentence above the bar."""
        self._bar.console.print(f"note: {text}", markup=False, highlight=False)


def _figures(record: "EpochRecord") -> str:
    text = f"loss {record.loss:.4f}  train {record.train_accuracy:.2%}  validation {record.val_accuracy:.2%}"
    return text if record.val_loss is None else f"{text}  {entropy(record.val_loss)}"


def entropy(loss: float) -> str:
    """A mean loss in nats in the units of language models."""
    return f"perplexity {math.exp(loss):.2f} ({loss / math.log(2):.3f} bits)"
