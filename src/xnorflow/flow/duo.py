"""Steps of BinaryDuo: both stages of training, what they came to, and the mismatch of gradients."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from .training import note_hardware

if TYPE_CHECKING:
    from ..train.data.datasets import Split
    from ..train.duo.mismatch import Variable
    from ..train.duo.mismatch_report import MismatchReport
    from ..train.duo.results import DuoResults
    from ..train.duo.train import StageResult
    from ..train.layers.surrogates import SurrogateName
    from ..train.loop.progress import Progress
    from ..train.recipe import Recipe

__all__ = ["duo_results", "gradient_mismatch", "train_duo"]


def train_duo(
    recipe: str | Path,
    out: Path | str | None = None,
    *,
    stages: Sequence[str] = ("coupled", "decoupled"),
    seeds: int = 1,
    data_dir: Path | str | None = None,
    device: str = "cpu",
    resume: bool = False,
    overrides: Sequence[str] = (),
    checkpoint_seconds: float = 60.0,
    workers: int = 2,
    watch: "Callable[[str], AbstractContextManager[Progress | None]]" = lambda _: nullcontext(None),
) -> "tuple[StageResult, ...]":
    """Train the stages of a recipe with `duo` into seed<S>/<stage> of a folder, `runs/<its name>` by default.

    Says at once, as a note, if a stage's network cannot become an integer network.
    """
    from ..train.duo.train import train_duo as run

    @contextmanager
    def noted(title: str, plan: "Recipe") -> "Iterator[Progress | None]":
        with watch(title) as progress:
            note_hardware(plan, progress)
            yield progress

    return run(
        recipe,
        out or Path("runs") / Path(recipe).stem,
        stages=stages,
        seeds=seeds,
        data_dir=data_dir,
        device=device,
        resume=resume,
        overrides=overrides,
        checkpoint_seconds=checkpoint_seconds,
        workers=workers,
        watch=noted,
    )


def duo_results(folder: Path | str, split: "Split" = "validation", data_dir: Path | str | None = None) -> "DuoResults":
    """Compare the stages that `train_duo` has finished, on the same samples."""
    from ..train.duo.results import duo_results as results

    return results(folder, split, data_dir)


def gradient_mismatch(
    sources: Sequence[Path | str],
    out: Path | str = Path("build/gradient-mismatch"),
    *,
    variable: "Variable" = "inputs",
    eps: float = 0.5,
    coordinates: int = 4096,
    images: int = 256,
    split: "Split" = "train",
    surrogates: "Sequence[SurrogateName]" = (),
    seed: int = 1,
    data_dir: Path | str | None = None,
) -> "MismatchReport":
    """Measure runs and recipes (`train.duo.mismatch_report`), and write mismatch.json and mismatch.png."""
    from ..train.duo.mismatch_report import measure_mismatch, write_mismatch

    report = measure_mismatch(
        sources,
        variable=variable,
        eps=eps,
        coordinates=coordinates,
        images=images,
        split=split,
        surrogates=surrogates,
        seed=seed,
        data_dir=data_dir,
    )
    write_mismatch(report, Path(out))
    return report
