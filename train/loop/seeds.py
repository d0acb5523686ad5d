"""One recipe with several seeds: means, and how far single runs are from them."""

import json
import statistics
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ...errors import DataError, UsageError
from ...files import atomic_write
from ..recipe import Recipe
from .processes import process_group, training_device
from .trainer import train_recipe

__all__ = ["SeedsResult", "train_seeds"]


@dataclass(frozen=True, slots=True)
class SeedsResult:
    """Runs of one recipe that differ in the seed alone; seeds.json holds the same.

    mean, spread: of the runs' accuracies, the spread being the standard deviation of a sample (n - 1).
    """

    out: Path
    recipe: str
    seeds: tuple[int, ...]
    val_accuracies: tuple[float, ...]
    test_accuracies: tuple[float, ...]
    val_mean: float
    val_spread: float
    test_mean: float
    test_spread: float
    seconds: float


def train_seeds(
    recipe: Recipe,
    out: Path | str,
    seeds: int,
    *,
    device: str = "cpu",
    **options: Any,
) -> SeedsResult:
    """Train the recipe with `seeds` seeds, its own and those that follow, into out/seed-<seed>; write out/seeds.json.

    device, options: those of `train_recipe`; with resume, finished runs are taken as they are. Under torchrun the
    processes share each run.
    UsageError for fewer than two seeds.
    """
    if seeds < 2:
        raise UsageError(f"--seeds must be at least 2, not {seeds}: one run has no spread")
    folder, numbers = Path(out), tuple(range(recipe.seed, recipe.seed + seeds))
    with process_group(training_device(device)) as group:  # one for all runs: torchrun's meeting place serves once
        results = [
            train_recipe(replace(recipe, seed=seed), folder / f"seed-{seed}", device=device, **options)
            for seed in numbers
        ]
    validation, test = (
        tuple(getattr(result, name) for result in results) for name in ("val_accuracy", "test_accuracy")
    )
    result = SeedsResult(
        out=folder,
        recipe=recipe.name,
        seeds=numbers,
        val_accuracies=validation,
        test_accuracies=test,
        val_mean=statistics.mean(validation),
        val_spread=statistics.stdev(validation),
        test_mean=statistics.mean(test),
        test_spread=statistics.stdev(test),
        seconds=round(sum(result.seconds for result in results), 3),
    )
    if not group.first:
        return result
    summary = {key: value for key, value in asdict(result).items() if key != "out"}
    try:
        atomic_write(folder / "seeds.json", json.dumps(summary, indent=2) + "\n")
    except OSError as error:
        raise DataError(f"cannot write {folder / 'seeds.json'}: {error.strerror or error}") from error
    return result
