"""Commands on training: train, recipes."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from .options import DataDir, Json
from .output import print_json, print_lines

__all__ = ["recipes", "train"]


def recipes() -> None:
    """List the recipes."""
    from ..train.recipe import list_recipes

    for name, description in list_recipes():
        print_lines(f"{name:20} {description}")


def train(
    recipe: Annotated[str, typer.Argument(help="Known recipe, or a YAML file.", metavar="RECIPE", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Run folder. (default: runs/RECIPE)", metavar="DIR")] = None,
    data_dir: DataDir = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.", metavar="S")] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut off.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the recipe; repeatable.", metavar="KEY=VALUE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network by a recipe; a run that was killed goes on with --resume, bit for bit."""
    from .. import flow
    from .progress import training_progress

    with training_progress(sys.stderr) as progress:
        result = flow.train(
            recipe,
            out,
            data_dir=data_dir,
            epochs=epochs,
            seed=seed,
            device=device,
            resume=resume,
            overrides=changes or (),
            progress=progress,
        )
    if as_json:
        print_json(result)
    else:
        print_lines(
            f"{result.run}: best validation {result.val_accuracy:.2%} at epoch {result.best_epoch}, "
            f"test {result.test_accuracy:.2%}, {result.seconds:.0f} s"
        )
