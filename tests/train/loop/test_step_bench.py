import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.loop.step_bench import METHODS, step_ratios


def test_the_bench_reports_what_it_measured():
    threads = torch.get_num_threads()
    state = torch.get_rng_state()
    result = step_ratios((20, 16, 10), batch=8, steps=5, threads=1)
    assert (result.widths, result.batch, result.steps, result.threads) == ((20, 16, 10), 8, 5, 1)
    assert ["float", *(step.name for step in result.methods)] == list(METHODS)
    assert result.float_s > 0 and all(step.seconds > 0 and step.ratio > 0 for step in result.methods)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("wrong", [{"widths": (5,)}, {"widths": (5, 0)}, {"batch": 1}, {"steps": 0}])
def test_impossible_benches_are_refused(wrong):
    with pytest.raises(UsageError, match="step bench needs"):
        step_ratios(**wrong)
