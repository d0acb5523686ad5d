"""What `train` shows: lines where nobody watches, a bar with the time left on a terminal."""

import io

import pytest

from xnorflow.cli.progress import TrainingBar, TrainingLines, training_progress
from xnorflow.train.loop.metrics import EpochRecord


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(progress: TrainingBar | TrainingLines, first: int, epochs: int) -> None:
    """Report a run of two steps an epoch."""
    progress.start(first, epochs, 2)
    for epoch in range(first, epochs + 1):
        progress.step(epoch, 1)
        progress.step(epoch, 2)
        progress.epoch(EpochRecord(epoch, 0.5, 0.75, 0.5 + epoch / 100, 0.1, 0.0, 1.0))


def test_lines() -> None:
    file = io.StringIO()
    with training_progress(file) as progress:
        run(progress, 2, 3)
    assert file.getvalue().splitlines() == [
        "epochs 2 to 3, 2 steps each",
        "epoch 2/3  loss 0.5000  train 75.00%  validation 52.00%",
        "epoch 3/3  loss 0.5000  train 75.00%  validation 53.00%",
    ]


def test_a_run_of_which_the_test_alone_is_left() -> None:
    file = io.StringIO()
    with training_progress(file) as progress:
        run(progress, 4, 3)
    assert file.getvalue() == "all 3 epochs are done; the test is left\n"


@pytest.mark.parametrize(("every", "shown"), [(2, [2, 4, 5]), (10, [5]), (1, [1, 2, 3, 4, 5])])
def test_fewer_lines_where_there_are_many_epochs(every: int, shown: list[int]) -> None:
    file = io.StringIO()
    with training_progress(file, every) as progress:
        run(progress, 1, 5)
    assert [int(line.split()[1].split("/")[0]) for line in file.getvalue().splitlines()[1:]] == shown


def test_a_bar_with_the_last_figures_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "xterm")
    file = Terminal()
    with training_progress(file) as progress:
        assert isinstance(progress, TrainingBar)
        run(progress, 3, 4)
    last = file.getvalue().replace("\x1b[2K", "\n").splitlines()[-2:]
    assert any("epoch 4/4" in line and "00:00" in line and "validation 54.00%" in line for line in last)
