"""The trainer, to be read from top to bottom.

Killed at any moment and resumed, a run ends with the same weights, bit for bit (same machine, versions, thread and
process count): checkpoints are single atomic files with weights, optimizer, records and the place in the epoch, and
random numbers follow from that place; what came after the last checkpoint is done again in the same way.

Under `torchrun` each process does its share of every batch; the first one writes and tells.
"""

import math
import time
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...errors import InterruptedRunError, UsageError
from ..data.augment import distort
from ..data.datasets import data_folder
from ..data.download import PUBLIC
from ..data.text import STREAMS
from ..layers.randomness import hashed, keyed
from ..layers.sequences import begin_streams, whole_sequences
from ..layers.whitening import GcnZca
from ..models.build import build_model
from ..recipe import Recipe, load_recipe, with_overrides
from .evaluate import class_scores
from .feed import Feed, load_feed, sample_order
from .language import stream_order, text_metrics
from .learning import check_finite, flip_ratio, layer_records, notes_on_learning
from .metrics import EpochRecord, Measured
from .objective import Objective
from .optim import build_optimizer, set_learning_rate
from .processes import Group, process_group, training_device
from .progress import Progress
from .results import TrainResult, finish, finished
from .runs import AboutBest, RunFolder
from .state import Saved, TrainingState, read_checkpoint, reset_metrics
from .surroundings import alone, precision, reproducible
from .warm_start import warm_start

__all__ = ["TrainResult", "train_recipe"]

_EVALUATED = 1000  # samples at a time
_CALIBRATION = 10000  # samples that show what rounding does to means


@dataclass(frozen=True, slots=True)
class _Job:
    """All of a run that stays."""

    recipe: Recipe
    folder: RunFolder
    group: Group
    device: torch.device
    data: dict[str, Feed]
    objective: Objective
    checkpoint_seconds: float
    progress: Progress | None

    @property
    def steps(self) -> int:
        """Steps an epoch; a partial batch is left out."""
        return len(self.data["train"]) // self.recipe.batch


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
    checkpoint_seconds: float = 60.0,
    workers: int = 2,
    progress: Progress | None = None,
) -> TrainResult:
    """Train a recipe (or the recipe of that name or file) into the folder `out`.

    overrides: texts `a.b=value`; epochs and seed likewise override the recipe. resume: go on with the run in `out`,
    or start it if it was killed before its first checkpoint; a finished run is left alone and its result returned.
    checkpoint_seconds: between checkpoints within an epoch; its end always makes one. workers: threads that decode
    pictures where these are files; what they yield does not depend on their number.
    Raises UsageError (recipe, options, a run in `out` without resume, or another recipe's run; a loss that is not
    finite), DataError (data, checkpoint, disk) and InterruptedRunError (Ctrl-C; the last checkpoint stays on disk).
    torch's global settings and random state are as before afterwards.
    """
    if not isinstance(recipe, Recipe):
        recipe = load_recipe(recipe)
    recipe = with_overrides(recipe, overrides, epochs=epochs, seed=seed)
    place = training_device(device)
    folder = RunFolder(Path(out))
    with process_group(place) as group:
        _check_shares(recipe, group)
        if folder.summary.exists():
            group.on_first(lambda: folder.claim(recipe, resume))
            return finished(folder)
        if recipe.dataset in PUBLIC:  # which it may have to download: once, not in each process
            group.on_first(lambda: data_folder(recipe.dataset, data_dir))
        # Before the folder is claimed: what is missing (data, a teacher, ...) or does not fit leaves no run behind.
        data = {split: load_feed(recipe, split, data_dir, place, workers) for split in ("train", "validation", "test")}
        if recipe.batch > len(data["train"]):
            raise UsageError(f"batch {recipe.batch} is larger than the {len(data['train'])} training samples")
        with torch.random.fork_rng(devices=[]):
            objective = Objective(recipe, place)
            if not folder.checkpoint.exists():
                _check_beginning(recipe)
        group.on_first(lambda: folder.claim(recipe, resume))
        with alone(folder) if group.first else nullcontext():
            return _train_claimed(_Job(recipe, folder, group, place, data, objective, checkpoint_seconds, progress))


