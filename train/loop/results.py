"""What a finished run has come to."""

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from ...errors import DataError
from ...files import atomic_write
from ..recipe import Recipe
from .checkpoint import load_tensors, load_weights, parse
from .metrics import Measured, draw_curves
from .runs import RunFolder, read_summary
from .state import TrainingState

__all__ = ["TrainResult", "finish", "finished"]


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a finished run has come to; summary.json holds the same.

    best_epoch: the first of the best on the validation samples, whose weights are kept and which is tested once, at the
    end. val_loss, test_loss: of a text of tokens, `metrics.Measured.loss`. seconds: of all epochs, those before a
    resume included.
    """

    run: Path
    recipe: str
    epochs: int
    best_epoch: int
    val_accuracy: float
    test_accuracy: float
    parameters: int
    seed: int
    threads: int
    device: str
    torch: str
    seconds: float
    val_loss: float | None = None
    test_loss: float | None = None


def finish(
    recipe: Recipe,
    state: TrainingState,
    folder: RunFolder,
    device: torch.device,
    on_test: Callable[[], Measured],
    writes: bool,
) -> TrainResult:
    """Read the test samples once, with the best epoch's weights; draw the curves; write the summary last."""
    load_weights(state.model, load_tensors(folder.best)[0], folder.best)
    tested = on_test()
    result = TrainResult(
        run=folder.path,
        recipe=recipe.name,
        epochs=recipe.epochs,
        best_epoch=state.best.epoch,
        val_accuracy=state.best.val_accuracy,
        test_accuracy=tested.accuracy,
        parameters=sum(p.numel() for p in state.model.parameters()),
        seed=recipe.seed,
        threads=torch.get_num_threads(),
        device=device.type,
        torch=torch.__version__,
        seconds=round(sum(r.seconds for r in state.records), 3),
        val_loss=state.best.val_loss,
        test_loss=tested.loss,
    )
    if not writes:
        return result
    try:
        draw_curves(folder.curves, state.records, recipe.name)
        summary = {key: value for key, value in asdict(result).items() if key != "run"}
        atomic_write(folder.summary, json.dumps(summary, indent=2) + "\n")
    except OSError as error:
        raise DataError(f"cannot write {folder.path}: {error.strerror or error}") from error
    return result


def finished(folder: RunFolder) -> TrainResult:
    """The result of a run that has ended."""
    return parse(TrainResult, {**read_summary(folder.summary), "run": folder.path}, folder.summary)
