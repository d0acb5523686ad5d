"""BinaryDuo from one recipe: the stages one after the other, each a run of its own."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

from ...errors import UsageError
from ..loop.processes import process_group, training_device
from ..loop.progress import Progress
from ..loop.trainer import TrainResult, train_recipe
from ..recipe import Recipe, load_recipe, with_overrides
from .stages import STAGES, Stage, stage_recipe

__all__ = ["StageResult", "train_duo"]


@dataclass(frozen=True, slots=True)
class StageResult:
    """One finished run."""

    stage: Stage
    result: TrainResult


def train_duo(
    recipe: Recipe | str | Path,
    out: Path | str,
    *,
    stages: Sequence[str] = ("coupled", "decoupled"),
    seeds: int = 1,
    data_dir: Path | str | None = None,
    device: str = "cpu",
    resume: bool = False,
    overrides: Sequence[str] = (),
    checkpoint_seconds: float = 60.0,
    workers: int = 2,
    watch: Callable[[str, Recipe], AbstractContextManager[Progress | None]] = lambda *_: nullcontext(None),
) -> tuple[StageResult, ...]:
    """Train the stages of a recipe with `duo` (BinaryDuo, section 4) into `out`/seed<S>/<stage>.

    stages: of `stages.STAGES`, done in that order; "decoupled" and "tuned" begin with the run of "coupled", which must
    be among them or there. seeds: so many, from the recipe's on. resume: finished stages are left alone, one that was
    cut off goes on. watch: gives each run its progress, by its title and recipe. The rest, and the errors, as of
    `train_recipe`. Under torchrun the processes share each run.
    """
    for stage in stages:
        if stage not in STAGES:
            raise UsageError(f"unknown stage {stage!r}; the stages are {', '.join(STAGES)}")
    if seeds < 1:
        raise UsageError(f"seeds must be at least 1, not {seeds}")
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    recipe = with_overrides(recipe, overrides)
    wanted = [stage for stage in STAGES if stage in stages]
    results = []
    with process_group(training_device(device)):  # one for all runs: torchrun's meeting place serves once
        for seed in range(recipe.seed, recipe.seed + seeds):
            folder = Path(out) / f"seed{seed}"
            for stage in wanted:
                plan = stage_recipe(replace(recipe, seed=seed), stage, folder / "coupled")
                with watch(f"{stage}, seed {seed}", plan) as progress:
                    result = train_recipe(
                        plan,
                        folder / stage,
                        data_dir=data_dir,
                        device=device,
                        resume=resume,
                        checkpoint_seconds=checkpoint_seconds,
                        workers=workers,
                        progress=progress,
                    )
                results.append(StageResult(stage, result))
    return tuple(results)
