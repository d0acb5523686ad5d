import pytest
import torch
from torch.optim import lr_scheduler

from xnorflow.errors import UsageError
from xnorflow.train.recipe import OptimizerSpec
from xnorflow.train.schedule import drops_on_plateau


def torchs(scheduler, epochs, values=None):
    """The rates that torch's own has at the beginning of each epoch."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.5)
    schedule = scheduler(optimizer)
    rates = []
    for epoch in range(epochs):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step(values[epoch]) if values else schedule.step()
    return rates


def ours(spec, epochs, values=()):
    return [spec.rate(epoch, epochs, values[:epoch]) for epoch in range(epochs)]


@pytest.mark.parametrize(
    ("spec", "scheduler"),
    [
        (
            OptimizerSpec(0.5, 0.001, schedule="cosine"),
            lambda o: lr_scheduler.CosineAnnealingLR(o, 12, eta_min=0.001),
        ),
        (OptimizerSpec(0.5, 0.001), lambda o: lr_scheduler.ExponentialLR(o, (0.001 / 0.5) ** (1 / 12))),
        (OptimizerSpec(0.5, schedule="step", every=5, factor=0.2), lambda o: lr_scheduler.StepLR(o, 5, 0.2)),
        (
            OptimizerSpec(0.5, schedule="milestones", milestones=(3, 4, 9), factor=0.2),
            lambda o: lr_scheduler.MultiStepLR(o, [3, 4, 9], 0.2),
        ),
        (OptimizerSpec(0.5, schedule="constant"), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
        (
            OptimizerSpec(0.5, 0.01, schedule="warm-restarts", every=4),
            lambda o: lr_scheduler.CosineAnnealingWarmRestarts(o, 4, eta_min=0.01),
        ),
    ],
)
def test_rates_are_torchs(spec, scheduler):
    assert ours(spec, 12) == pytest.approx(torchs(scheduler, 12), rel=1e-12)


def test_a_plateau_is_torchs_with_a_patience_of_one_less():
    values = [0.1, 0.3, 0.2, 0.3, 0.3, 0.31, 0.2, 0.1, 0.0, 0.3, 0.3, 0.3, 0.4, 0.1]
    spec = OptimizerSpec(0.5, schedule="plateau", every=3, factor=0.1)
    theirs = torchs(lambda o: lr_scheduler.ReduceLROnPlateau(o, "max", factor=0.1, patience=2, threshold=0), 14, values)
    assert ours(spec, 14, values) == pytest.approx(theirs, rel=1e-12)
    assert drops_on_plateau(values, 3) == 3


def test_a_cosine_of_restarts_and_a_drop_stand_at_whole_epochs():
    spec = OptimizerSpec(0.5, 0.0, schedule="warm-restarts", every=3)
    for epochs in (7, 49, 300):
        assert [spec.rate(epoch, epochs) for epoch in (3, 6)] == [0.5, 0.5]
        assert spec.rate(2.999, epochs) < 1e-6


def test_a_warmup_rises_from_nothing():
    spec = OptimizerSpec(0.5, schedule="constant", warmup=2)
    assert [spec.rate(epoch, 10) for epoch in (0, 0.5, 1, 2, 5)] == [0, 0.125, 0.25, 0.5, 0.5]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"schedule": "step"}, "schedule step needs every"),
        ({"schedule": "cosine"}, "schedule cosine needs lr_final"),
        ({"schedule": "constant", "every": 3}, "schedule constant has no every .*every: null"),
        ({"schedule": "step", "every": 0}, "every must be positive"),
        ({"schedule": "step", "every": 2, "factor": 0.0}, "factor must be positive"),
        ({"schedule": "milestones"}, "milestones goes with schedule: milestones, which needs some"),
        ({"schedule": "constant", "milestones": (3,)}, "milestones goes with schedule: milestones"),
        (
            {"schedule": "milestones", "milestones": (3, 3)},
            r"milestones must be rising numbers of epochs, not \[3, 3\]",
        ),
        ({"schedule": "constant", "weight_decay": -0.1}, "weight_decay must not be negative, not -0.1"),
        ({"schedule": "constant", "weight_decay": 0.1, "kind": "bop"}, "weight_decay goes with kind: adam and sgd"),
        ({"schedule": "constant", "warmup": -1.0}, "warmup must not be negative, not -1"),
        ({"schedule": "step", "every": 2, "lr_final": 0.1}, "schedule step has no lr_final"),
    ],
)
def test_what_does_not_go_together_is_said(fields, message):
    with pytest.raises(UsageError, match=message):
        OptimizerSpec(0.5, **fields)
