"""Curves of several runs: their figures from the records, and what cannot be drawn."""

import json

import pytest

from xnorflow.cli import main
from xnorflow.errors import DataError, UsageError
from xnorflow.train.loop.curves import draw_twins, read_curves
from xnorflow.train.loop.metrics import EpochRecord, write_metrics


@pytest.fixture
def twins(tmp_path):
    """One run that learns by heart, and one that does not and is still running."""
    accuracies = {"float": [(0.9, 0.88), (0.97, 0.95), (1.0, 0.94)], "binary": [(0.85, 0.84), (0.92, 0.93)]}
    for name, pairs in accuracies.items():
        (tmp_path / name).mkdir()
        records = [EpochRecord(i, 1 / i, train, val, 0.01, 0.1, 1.5) for i, (train, val) in enumerate(pairs, 1)]
        write_metrics(tmp_path / name / "metrics.jsonl", records)
    return tmp_path / "float", tmp_path / "binary"


def test_figures_are_those_of_the_records(twins):
    by_heart, binary = read_curves(twins)
    assert (by_heart.name, by_heart.best.epoch, by_heart.last.epoch) == ("float", 2, 3)
    assert by_heart.gap == pytest.approx(0.06)
    assert (binary.best.epoch, binary.gap) == (2, pytest.approx(-0.01))


def test_a_plot_and_a_table(twins, tmp_path, capsys):
    picture = tmp_path / "twins.png"
    assert main(["curves", *map(str, twins), "--out", str(picture)]) == 0
    assert picture.read_bytes().startswith(b"\x89PNG")
    rows = [line.split() for line in capsys.readouterr().out.splitlines()[2:]]
    assert rows == [
        ["float", "3", "0.33333", "0.00%", "6.00%", "+6.00%", "5.00%", "2"],
        ["binary", "2", "0.50000", "8.00%", "7.00%", "-1.00%", "7.00%", "2"],
    ]
    assert main(["curves", str(twins[1]), "--json"]) == 0
    (run,) = json.loads(capsys.readouterr().out)["runs"]
    assert [record["val_accuracy"] for record in run["records"]] == [0.84, 0.93]


def test_what_cannot_be_drawn_is_said(twins, tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        read_curves([tmp_path])
    (tmp_path / "metrics.jsonl").touch()
    with pytest.raises(DataError, match="has no finished epoch; nothing to draw"):
        read_curves([tmp_path])
    with pytest.raises(UsageError, match="run folders of different names, not"):
        read_curves([twins[0], twins[0]])
    with pytest.raises(UsageError, match="not none"):
        read_curves([])
    with pytest.raises(DataError, match="cannot write"):
        draw_twins(twins[0], read_curves(twins))
