"""Commands on BinaryDuo: train-duo, duo-results."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from .options import DataDir, Json
from .output import log, print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..train.loop.progress import Progress

__all__ = ["duo_results", "train_duo"]


def train_duo(
    recipe: Annotated[
        str, typer.Argument(help="Known recipe with duo:, or a YAML file.", metavar="RECIPE", show_default=False)
    ],
    out: Annotated[
        Path | None, typer.Option(help="Folder of the runs, seedS/STAGE. (default: runs/RECIPE)", metavar="DIR")
    ] = None,
    stages: Annotated[
        str,
        typer.Option(
            help="Of baseline (1 bit, from scratch), coupled (ternary), tuned (coupled, trained on), decoupled.",
            metavar="STAGE,...",
        ),
    ] = "coupled,decoupled",
    seeds: Annotated[int, typer.Option(help="So many seeds, from the recipe's on.", metavar="N")] = 1,
    data_dir: DataDir = None,
    device: Annotated[str, typer.Option(help="cpu or cuda.")] = "cpu",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it was cut off; add stages or seeds.")] = False,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the recipe; repeatable.", metavar="KEY=VALUE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train by BinaryDuo: a ternary network, decoupled into a 1-bit one that computes the same and is tuned."""
    from ..train.duo.train import train_duo as run
    from .progress import training_progress

    @contextmanager
    def watch(title: str) -> "Iterator[Progress]":
        log(title)
        with training_progress(sys.stderr) as progress:
            yield progress

    done = run(
        recipe,
        out or Path("runs") / Path(recipe).stem,
        stages=[name.strip() for name in stages.split(",")],
        seeds=seeds,
        data_dir=data_dir,
        device=device,
        resume=resume,
        overrides=changes or (),
        watch=watch,
    )
    if as_json:
        print_json({"stages": done})
        return
    rows = [
        (
            item.stage,
            item.result.seed,
            item.result.epochs,
            f"{item.result.val_accuracy:.2%}",
            f"{item.result.test_accuracy:.2%}",
            f"{item.result.parameters:,}",
            item.result.run,
        )
        for item in done
    ]
    print_table(("stage", "seed", "epochs", "validation", "test", "parameters", "run"), rows)


def duo_results(
    folder: Annotated[Path, typer.Argument(help="What train-duo wrote.", metavar="DIR", show_default=False)],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "validation",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Compare the stages that train-duo has finished, on the same images, with 95 % intervals."""
    from ..errors import UsageError
    from ..train.duo.results import duo_results as results

    if split not in ("train", "validation", "test"):
        raise UsageError(f"--split takes train, validation or test, not {split!r}")
    found = results(folder, split, data_dir)
    if as_json:
        print_json(found)
        return
    print_table(
        ("stage", "seeds", f"mean {split}", "each"),
        [
            (stage, len(runs), f"{fmean(runs.values()):.2%}", " ".join(f"{value:.2%}" for value in runs.values()))
            for stage, runs in found.accuracies.items()
        ],
    )
    for gain in found.gains:
        both = gain.paired
        low, high = both.over_samples
        seeds = f", over seeds {both.over_pairs[0]:+.2%} to {both.over_pairs[1]:+.2%}" if both.over_pairs else ""
        print_lines(
            f"{gain.stage} - {gain.over}: {both.difference:+.2%} on {both.samples:,} samples, {' '.join(gain.seeds)}; "
            f"95 % interval over samples {low:+.2%} to {high:+.2%}{seeds}"
        )
