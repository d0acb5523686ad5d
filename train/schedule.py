"""Learning rates by name, as torch.optim.lr_scheduler has them, as a function of where the run is. No torch here.

A function of the place needs no state in a checkpoint, and is the same wherever a run was cut.
"""

import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

__all__ = ["ScheduleName", "drops_on_plateau", "schedule_rate"]

ScheduleName: TypeAlias = Literal["exponential", "cosine", "constant", "step", "milestones", "warm-restarts", "plateau"]


def schedule_rate(
    name: ScheduleName,
    lr: float,
    lr_final: float | None,
    every: int,
    factor: float,
    epoch: float,
    epochs: int,
    accuracies: Sequence[float],
    milestones: Sequence[int] = (),
) -> float:
    """The learning rate where `epoch` of `epochs` epochs are done, a fraction of the present one counted in.

    exponential: lr (lr_final / lr)^(epoch / epochs). cosine: half a wave from lr to lr_final. constant: lr.
    step: times `factor` after each `every` epochs (StepLR). milestones: times `factor` where so many epochs are done
    (MultiStepLR). warm-restarts: a cosine from lr to lr_final in each
    `every` epochs anew (SGDR, 1608.03983, with T_mult = 1). plateau: times `factor` for each of `drops_on_plateau`, of
    the validation `accuracies` of the epochs that are done.
    """
    final = lr if lr_final is None else lr_final
    t = epoch / epochs
    match name:
        case "exponential":
            return lr * math.pow(final / lr, t)
        case "cosine":
            return _cosine(lr, final, t)
        case "warm-restarts":
            return _cosine(lr, final, epoch % every / every)
        case "step":
            return lr * math.pow(factor, epoch // every)
        case "milestones":
            return lr * math.pow(factor, sum(epoch >= milestone for milestone in milestones))
        case "plateau":
            return lr * math.pow(factor, drops_on_plateau(accuracies, every))
        case "constant":
            return lr


def _cosine(lr: float, final: float, t: float) -> float:
    return final + (lr - final) * (1 + math.cos(math.pi * t)) / 2


def drops_on_plateau(accuracies: Sequence[float], patience: int) -> int:
    """How often the rate has fallen: each time that `patience` epochs in a row brought no new best accuracy.

    Torch's ReduceLROnPlateau with mode max and threshold 0, but that it waits for more than `patience` epochs.
    """
    best, waited, drops = -math.inf, 0, 0
    for accuracy in accuracies:
        if accuracy > best:
            best, waited = accuracy, 0
        else:
            waited += 1
        if waited == patience:
            waited, drops = 0, drops + 1
    return drops
