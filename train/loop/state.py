"""All of a run that changes, and its checkpoint: one atomic file, after an epoch or in the middle of one."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from ...config import to_mapping
from ...errors import DataError
from ..layers.sequences import carried_tensors, restore_carried
from .checkpoint import load_tensors, load_weights, optimizer_tensors, parse, restore_optimizer, save_tensors
from .learning import latent_weights
from .metrics import EpochRecord, append_record, write_metrics
from .runs import AboutBest, AboutCheckpoint, RunFolder

__all__ = ["Saved", "TrainingState", "read_checkpoint", "reset_metrics"]


@dataclass(frozen=True, slots=True)
class Saved:
    """The contents of a checkpoint."""

    tensors: dict[str, Tensor]
    about: AboutCheckpoint


@dataclass(slots=True)
class TrainingState:
    """model, optimizer, the records of the epochs that are done, and how far the present one is.

    step: its steps that are done. loss, hits: sums over them, of the mean losses and of the samples classified right.
    seconds: that they took. before: the latent weights as the epoch began, by layer. Random numbers are not among
    this: they follow from seed, epoch and step (`layers.randomness`).
    """

    model: nn.Sequential
    optimizer: torch.optim.Optimizer
    records: list[EpochRecord] = field(default_factory=list)
    step: int = 0
    loss: float = 0.0
    hits: int = 0
    seconds: float = 0.0
    before: dict[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.before = latent_weights(self.model)

    @property
    def epoch(self) -> int:
        """The present epoch, from 1."""
        return len(self.records) + 1

    @property
    def best(self) -> EpochRecord:
        """The first of the best epochs on the validation samples."""
        return max(self.records, key=lambda record: record.merit)

    def next_epoch(self, record: EpochRecord) -> None:
        """The present epoch is done; a new one begins."""
        self.records.append(record)
        self.step, self.loss, self.hits, self.seconds = 0, 0.0, 0, 0.0
        self.before = latent_weights(self.model)

    def save_epoch(self, folder: RunFolder, best: AboutBest) -> None:
        """Write an epoch's end: best weights, metrics line, and last the checkpoint that makes the epoch count.

        A kill between them is harmless: the epoch is done again, in the same way, and overwrites what was ahead.
        """
        record = self.records[-1]
        if self.best is record:
            save_tensors(folder.best, self.model.state_dict(), to_mapping(best))
        try:
            append_record(folder.metrics, record)
        except OSError as error:
            raise DataError(f"cannot write {folder.metrics}: {error.strerror or error}") from error
        self.save(folder)

    def save(self, folder: RunFolder) -> None:
        """Write the checkpoint, between two steps or two epochs."""
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"optimizer.{name}": tensor for name, tensor in optimizer_tensors(self.optimizer).items()}
        if self.step:
            tensors |= {f"before.{name}": tensor for name, tensor in self.before.items()}
            tensors |= {f"carried.{name}": tensor for name, tensor in carried_tensors(self.model).items()}
        about = AboutCheckpoint(
            tuple(self.records), torch.get_num_threads(), self.step, self.loss, self.hits, self.seconds
        )
        save_tensors(folder.checkpoint, tensors, to_mapping(about))

    def restore(self, folder: RunFolder, saved: Saved) -> None:
        """Put everything back as it was saved; DataError if that was another network's."""
        parts: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "before": {}, "carried": {}}
        for name, tensor in saved.tensors.items():
            part, rest = name.split(".", 1)
            parts.setdefault(part, {})[rest] = tensor
        about = saved.about
        load_weights(self.model, parts["model"], folder.checkpoint)
        restore_optimizer(self.optimizer, parts["optimizer"])
        restore_carried(self.model, parts["carried"])
        self.records = list(about.records)
        self.step, self.loss, self.hits, self.seconds = about.step, about.loss, about.hits, about.seconds
        self.before = latent_weights(self.model)
        for name, tensor in parts["before"].items():
            self.before[name] = tensor.to(self.before[name].device)


def read_checkpoint(path: Path) -> Saved:
    """The checkpoint in a file; DataError if it is damaged or something else."""
    tensors, about = load_tensors(path)
    return Saved(tensors, parse(AboutCheckpoint, about, path))


def reset_metrics(folder: RunFolder, records: list[EpochRecord]) -> None:
    """Put the metrics file to the epochs that count: a line written just before a kill is dropped."""
    try:
        write_metrics(folder.metrics, records)
    except OSError as error:
        raise DataError(f"cannot write {folder.metrics}: {error.strerror or error}") from error
