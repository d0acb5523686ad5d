import json
import statistics
from dataclasses import replace

import pytest

from xnorflow.errors import UsageError
from xnorflow.train.loop.seeds import train_seeds
from xnorflow.train.loop.trainer import train_recipe


def test_runs_differ_in_the_seed_and_are_summed_up(quick, tmp_path):
    quick = replace(quick, epochs=1, seed=5)
    result = train_seeds(quick, tmp_path / "runs", 3)
    assert result.seeds == (5, 6, 7)
    assert sorted(p.name for p in (tmp_path / "runs").iterdir()) == ["seed-5", "seed-6", "seed-7", "seeds.json"]
    assert result.val_accuracies[1] == train_recipe(quick, tmp_path / "alone", seed=6).val_accuracy
    assert (result.val_mean, result.val_spread) == (
        statistics.mean(result.val_accuracies),
        statistics.stdev(result.val_accuracies),
    )
    assert (result.test_mean, result.test_spread) == (
        statistics.mean(result.test_accuracies),
        statistics.stdev(result.test_accuracies),
    )
    written = json.loads((tmp_path / "runs" / "seeds.json").read_text())
    assert (written["seeds"], written["test_mean"]) == ([5, 6, 7], result.test_mean)
    assert train_seeds(quick, tmp_path / "runs", 3, resume=True) == result  # finished runs are taken as they are


def test_one_run_has_no_spread(quick, tmp_path):
    with pytest.raises(UsageError, match="--seeds must be at least 2, not 1: one run has no spread"):
        train_seeds(quick, tmp_path / "runs", 1)
