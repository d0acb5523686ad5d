"""The trainer, to be read from top to bottom.

Killed at any moment and resumed, a run ends with the same weights, bit for bit (same machine, versions and thread
count): an epoch's end is written as one atomic file with weights, optimizer, random states and records; what came
after it is done again in the same way.
"""

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ...config import to_mapping
from ...errors import DataError, InterruptedRunError, UsageError
from ...files import atomic_write, take_folder
from ..data.augment import distort
from ..data.datasets import DATASETS, load_dataset
from ..layers.modules import QuantConv2d, QuantLinear
from ..layers.recurrent import QuantRecurrent
from ..models.build import build_model
from ..recipe import Recipe, load_recipe, with_overrides
from .checkpoint import (
    load_tensors,
    load_weights,
    optimizer_tensors,
    parse,
    random_tensors,
    restore_optimizer,
    restore_random,
    save_tensors,
)
from .evaluate import accuracy
from .losses import build_loss
from .metrics import EpochRecord, append_record, draw_curves, write_metrics
from .optim import build_optimizer, set_learning_rate
from .progress import Progress
from .runs import AboutBest, AboutCheckpoint, RunFolder, read_summary

__all__ = ["TrainResult", "train_recipe"]

_deterministic: Any = torch.utils.deterministic  # its one setting is made by a module class that mypy cannot see


