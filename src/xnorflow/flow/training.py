"""The first step: a recipe becomes a trained run."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..train.loop.progress import Progress
    from ..train.loop.trainer import TrainResult

__all__ = ["train"]


def train(
    recipe: str | Path,
    out: Path | str | None = None,
    *,
    data_dir: Path | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    overrides: Sequence[str] = (),
    progress: "Progress | None" = None,
) -> "TrainResult":
    """Train by a recipe (a known name or a YAML file) into a run folder, `runs/<its name>` by default."""
    from ..train.loop.trainer import train_recipe

    return train_recipe(
        recipe,
        out or Path("runs") / Path(recipe).stem,
        data_dir=data_dir,
        epochs=epochs,
        seed=seed,
        device=device,
        resume=resume,
        overrides=overrides,
        progress=progress,
    )