def _check_shares(recipe: Recipe, group: Group) -> None:
    """UsageError unless each process gets an equal part of at least two samples, and whole sequences."""
    parts = group.size * recipe.accumulate
    steps = recipe.info.steps or 1
    if recipe.info.tokens and recipe.accumulate > 1:
        raise UsageError("accumulate: the streams of a text go on from batch to batch, which cannot be taken in parts")
    if recipe.batch % (parts * steps) or recipe.batch < 2 * parts:
        raise UsageError(
            f"batch {recipe.batch} does not fall into {parts} equal parts of two or more samples "
            f"({group.size} processes, accumulate {recipe.accumulate}{f', sequences of {steps}' if steps > 1 else ''})"
        )


def _check_beginning(recipe: Recipe) -> None:
    """UsageError or DataError where the network, or what it begins with, cannot be."""
    model = build_model(recipe)
    if recipe.init:
        warm_start(model, Path(recipe.init))


def _train_claimed(job: _Job) -> TrainResult:
    """Go on from the folder's checkpoint, or begin."""
    folder = job.folder
    saved = read_checkpoint(folder.checkpoint) if folder.checkpoint.exists() else None
    job.group.wait()  # all have read what there was before the first writes anew
    threads = saved.about.threads if saved else job.recipe.threads or torch.get_num_threads()
    with reproducible(job.recipe.seed, threads, job.device):
        try:
            return _train(job, saved)
        except KeyboardInterrupt as error:
            kept = "the last checkpoint is kept" if folder.checkpoint.exists() else "there was no checkpoint yet"
            raise InterruptedRunError(f"training interrupted; {kept}, --resume goes on in {folder.path}") from error


def _train(job: _Job, saved: Saved | None) -> TrainResult:
    recipe, progress = job.recipe, job.progress
    model = build_model(recipe).to(job.device, torch.float64 if recipe.precision == "float64" else None)
    if recipe.init and not saved:
        note = warm_start(model, Path(recipe.init), _first_samples(job) if recipe.model.recurrent else None)
        if progress:
            progress.note(note)
    if recipe.preprocess is not None and not saved:
        _fit_whitening(model, job.data["train"])
    state = TrainingState(model, build_optimizer(model, recipe.optimizer))
    if saved:
        state.restore(job.folder, saved)
    if job.group.first:
        reset_metrics(job.folder, state.records)
    if progress:
        progress.start(state.epoch, recipe.epochs, job.steps)

    parallel = job.group.parallel(model)
    while state.epoch <= recipe.epochs:
        began = time.perf_counter() - state.seconds
        lr = _epoch(job, state, parallel, began)
        check_finite(model, state.epoch)
        layers = layer_records(model, state.before)
        measured = _measured(job, model, "validation")
        record = EpochRecord(
            epoch=state.epoch,
            loss=state.loss / job.steps,
            train_accuracy=state.hits / (job.steps * recipe.batch),
            val_accuracy=measured.accuracy,
            val_loss=measured.loss,
            lr=lr,
            flip_ratio=flip_ratio(layers),
            seconds=round(time.perf_counter() - began, 3),
            layers=layers,
        )
        state.next_epoch(record)
        if job.group.first:
            state.save_epoch(job.folder, AboutBest(recipe, record.epoch, record.val_accuracy))
        if progress:
            progress.epoch(record)
            for note in notes_on_learning(state.records):
                progress.note(note)

    job.group.wait()  # the best weights are written
    return finish(recipe, state, job.folder, job.device, lambda: _measured(job, model, "test"), job.group.first)


