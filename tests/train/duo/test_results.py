import numpy as np
import pytest

from xnorflow.errors import DataError
from xnorflow.train.duo.results import duo_results
from xnorflow.train.duo.train import train_duo
from xnorflow.train.loop.paired import hits
from xnorflow.train.recipe import ActivationSpec, DuoSpec, InputSpec, ModelSpec, OptimizerSpec, Recipe

SMALL = Recipe(
    description="for the tests",
    dataset="digits",
    input=InputSpec(bits=2, lo=0, hi=16, encoding="unsigned"),
    model=ModelSpec(hidden=(6,), activation=ActivationSpec("ternary")),
    optimizer=OptimizerSpec(lr=0.01, lr_final=0.001),
    epochs=1,
    threads=1,
    name="small",
    duo=DuoSpec(1, OptimizerSpec(lr=0.001, lr_final=0.0001), baseline=ModelSpec((8,))),
)


def test_finished_stages_are_compared_seed_by_seed(tmp_path):
    runs = train_duo(SMALL, tmp_path, stages=("baseline", "coupled", "decoupled"), seeds=2)
    (tmp_path / "seed2" / "decoupled" / "summary.json").unlink()  # as if it were still under way
    results = duo_results(tmp_path)
    assert results.accuracies == {
        "baseline": {"seed1": runs[0].result.val_accuracy, "seed2": runs[3].result.val_accuracy},
        "coupled": {"seed1": runs[1].result.val_accuracy, "seed2": runs[4].result.val_accuracy},
        "decoupled": {"seed1": runs[2].result.val_accuracy},
    }
    assert [(g.stage, g.over, g.seeds) for g in results.gains] == [
        ("decoupled", "baseline", ("seed1",)),
        ("decoupled", "coupled", ("seed1",)),
    ]
    gain = results.gains[0].paired
    assert gain.difference == pytest.approx(runs[2].result.val_accuracy - runs[0].result.val_accuracy)
    assert gain.over_samples[0] <= gain.difference <= gain.over_samples[1]
    test = hits(runs[0].result.run, "test")
    assert np.isclose(test.mean(), runs[0].result.test_accuracy)


def test_a_folder_without_stages_is_refused(tmp_path):
    with pytest.raises(DataError, match="holds no finished stage of train-duo"):
        duo_results(tmp_path)
