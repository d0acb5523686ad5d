"""A run's folder: its files, what it may be used for, and a finished run as an object."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from ...config import to_mapping
from ...errors import DataError, UsageError
from ...files import atomic_write
from ..models.build import build_model
from ..recipe import Recipe, load_recipe, recipe_yaml
from .checkpoint import load_tensors, load_weights, parse
from .metrics import EpochRecord

__all__ = ["AboutBest", "AboutCheckpoint", "RunFolder", "TrainedRun", "load_run", "read_summary"]


@dataclass(frozen=True, slots=True)
class AboutBest:
    """What best.safetensors says of its weights."""

    recipe: Recipe
    epoch: int
    val_accuracy: float


@dataclass(frozen=True, slots=True)
class AboutCheckpoint:
    """What checkpoint.safetensors holds beside tensors: the records of the epochs that are done, the thread count, and
    of the present epoch how many steps are done, with the sums over them that `state.TrainingState` keeps."""

    records: tuple[EpochRecord, ...]
    threads: int
    step: int = 0
    loss: float = 0.0
    hits: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class RunFolder:
    """The names of a run's files."""

    path: Path

    @property
    def recipe(self) -> Path:
        """The recipe with every key, overrides applied; the first file written."""
        return self.path / "recipe.yaml"

    @property
    def metrics(self) -> Path:
        """One JSON line per epoch."""
        return self.path / "metrics.jsonl"

    @property
    def curves(self) -> Path:
        """The metrics drawn."""
        return self.path / "curves.png"

    @property
    def best(self) -> Path:
        """The weights of the best validation epoch."""
        return self.path / "best.safetensors"

    @property
    def checkpoint(self) -> Path:
        """All that a resumed run needs."""
        return self.path / "checkpoint.safetensors"

    @property
    def summary(self) -> Path:
        """The result; written last, so its presence says that the run is finished."""
        return self.path / "summary.json"

    def claim(self, recipe: Recipe, resume: bool) -> None:
        """Make the folder this recipe's run, or find that it is; UsageError where it is somebody else's.

        With resume a folder without a run is a run that was killed before it wrote anything.
        """
        try:
            if not self.recipe.exists():
                atomic_write(self.recipe, recipe_yaml(recipe))
                return
        except OSError as error:
            raise DataError(f"cannot write {self.recipe}: {error.strerror or error}") from error
        if not resume:
            raise UsageError(f"{self.path} holds a run already; --resume goes on with it, another --out starts anew")
        stored = load_recipe(self.recipe)
        if stored != recipe:
            raise UsageError(f"{self.path} was started with {_differences(stored, recipe)}; resume with the same")
        for kind in (self.metrics, self.curves, self.best, self.checkpoint, self.summary):
            for part in self.path.glob(f".{kind.name}.*"):  # what a kill in the middle of a write left behind
                part.unlink(missing_ok=True)


def _differences(stored: Recipe, wanted: Recipe) -> str:
    earlier, now = _flat(to_mapping(stored)), _flat(to_mapping(wanted))
    return ", ".join(f"{key} = {earlier[key]} (now {now[key]})" for key in earlier if earlier[key] != now[key])


def _flat(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        flat |= _flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {prefix + key: value}
    return flat


@dataclass(frozen=True, slots=True, eq=False)
class TrainedRun:
    """model: in eval mode on the CPU, with the weights of the best validation epoch, raw samples to scores.

    summary: the contents of summary.json; empty while the run is not finished.
    """

    model: nn.Sequential
    recipe: Recipe
    input_shape: tuple[int, ...]
    class_names: tuple[str, ...]
    summary: Mapping[str, Any]


def load_run(run_dir: Path | str) -> TrainedRun:
    """The best network of a run so far; DataError if the folder holds none or a damaged one."""
    folder = RunFolder(Path(run_dir))
    if not folder.best.is_file():
        raise DataError(f"{folder.path} holds no trained network (no {folder.best.name}); train one into it first")
    tensors, about = load_tensors(folder.best)
    recipe = parse(AboutBest, about, folder.best).recipe
    model = build_model(recipe)
    load_weights(model, tensors, folder.best)
    info = recipe.info
    summary = read_summary(folder.summary) if folder.summary.exists() else {}
    shape = (len(info.class_names),) if info.tokens else info.shape
    return TrainedRun(model.eval(), recipe, shape, info.class_names, summary)


def read_summary(path: Path) -> Mapping[str, Any]:
    """The contents of a summary.json; DataError if it cannot be read or is damaged."""
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise DataError(f"{path} is damaged: not JSON") from error
    if not isinstance(summary, dict):
        raise DataError(f"{path} is damaged: not a JSON object")
    return summary