@dataclass(frozen=True, slots=True)
class TrainResult:
    """What a finished run has come to; summary.json holds the same.

    best_epoch: the first with the greatest validation accuracy, whose weights are kept and whose test accuracy is
    read once, at the end. seconds: of all epochs, those before a resume included.
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


@dataclass(slots=True)
class _State:
    """Everything of a run that changes."""

    model: nn.Sequential
    optimizer: torch.optim.Optimizer
    device: torch.device
    records: list[EpochRecord]

    @property
    def best(self) -> EpochRecord:
        return max(self.records, key=lambda record: record.val_accuracy)  # the first of equals


@dataclass(frozen=True, slots=True)
class _Data:
    """Raw samples and labels on the training device."""

    images: Tensor
    labels: Tensor


def train_recipe(
    recipe: Recipe | str | Path,
    out: Path | str,
    *,
    data_dir: Path | str | None = None,
    epochs: int | None = None,
    seed: int | None = None,
    device: str = "cpu",
    resume: bool = False,
    overrides: Sequence[str] = (),
    progress: Progress | None = None,
) -> TrainResult:
    """Train a recipe (or the recipe of that name or file) into the folder `out`.

    overrides: texts `a.b=value`; epochs and seed likewise override the recipe. resume: go on with the run in `out`,
    or start it if it was killed before its first epoch's end; a finished run is left alone and its result returned.
    Raises UsageError (recipe, options, a run in `out` without resume, or another recipe's run), DataError (data,
    checkpoint, disk) and InterruptedRunError (Ctrl-C; the last epoch's end stays on disk). torch's global settings and
    random state are as before afterwards.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    recipe = with_overrides(recipe, overrides, epochs=epochs, seed=seed)
    place = _device(device)
    folder = RunFolder(Path(out))
    if folder.summary.exists():
        folder.claim(recipe, resume)
        return _finished(folder)
    # Before the folder is claimed: data that are missing or too few leave no run behind.
    data = {split: _load(recipe, split, data_dir, place) for split in ("train", "validation", "test")}
    if recipe.batch > len(data["train"].labels):
        raise UsageError(f"batch {recipe.batch} is larger than the {len(data['train'].labels)} training samples")
    folder.claim(recipe, resume)
    with _alone(folder):
        return _train_claimed(recipe, folder, place, data, progress)


def _train_claimed(
    recipe: Recipe, folder: RunFolder, place: torch.device, data: Mapping[str, _Data], progress: Progress | None
) -> TrainResult:
    """Go on from the folder's checkpoint, or begin."""
    saved = _read_checkpoint(folder.checkpoint) if folder.checkpoint.exists() else None
    threads = saved[1].threads if saved else recipe.threads or torch.get_num_threads()
    with _reproducible(recipe.seed, threads, place):
        try:
            return _train(recipe, folder, place, data, saved, progress)
        except KeyboardInterrupt as error:
            kept = "the last whole epoch is kept" if folder.checkpoint.exists() else "no epoch was whole yet"
            raise InterruptedRunError(f"training interrupted; {kept}, --resume goes on in {folder.path}") from error


def _train(
    recipe: Recipe,
    folder: RunFolder,
    device: torch.device,
    data: Mapping[str, _Data],
    saved: tuple[dict[str, Tensor], AboutCheckpoint] | None,
    progress: Progress | None,
) -> TrainResult:
    train, validation = data["train"], data["validation"]
    steps = len(train.labels) // recipe.batch

    model = build_model(recipe).to(device)
    state = _State(model, build_optimizer(model, recipe.optimizer), device, [])
    if saved:
        _restore(state, folder, *saved)
    _reset_metrics(folder, state.records)
    if progress:
        progress.start(len(state.records) + 1, recipe.epochs, steps)

    for epoch in range(len(state.records) + 1, recipe.epochs + 1):
        began = time.perf_counter()
        codes = _weight_codes(model)
        loss, train_accuracy, lr = _epoch(recipe, state, train, epoch, steps, progress)
        if not np.isfinite(loss):
            raise UsageError(f"training diverged: the loss of epoch {epoch} is {loss}; try a smaller optimizer.lr")
        record = EpochRecord(
            epoch=epoch,
            loss=loss,
            train_accuracy=train_accuracy,
            val_accuracy=accuracy(model, validation.images, validation.labels),
            lr=lr,
            flip_ratio=_changed(codes, _weight_codes(model)),
            seconds=round(time.perf_counter() - began, 3),
        )
        state.records.append(record)
        _save(recipe, state, folder)
        if progress:
            progress.epoch(record)

    return _finish(recipe, state, folder, data["test"])


def _epoch(
    recipe: Recipe, state: _State, data: _Data, epoch: int, steps: int, progress: Progress | None
) -> tuple[float, float, float]:
    """Train one epoch; mean loss, accuracy over the samples seen, last learning rate. A partial batch is left out."""
    model, optimizer = state.model.train(), state.optimizer
    loss_function = build_loss(recipe.loss, recipe.label_smoothing)
    order = _order(len(data.labels), DATASETS[recipe.dataset].steps or 1).to(state.device)
    total = torch.zeros((), dtype=torch.float64, device=state.device)
    hits = torch.zeros((), dtype=torch.int64, device=state.device)
    lr = recipe.optimizer.lr
    for step in range(steps):
        lr = recipe.optimizer.rate((epoch - 1 + step / steps) / recipe.epochs)
        set_learning_rate(optimizer, lr)
        chosen = order[step * recipe.batch : (step + 1) * recipe.batch]
        images, labels = data.images[chosen], data.labels[chosen]
        if recipe.augment:
            images = distort(images, recipe.augment)
        with _precision(recipe, state.device):
            scores = model(images)
        loss = loss_function(scores, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.detach()  # on the device: .item() would wait for it every step
        hits += (scores.detach().argmax(1) == labels).sum()
        if progress:
            progress.step(epoch, step + 1)
    return float(total) / steps, int(hits) / (steps * recipe.batch), lr


def _order(samples: int, steps: int) -> Tensor:
    """A random order of the samples, sequences of `steps` samples in one piece.

    Drawn on the CPU: the same on every device.
    """
    sequences = torch.randperm(samples // steps)
    return (sequences[:, None] * steps + torch.arange(steps)).flatten()


def _save(recipe: Recipe, state: _State, folder: RunFolder) -> None:
    """Write an epoch's end: best weights, metrics line, and last the checkpoint that makes the epoch count.

    A kill between them is harmless: the epoch is done again, in the same way, and overwrites what was ahead.
    """
    record = state.records[-1]
    weights = state.model.state_dict()
    if state.best is record:
        save_tensors(folder.best, weights, to_mapping(AboutBest(recipe, record.epoch, record.val_accuracy)))
    try:
        append_record(folder.metrics, record)
    except OSError as error:
        raise DataError(f"cannot write {folder.metrics}: {error.strerror or error}") from error
    tensors = {f"model.{name}": tensor for name, tensor in weights.items()}
    tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(state.optimizer).items()}
    tensors |= {f"random.{name}": tensor for name, tensor in random_tensors(state.device).items()}
    about = AboutCheckpoint(tuple(state.records), torch.get_num_threads())
    save_tensors(folder.checkpoint, tensors, to_mapping(about))


def _read_checkpoint(path: Path) -> tuple[dict[str, Tensor], AboutCheckpoint]:
    tensors, about = load_tensors(path)
    return tensors, parse(AboutCheckpoint, about, path)


def _restore(state: _State, folder: RunFolder, tensors: dict[str, Tensor], about: AboutCheckpoint) -> None:
    """Put the state back that `_save` wrote."""
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "random": {}}
    for name, tensor in tensors.items():
        part, rest = name.split(".", 1)
        parts[part][rest] = tensor
    load_weights(state.model, parts["model"], folder.checkpoint)
    restore_optimizer(state.optimizer, parts["optimizer"])
    restore_random(parts["random"], state.device)
    state.records = list(about.records)


def _reset_metrics(folder: RunFolder, records: Sequence[EpochRecord]) -> None:
    """Put the metrics file to the epochs that count: a line written just before a kill is dropped."""
    try:
        write_metrics(folder.metrics, records)
    except OSError as error:
        raise DataError(f"cannot write {folder.metrics}: {error.strerror or error}") from error


def _finish(recipe: Recipe, state: _State, folder: RunFolder, test: _Data) -> TrainResult:
    """Read the test accuracy once, with the best epoch's weights; draw the curves; write the summary last."""
    load_weights(state.model, load_tensors(folder.best)[0], folder.best)
    result = TrainResult(
        run=folder.path,
        recipe=recipe.name,
        epochs=recipe.epochs,
        best_epoch=state.best.epoch,
        val_accuracy=state.best.val_accuracy,
        test_accuracy=accuracy(state.model, test.images, test.labels),
        parameters=sum(p.numel() for p in state.model.parameters()),
        seed=recipe.seed,
        threads=torch.get_num_threads(),
        device=state.device.type,
        torch=torch.__version__,
        seconds=round(sum(r.seconds for r in state.records), 3),
    )
    try:
        draw_curves(folder.curves, state.records, recipe.name)
        summary = {key: value for key, value in asdict(result).items() if key != "run"}
        atomic_write(folder.summary, json.dumps(summary, indent=2) + "\n")
    except OSError as error:
        raise DataError(f"cannot write {folder.path}: {error.strerror or error}") from error
    return result


def _finished(folder: RunFolder) -> TrainResult:
    """The result of a run that has ended."""
    return parse(TrainResult, {**read_summary(folder.summary), "run": folder.path}, folder.summary)


def _weight_codes(model: nn.Module) -> list[Tensor]:
    """The codes of every quantized layer."""
    layers = [m for m in model.modules() if isinstance(m, QuantConv2d | QuantLinear | QuantRecurrent)]
    return [m.weight_quantizer.codes(m.weight) for m in layers if m.weight_quantizer.encoding != "float"]


def _changed(earlier: list[Tensor], now: list[Tensor]) -> float:
    """The fraction of codes that differ."""
    differ = sum(int((a != b).sum()) for a, b in zip(earlier, now, strict=True))
    return differ / max(1, sum(a.numel() for a in now))


def _load(recipe: Recipe, split: str, data_dir: Path | str | None, device: torch.device) -> _Data:
    """A whole split on the device, as raw bytes: small enough, and no loader to wait for."""
    samples = load_dataset(recipe.dataset, split, data_dir)
    images, labels = torch.from_numpy(samples.images.copy()), torch.from_numpy(samples.labels.copy())
    return _Data(images.to(device), labels.to(device))


def _precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    return torch.autocast(device.type, torch.bfloat16) if recipe.precision == "bf16" else nullcontext()


def _device(name: str) -> torch.device:
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device must be cpu or cuda, not {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise UsageError("device cuda: this torch sees no CUDA device; use --device cpu")
    return torch.device(name)


@contextmanager
def _alone(folder: RunFolder) -> Iterator[None]:
    """No other process trains in the folder meanwhile: two would mix their metrics."""
    try:
        lock = take_folder(folder.path, f"another training is at work in {folder.path}; wait for it, or stop it")
    except OSError as error:
        raise DataError(f"cannot write {folder.path}: {error.strerror or error}") from error
    with lock:
        yield


@contextmanager
def _reproducible(seed: int, threads: int, device: torch.device) -> Iterator[None]:
    """Deterministic algorithms, that many threads, generators seeded; all as before afterwards."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = _deterministic.fill_uninitialized_memory
    earlier_threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[0] if device.type == "cuda" else []):
        try:
            torch.use_deterministic_algorithms(True)
            _deterministic.fill_uninitialized_memory = False  # nothing here reads memory it did not write
            torch.set_num_threads(threads)
            torch.manual_seed(seed)
            yield
        finally:
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)
            _deterministic.fill_uninitialized_memory = fill
            torch.set_num_threads(earlier_threads)
