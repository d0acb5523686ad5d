"""The first step: a recipe becomes a trained run, or several that differ in their seeds."""

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING

from ..errors import UnsupportedLayerError, UsageError

if TYPE_CHECKING:
    from ..train.loop.curves import RunCurves
    from ..train.loop.progress import Progress
    from ..train.loop.seeds import SeedsResult
    from ..train.loop.trainer import TrainResult
    from ..train.recipe import Recipe

__all__ = ["curves", "note_hardware", "train", "train_seeds"]

_NOTE = 400  # characters of a note that may have very much to list


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
    checkpoint_seconds: float = 60.0,
    workers: int = 2,
    progress: "Progress | None" = None,
) -> "TrainResult":
    """Train by a recipe (a known name or a YAML file) into a run folder, `runs/<its name>` by default.

    Says at once, as a note, if the network cannot become an integer network.
    """
    from ..train.loop.trainer import train_recipe
    from ..train.recipe import load_recipe, with_overrides

    whole = with_overrides(load_recipe(recipe), overrides, epochs=epochs, seed=seed)
    note_hardware(whole, progress)
    return train_recipe(
        whole,
        out or _default_folder(recipe),
        data_dir=data_dir,
        device=device,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        workers=workers,
        progress=progress,
    )


def train_seeds(
    recipe: str | Path,
    out: Path | str | None = None,
    *,
    seeds: int,
    data_dir: Path | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    overrides: Sequence[str] = (),
    checkpoint_seconds: float = 60.0,
    workers: int = 2,
    progress: "Progress | None" = None,
) -> "SeedsResult":
    """Train by a recipe with so many seeds, from the recipe's on; means and spreads. Otherwise as `train`."""
    from ..train.loop.seeds import train_seeds
    from ..train.recipe import load_recipe, with_overrides

    whole = with_overrides(load_recipe(recipe), overrides, epochs=epochs, seed=seed)
    note_hardware(whole, progress)
    return train_seeds(
        whole,
        out or _default_folder(recipe),
        seeds,
        data_dir=data_dir,
        device=device,
        resume=resume,
        checkpoint_seconds=checkpoint_seconds,
        workers=workers,
        progress=progress,
    )


def curves(runs: Sequence[Path | str], out: Path | str | None = None) -> "tuple[RunCurves, ...]":
    """Training and validation curves of runs, finished or not; drawn beside each other if `out` names a PNG."""
    from ..train.loop.curves import draw_twins, read_curves

    found = read_curves([Path(run) for run in runs])
    if out is not None:
        draw_twins(Path(out), found)
    return found


def _default_folder(recipe: str | Path) -> Path:
    return Path("runs") / Path(recipe).stem


def note_hardware(recipe: "Recipe", progress: "Progress | None") -> None:
    """Say why `compile` would refuse the recipe's network, in short; a float twin is trained all the same."""
    import numpy as np

    from ..compiler.lowering.draft import check_module
    from ..train.models.build import build_model

    if progress is None:
        return
    model, info = build_model(recipe), recipe.info
    shape = (len(info.class_names),) if info.tokens else info.shape
    try:
        check_module(model, np.zeros((1, *shape), np.uint8))
    except (UnsupportedLayerError, UsageError) as error:
        progress.note(shorten(f"this network trains, but will not reach hardware: {error}", _NOTE, placeholder=" ..."))
