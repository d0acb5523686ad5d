"""Samples on their way into the network: whole splits in memory, on the training device."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..data.datasets import load_dataset
from ..recipe import Recipe

__all__ = ["Feed", "InMemory", "load_feed", "sample_order"]


class Feed(Protocol):
    """Raw samples (B, *shape) and labels int64 (B,) of a split, by their numbers."""

    def __len__(self) -> int:
        """How many samples there are."""

    def batches(self, chosen: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """For each tensor of numbers the samples and their labels, on the training device."""


@dataclass(frozen=True, slots=True)
class InMemory:
    """A whole split on the device, as raw bytes: small enough, and no loader to wait for."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, chosen: Iterable[Tensor]) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Feed`."""
        for numbers in chosen:
            numbers = numbers.to(self.labels.device)
            yield self.images[numbers], self.labels[numbers]


def load_feed(recipe: Recipe, split: str, data_dir: Path | str | None, device: torch.device) -> Feed:
    """A split of the recipe's data set."""
    samples = load_dataset(recipe.dataset, split, data_dir)
    images, labels = torch.from_numpy(samples.images.copy()), torch.from_numpy(samples.labels.copy())
    return InMemory(images.to(device), labels.to(device))


def sample_order(samples: int, steps: int, key: int) -> Tensor:
    """A random order of the samples by a key, sequences of `steps` samples in one piece.

    Drawn on the CPU: the same on every device.
    """
    sequences = torch.randperm(samples // steps, generator=torch.Generator().manual_seed(key))
    return (sequences[:, None] * steps + torch.arange(steps)).flatten()
