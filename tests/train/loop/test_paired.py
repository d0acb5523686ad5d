from dataclasses import replace

import numpy as np
import pytest

from xnorflow.errors import UsageError
from xnorflow.train.loop.paired import hits, paired
from xnorflow.train.loop.trainer import train_recipe


def right(*bits):
    return np.array(bits, bool)


def test_the_difference_and_its_intervals_follow_the_formulas():
    first = [right(1, 0, 0, 1, 0), right(1, 0, 1, 1, 0), right(0, 0, 0, 1, 0)]
    second = [right(1, 1, 0, 1, 1), right(1, 1, 1, 0, 0), right(1, 1, 0, 1, 0)]
    result = paired(first, second)
    assert (result.samples, result.first, result.second) == (5, (0.4, 0.6, 0.2), (0.8, 0.6, 0.6))
    assert result.difference == pytest.approx(4 / 15)
    # each sample's mean over the pairs: 1/3, 1, 0, -1/3, 1/3
    deviation = np.sqrt(sum((d - 4 / 15) ** 2 for d in (1 / 3, 1, 0, -1 / 3, 1 / 3)) / 4)
    reach = 1.959964 * deviation / np.sqrt(5)
    assert result.over_samples == pytest.approx((4 / 15 - reach, 4 / 15 + reach), abs=1e-6)
    # each pair's: 2/5, 0, 2/5; Student's t with two degrees of freedom has 4.302653
    reach = 4.302653 * np.sqrt((2 * (2 / 15) ** 2 + (4 / 15) ** 2) / 2) / np.sqrt(3)
    assert result.over_pairs == pytest.approx((4 / 15 - reach, 4 / 15 + reach), abs=1e-6)


def test_pairing_matters():
    """The same accuracies, but the samples that one gets right the other gets right too."""
    generator = np.random.default_rng(0)
    first = generator.random(2000) < 0.8
    together = first | (np.arange(2000) < 100)
    apart = generator.permutation(together)
    widths = [np.diff(paired([first], [second]).over_samples)[0] for second in (together, apart)]
    assert widths[0] < widths[1] / 3
    assert paired([first], [first]).over_samples == (0, 0)
    assert paired([first], [first]).over_pairs is None


def test_hits_are_those_of_the_weights_that_the_recipe_evaluates(quick, tmp_path):
    run = train_recipe(replace(quick, evaluation="real", epochs=2), tmp_path / "run")
    assert hits(run.run).mean() == run.val_accuracy
    assert hits(run.run, "test").mean() == run.test_accuracy


def test_runs_that_do_not_pair_up_are_refused():
    with pytest.raises(UsageError, match="2 and 1 do not pair up"):
        paired([right(1), right(0)], [right(1)])
    with pytest.raises(UsageError, match="not on 1 and 2"):
        paired([right(1)], [right(1, 0)])
    with pytest.raises(UsageError, match="0 and 0 do not pair up"):
        paired([], [])
