"""Commands on BinaryDuo: train-duo, duo-results, gradient-mismatch."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Annotated

import typer

from .options import CheckpointSeconds, DataDir, Json, Workers, one_of, speaks
from .output import log, print_json, print_lines, print_table

if TYPE_CHECKING:
    from ..train.loop.progress import Progress

__all__ = ["duo_results", "gradient_mismatch", "train_duo"]


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
    checkpoint_seconds: CheckpointSeconds = 60.0,
    workers: Workers = 2,
    changes: Annotated[
        list[str] | None, typer.Option("--set", help="Change a key of the recipe; repeatable.", metavar="KEY=VALUE")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train by BinaryDuo: a ternary network, decoupled into a 1-bit one that computes the same and is tuned.

    Under torchrun the processes share each batch, as for `train`.
    """
    from .. import flow
    from .progress import training_progress

    @contextmanager
    def watch(title: str) -> "Iterator[Progress | None]":
        if not speaks():
            yield None
            return
        log(title)
        with training_progress(sys.stderr) as progress:
            yield progress

    done = flow.train_duo(
        recipe,
        out,
        stages=[name.strip() for name in stages.split(",")],
        seeds=seeds,
        data_dir=data_dir,
        device=device,
        resume=resume,
        overrides=changes or (),
        checkpoint_seconds=checkpoint_seconds,
        workers=workers,
        watch=watch,
    )
    if not speaks():
        return
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
    from .. import flow

    found = flow.duo_results(folder, one_of("--split", split, ("train", "validation", "test")), data_dir)
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


def gradient_mismatch(
    sources: Annotated[
        list[str],
        typer.Argument(help="Folders of training runs, or recipes.", metavar="RUN-or-RECIPE...", show_default=False),
    ],
    out: Annotated[Path, typer.Option(help="Folder for mismatch.json and mismatch.png.", metavar="DIR")] = Path(
        "build/gradient-mismatch"
    ),
    variable: Annotated[
        str, typer.Option(help="inputs of the activations, sample by sample, or weights, of a batch.")
    ] = "inputs",
    eps: Annotated[
        float, typer.Option(help="Step of the discrete gradient: absolute for inputs, times the rms of weights.")
    ] = 0.5,
    coordinates: Annotated[int, typer.Option(help="Drawn in each layer; all, where there are no more.")] = 4096,
    images: Annotated[int, typer.Option(help="The first so many of the split.", metavar="N")] = 256,
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    surrogates: Annotated[
        str, typer.Option(help="Other gradients for the networks of 1-bit activations.", metavar="NAME,...")
    ] = "",
    seed: Annotated[int, typer.Option(help="Of the coordinates drawn.", metavar="S")] = 1,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Measure how far straight-through gradients point from those of the smoothed loss, layer by layer (BinaryDuo)."""
    from .. import flow
    from ..train.layers.surrogates import SURROGATES

    report = flow.gradient_mismatch(
        sources,
        out,
        variable=one_of("--variable", variable, ("inputs", "weights")),
        eps=eps,
        coordinates=coordinates,
        images=images,
        split=one_of("--split", split, ("train", "validation", "test")),
        surrogates=[one_of("--surrogates", name, list(SURROGATES)) for name in surrogates.replace(",", " ").split()],
        seed=seed,
        data_dir=data_dir,
    )
    if as_json:
        print_json(report)
        return
    rows = [
        (
            Path(network.source).name,
            network.activation,
            item.backward,
            item.layer,
            "-" if item.cosine is None else f"{item.cosine:+.3f}",
            "all" if item.exhaustive else "-" if item.interval is None else "{:+.3f} to {:+.3f}".format(*item.interval),
            f"{item.coordinates:,}",
            f"{item.still:.1%}",
        )
        for network in report.networks
        for item in network.figures
    ]
    columns = ("network", "activation", "backward", "layer", "cosine", "95 %", "coordinates", "unmoved")
    print_table(columns, rows, left=4)
    print_lines(f"{variable}, eps {eps:g}, BatchNorm in {report.batchnorm} mode, {images} images of {split}; {out}")
