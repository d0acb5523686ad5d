"""Commands on training: train, recipes, curves."""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .options import CheckpointSeconds, DataDir, Json, Workers, speaks
from .output import print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..train.loop.seeds import SeedsResult
    from ..train.loop.trainer import TrainResult

__all__ = ["curves", "recipes", "train"]


def recipes() -> None:
    """List the recipes."""
    from ..train.recipe import list_recipes

    found = list_recipes()
    width = max(len(name) for name, _ in found)
    print_lines(*(f"{name:{width}}  {description}" for name, description in found))


def curves(
    runs: Annotated[list[Path], typer.Argument(help="Folders of training runs.", metavar="RUN...", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Also draw them beside each other.", metavar="PNG")] = None,
    as_json: Json = False,
) -> None:
    """Compare training and validation of runs, such as twins with other weights or with dropout."""
    from .. import flow

    found = flow.curves(runs, out)
    if as_json:
        print_json({"runs": found})
        return
    rows = [
        (
            run.name,
            run.last.epoch,
            f"{run.last.loss:.5f}",
            f"{1 - run.last.train_accuracy:.2%}",
            f"{1 - run.last.val_accuracy:.2%}",
            f"{run.gap:+.2%}",
            f"{1 - run.best.val_accuracy:.2%}",
            run.best.epoch,
        )
        for run in found
    ]
    columns = ("run", "epochs", "loss", "training error", "validation error", "gap", "least", "at epoch")
    print_table(columns, rows)


def train(
    recipe: Annotated[str, typer.Argument(help="Known recipe, or a YAML file.", metavar="RECIPE", show_default=False)],
    out: Annotated[Path | None, typer.Option(help="Run folder. (default: runs/RECIPE)", metavar="DIR")] = None,
    data_dir: DataDir = None,
    epochs: Annotated[int | None, typer.Option(help="Instead of the recipe's.", metavar="N")] = None,
    seed: Annotated[int | None, typer.Option(help="Instead of the recipe's.", metavar="S")] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Runs with so many seeds, into DIR/seed-S; mean and spread.", metavar="N")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run that was cut off.")] = False,
    checkpoint_seconds: CheckpointSeconds = 60.0,
    workers: Workers = 2,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the recipe; repeatable.", metavar="KEY=VALUE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a network by a recipe; a run that was killed goes on with --resume, bit for bit.

    Under torchrun, as in `torchrun --nproc-per-node 2 -m xnorflow train ...`, the processes share each batch.
    """
    from .. import flow
    from .progress import training_progress

    with training_progress(sys.stderr) if speaks() else nullcontext() as progress:
        options: dict[str, Any] = {
            "data_dir": data_dir,
            "epochs": epochs,
            "seed": seed,
            "device": device,
            "resume": resume,
            "overrides": changes or (),
            "checkpoint_seconds": checkpoint_seconds,
            "workers": workers,
            "progress": progress,
        }
        result: TrainResult | SeedsResult
        if seeds is None:
            result = flow.train(recipe, out, **options)
        else:
            result = flow.train_seeds(recipe, out, seeds=seeds, **options)
    if not speaks():
        return
    if as_json:
        print_json(result)
    else:
        print_lines(_summary(result))


def _summary(result: "TrainResult | SeedsResult") -> str:
    from ..train.loop.trainer import TrainResult
    from .progress import entropy

    if isinstance(result, TrainResult):
        validation, test = f"{result.val_accuracy:.2%}", f"{result.test_accuracy:.2%}"
        if result.val_loss is not None and result.test_loss is not None:
            validation, test = entropy(result.val_loss), entropy(result.test_loss)
        return (
            f"{result.run}: best validation {validation} at epoch {result.best_epoch}, test {test}, "
            f"{result.seconds:.0f} s"
        )
    return (
        f"{result.out}: {len(result.seeds)} seeds, best validation {result.val_mean:.2%} +- {result.val_spread:.2%}, "
        f"test {result.test_mean:.2%} +- {result.test_spread:.2%}, {result.seconds:.0f} s"
    )
