"""A trained run evaluated in PyTorch, with the weights that one wants to see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..errors import UsageError

__all__ = ["RunEvaluation", "WeightsAtTest", "evaluate_run"]

WeightsAtTest = Literal["binary", "real", "ensemble"]


@dataclass(frozen=True, slots=True)
class RunEvaluation:
    """draws: sampled networks of an ensemble, 0 for the others. accuracy: a fraction of the images."""

    run: str
    data: str
    split: str
    weights: WeightsAtTest
    draws: int
    images: int
    accuracy: float


def evaluate_run(
    run_dir: Path | str,
    *,
    weights: WeightsAtTest = "binary",
    draws: int = 20,
    seed: int = 1,
    split: str = "test",
    limit: int | None = None,
    data_dir: Path | str | None = None,
) -> RunEvaluation:
    """Accuracy of a run's best network on its data set.

    weights: BinaryConnect's three options at test time (1511.00363, section 2.6), see `evaluate.class_scores`: the
    quantized ones, which alone go to hardware; the real ones; an ensemble of `draws` networks of stochastic weights,
    sampled from `seed`.
    """
    import torch

    from ..train.loop.evaluate import accuracy
    from ..train.loop.feed import read_samples
    from ..train.loop.runs import load_run

    if limit is not None and limit < 1:
        raise UsageError(f"the number of images must be positive, not {limit}")
    if draws < 1:
        raise UsageError(f"the number of draws must be positive, not {draws}")
    run = load_run(run_dir)
    images, labels = read_samples(run.recipe, split, data_dir, limit)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        hit = accuracy(run.model, images, labels, weights, draws)
    used = draws if weights == "ensemble" else 0
    return RunEvaluation(str(run_dir), run.recipe.dataset, split, weights, used, len(labels), hit)