def _epoch(job: _Job, state: TrainingState, parallel: nn.Module, began: float) -> float:
    """Train what is left of the present epoch; the learning rate of its last step."""
    recipe, epoch, steps, data = job.recipe, state.epoch, job.steps, job.data["train"]
    state.model.train()
    info = recipe.info
    if info.tokens and info.steps:
        order = stream_order(len(data), info.steps, recipe.batch // info.steps)
        if not state.step:
            begin_streams(state.model)
    else:
        order = sample_order(len(data), info.steps or 1, hashed("order", recipe.seed, epoch))
    batches = data.batches(_share_of(job, order, state.step), hashed("pictures", recipe.seed, epoch))
    accuracies = [record.val_accuracy for record in state.records]
    saved_at, lr = time.monotonic(), 0.0
    for step in range(state.step, steps):
        lr = recipe.optimizer.rate(epoch - 1 + step / steps, recipe.epochs, accuracies)
        set_learning_rate(state.optimizer, lr)
        state.optimizer.zero_grad()
        for part in range(recipe.accumulate):
            images, labels = next(batches)
            _gradients(job, state, parallel, images, labels, (step, part))
        state.optimizer.step()
        state.step = step + 1
        if job.progress:
            job.progress.step(epoch, state.step)
        due = state.step < steps and time.monotonic() - saved_at >= job.checkpoint_seconds
        if due and job.group.first and not (info.tokens and job.group.size > 1):  # each process has streams of its own
            state.seconds = time.perf_counter() - began
            state.save(job.folder)
            saved_at = time.monotonic()
    return lr


def _share_of(job: _Job, order: Tensor, first_step: int) -> list[Tensor]:
    """The samples that this process takes in each part of each step from `first_step` on: equal, contiguous shares."""
    batch, parts = job.recipe.batch, job.recipe.accumulate * job.group.size
    of_steps = order[first_step * batch : job.steps * batch].view(
        -1, job.recipe.accumulate, job.group.size, batch // parts
    )
    return list(of_steps[:, :, job.group.rank].flatten(0, 1))


def _gradients(
    job: _Job,
    state: TrainingState,
    parallel: nn.Module,
    images: Tensor,
    labels: Tensor,
    place: tuple[int, int],
) -> None:
    """Add this part's gradients and sums; UsageError at a loss that is not finite, before it reaches the weights."""
    recipe, group, (step, part) = job.recipe, job.group, place
    parts = recipe.accumulate * group.size
    last = part == recipe.accumulate - 1
    alone_now = parallel.no_sync() if isinstance(parallel, DistributedDataParallel) and not last else nullcontext()
    with keyed(recipe.seed, state.epoch, step, part=part * group.size + group.rank, parts=parts), alone_now:
        if recipe.augment:
            images = distort(images, recipe.augment)
        with precision(recipe, job.device):
            scores = parallel(images)
        loss = job.objective(images, scores, labels)
        hits = (scores.detach().argmax(1) == labels).sum()
        sums = torch.stack([loss.detach().double(), hits.double()])
        mean_loss, all_hits = group.sum(sums)
        mean_loss /= parts
        if not math.isfinite(mean_loss):
            raise UsageError(
                f"training diverged: the loss of epoch {state.epoch}, step {step + 1} is {mean_loss}; "
                "try a smaller optimizer.lr"
            )
        (loss / recipe.accumulate).backward()
    state.loss += mean_loss
    state.hits += int(all_hits)


def _first_samples(job: _Job) -> Tensor:
    data = job.data["train"]
    return next(data.batches([torch.arange(min(len(data), _CALIBRATION))]))[0]


def _fit_whitening(model: nn.Module, data: Feed) -> None:
    samples, _ = next(data.batches([torch.arange(len(data))]))
    for module in model.modules():
        if isinstance(module, GcnZca):
            module.fit(samples)


def _measured(job: _Job, model: nn.Sequential, split: str) -> Measured:
    """What the network does on a split, each process taking its share; of a text each process reads all."""
    data = job.data[split]
    if job.recipe.info.tokens:
        return text_metrics(model, *next(data.batches([torch.arange(len(data))])), len(data) // STREAMS)
    pieces = torch.arange(len(data)).split(min(len(data), whole_sequences(model, _EVALUATED)))
    hits = torch.zeros(1, dtype=torch.float64, device=job.device)
    for images, labels in data.batches(pieces[job.group.rank :: job.group.size]):
        hits += (class_scores(model, images, job.recipe.evaluation).argmax(1) == labels).sum()
    return Measured(job.group.sum(hits)[0] / len(data))
