"""Two ways to train, compared on the same samples: pairs of runs, such as one of each way for every seed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats

from ...errors import UsageError
from ..data.datasets import Split
from ..layers.sequences import whole_sequences
from .evaluate import class_scores
from .feed import load_feed
from .runs import load_run

__all__ = ["Paired", "hits", "paired"]

_CONFIDENCE = 0.95
_EVALUATED = 1000  # samples at a time


@dataclass(frozen=True, slots=True)
class Paired:
    """How much better the second of each pair is, in fractions of the samples.

    first, second: accuracies, run by run. difference: the mean of second - first. over_samples: its 95 % interval if
    the samples were drawn anew for these very networks (normal approximation on each sample's mean over the pairs).
    over_pairs: if the networks were trained anew from other seeds (Student's t on the pairs' differences); None for
    one pair, which says nothing of that.
    """

    samples: int
    first: tuple[float, ...]
    second: tuple[float, ...]
    difference: float
    over_samples: tuple[float, float]
    over_pairs: tuple[float, float] | None


def hits(run: Path | str, split: Split = "validation", data_dir: Path | str | None = None) -> NDArray[np.bool_]:
    """Which samples of its data set's split the best network of a run classifies right, with the weights (real or
    quantized) that its recipe evaluates."""
    trained = load_run(run)
    recipe, model = trained.recipe, trained.model
    feed = load_feed(recipe, split, data_dir, torch.device("cpu"))
    pieces = torch.arange(len(feed)).split(min(len(feed), whole_sequences(model, _EVALUATED)))
    right = [
        class_scores(model, images, recipe.evaluation).argmax(1) == labels for images, labels in feed.batches(pieces)
    ]
    found: NDArray[np.bool_] = torch.cat(right).numpy()
    return found


def paired(first: Sequence[NDArray[np.bool_]], second: Sequence[NDArray[np.bool_]]) -> Paired:
    """Compare the hits of pairs of runs, all on the same samples; UsageError if they do not pair up."""
    if not first or len(first) != len(second):
        raise UsageError(f"runs are compared pair by pair: {len(first)} and {len(second)} do not pair up")
    counts = {len(right) for right in (*first, *second)}
    if len(counts) != 1 or counts == {0}:
        raise UsageError(f"runs are compared on the same samples, not on {' and '.join(map(str, sorted(counts)))}")
    gains = np.stack(second).astype(np.float64) - np.stack(first)
    of_samples, of_pairs = gains.mean(0), gains.mean(1)
    return Paired(
        samples=len(of_samples),
        first=tuple(float(right.mean()) for right in first),
        second=tuple(float(right.mean()) for right in second),
        difference=float(gains.mean()),
        over_samples=_interval(of_samples, float(stats.norm.ppf((1 + _CONFIDENCE) / 2))),
        over_pairs=_interval(of_pairs, float(stats.t.ppf((1 + _CONFIDENCE) / 2, len(of_pairs) - 1)))
        if len(of_pairs) > 1
        else None,
    )


def _interval(values: NDArray[np.float64], quantile: float) -> tuple[float, float]:
    mean, reach = float(values.mean()), quantile * float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean - reach, mean + reach
