"""Gradient mismatch of recipes and runs: measured, kept as JSON, drawn."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from ...errors import DataError, UsageError
from ...files import atomic_write
from ..data.datasets import Split
from ..layers.surrogates import SurrogateName
from ..loop.feed import read_samples
from ..loop.runs import load_run
from ..models.build import build_model
from ..recipe import Recipe, load_recipe
from .mismatch import LayerMismatch, SampleLoss, Variable, gradient_mismatch

__all__ = ["MismatchReport", "NetworkMismatch", "draw_mismatch", "measure_mismatch", "sample_loss", "write_mismatch"]

_COLOURS = ("#c8501e", "#1f5fa8", "#3c8c3c", "#7a4fa3", "#8a6d1f", "#555555")


@dataclass(frozen=True, slots=True)
class NetworkMismatch:
    """source: the run or recipe as it was named. activation: the model's, as its recipe says. trained: by a run."""

    source: str
    activation: str
    trained: bool
    figures: tuple[LayerMismatch, ...]


@dataclass(frozen=True, slots=True)
class MismatchReport:
    """What was measured, with everything that decides it; see `mismatch` for the terms."""

    variable: Variable
    eps: float
    batchnorm: str
    split: Split
    images: int
    coordinates: int
    seed: int
    networks: tuple[NetworkMismatch, ...]


def measure_mismatch(
    sources: Sequence[Path | str],
    *,
    variable: Variable = "inputs",
    eps: float = 0.5,
    coordinates: int = 4096,
    images: int = 256,
    split: Split = "train",
    surrogates: Sequence[SurrogateName] = (),
    seed: int = 1,
    data_dir: Path | str | None = None,
) -> MismatchReport:
    """The mismatch of each source: the best network of a run's folder, or a recipe's network as it is initialised.

    images: the first so many of the split. surrogates: for the networks whose activations all have one bit. UsageError
    and DataError as of `load_run`, `load_recipe`, `load_feed` and `gradient_mismatch`.
    """
    if images < 1:
        raise UsageError(f"images must be at least 1, not {images}")
    found = []
    for source in sources:
        trained = Path(source).is_dir()
        if trained:
            run = load_run(source)
            recipe, model = run.recipe, run.model
        else:
            recipe = load_recipe(source)
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(recipe.seed)
                model = build_model(recipe)
        values, labels = read_samples(recipe, split, data_dir, images)
        activation = recipe.model.activation
        figures = gradient_mismatch(
            model,
            values,
            labels,
            sample_loss(recipe),
            variable=variable,
            eps=eps,
            coordinates=coordinates,
            surrogates=surrogates if activation.bits == 1 and activation.kind != "ternary" else (),
            seed=seed,
        )
        bits = f" {activation.bits}-bit" if activation.kind not in ("ternary", "float") else ""
        found.append(NetworkMismatch(str(source), activation.kind + bits, trained, figures))
    return MismatchReport(variable, eps, "eval", split, images, coordinates, seed, tuple(found))


def sample_loss(recipe: Recipe) -> SampleLoss:
    """The recipe's loss of each sample for itself; `loop.losses` takes their mean."""
    if recipe.loss == "cross-entropy":
        return partial(F.cross_entropy, reduction="none", label_smoothing=recipe.label_smoothing)
    return _square_hinges


def _square_hinges(scores: Tensor, labels: Tensor) -> Tensor:
    target = torch.full_like(scores, -1.0).scatter_(1, labels[:, None], 1.0)
    return torch.relu(1 - target * scores).square().mean(1)


def write_mismatch(report: MismatchReport, folder: Path) -> tuple[Path, Path]:
    """mismatch.json and mismatch.png in the folder; DataError if the disk refuses."""
    data, plot = folder / "mismatch.json", folder / "mismatch.png"
    try:
        atomic_write(data, json.dumps(asdict(report), indent=2) + "\n")
        atomic_write(plot, draw_mismatch(report))
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}") from error
    return data, plot


def draw_mismatch(report: MismatchReport) -> bytes:
    """A PNG: the cosine of each layer, a line for each network, intervals as bars, surrogates broken."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)  # drawn without pyplot: no display, no global state
    axes = figure.subplots()
    for number, network in enumerate(report.networks):
        colour = _COLOURS[number % len(_COLOURS)]
        for backward in dict.fromkeys(item.backward for item in network.figures):
            own = backward == "own"
            shown = [item for item in network.figures if item.backward == backward and item.cosine is not None]
            middle = [item.cosine or 0.0 for item in shown]
            ends = [item.interval or (item.cosine or 0.0,) * 2 for item in shown]
            axes.errorbar(
                [item.layer for item in shown],
                middle,
                yerr=[
                    [max(0.0, m - low) for m, (low, _) in zip(middle, ends, strict=True)],
                    [max(0.0, high - m) for m, (_, high) in zip(middle, ends, strict=True)],
                ],
                color=colour if own else None,
                linestyle="-" if own else "--",
                marker="o" if own else ".",
                capsize=3,
                label=f"{network.activation}, {Path(network.source).name}" + ("" if own else f", {backward}"),
            )
    axes.set(
        ylabel="cosine with the discrete gradient",
        title=f"{report.variable}, eps {report.eps:g}, BatchNorm in {report.batchnorm} mode",
    )
    axes.axhline(0, color="#999999", linewidth=0.8)
    axes.grid(alpha=0.3)
    axes.legend(frameon=False, fontsize="small")
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    return buffer.getvalue()
