"""Samples on their way into the network: whole splits in memory, or pictures that are decoded in turn."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ...errors import UsageError
from ..data.datasets import data_folder, load_dataset
from ..data.image_folder import Pictures, list_pictures, read_picture
from ..recipe import Recipe

__all__ = ["Feed", "FromFiles", "InMemory", "load_feed", "read_samples", "sample_order"]


class Feed(Protocol):
    """Raw samples (B, *shape) and labels int64 (B,) of a split, by their numbers."""

    def __len__(self) -> int:
        """How many samples there are."""

    def batches(self, chosen: Iterable[Tensor], key: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """For each tensor of numbers the samples and their labels, on the training device.

        key: what the feed's own random changes of a training sample depend on, with its number; None: there are none.
        """


@dataclass(frozen=True, slots=True)
class InMemory:
    """A whole split on the device, as raw bytes: small enough, and no loader to wait for."""

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def batches(self, chosen: Iterable[Tensor], key: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Feed`; nothing is changed."""
        for numbers in chosen:
            numbers = numbers.to(self.labels.device)
            yield self.images[numbers], self.labels[numbers]


@dataclass(frozen=True, slots=True)
class FromFiles:
    """Pictures that threads decode while the network works on those before; Pillow leaves Python meanwhile.

    workers: how many threads. With a key a picture's crop is random, by the key and its number; else the central one.
    """

    pictures: Pictures
    size: int
    workers: int
    device: torch.device

    def __len__(self) -> int:
        return len(self.pictures.labels)

    def batches(self, chosen: Iterable[Tensor], key: int | None = None) -> Iterator[tuple[Tensor, Tensor]]:
        """As `Feed`; two batches are decoded ahead."""
        ahead: deque[tuple[Tensor, list[Future[NDArray[np.uint8]]]]] = deque()
        pool = ThreadPoolExecutor(self.workers)
        try:
            for numbers in chosen:
                ahead.append((numbers, [pool.submit(self._decoded, number, key) for number in numbers.tolist()]))
                if len(ahead) > 2:
                    yield self._batch(*ahead.popleft())
            while ahead:
                yield self._batch(*ahead.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _decoded(self, number: int, key: int | None) -> NDArray[np.uint8]:
        random = None if key is None else np.random.default_rng((key, number))
        return read_picture(self.pictures.paths[number], self.size, random)

    def _batch(self, numbers: Tensor, decoded: list[Future[NDArray[np.uint8]]]) -> tuple[Tensor, Tensor]:
        images = torch.from_numpy(np.stack([picture.result() for picture in decoded]))
        labels = torch.from_numpy(self.pictures.labels[numbers.numpy()])
        return images.to(self.device), labels.to(self.device)


def load_feed(recipe: Recipe, split: str, data_dir: Path | str | None, device: torch.device, workers: int = 2) -> Feed:
    """A split of the recipe's data set. workers: threads that decode pictures where these are files."""
    if workers < 1:
        raise UsageError(f"workers must be at least 1, not {workers}")
    if recipe.dataset == "imagenet":
        size, classes = recipe.info.shape[0], len(recipe.info.class_names)
        pictures = list_pictures(data_folder(recipe.dataset, data_dir), split, classes)
        return FromFiles(pictures, size, workers, device)
    samples = load_dataset(recipe.dataset, split, data_dir)
    images, labels = torch.from_numpy(samples.images.copy()), torch.from_numpy(samples.labels.copy())
    return InMemory(images.to(device), labels.to(device))


def read_samples(
    recipe: Recipe, split: str, data_dir: Path | str | None, limit: int | None = None
) -> tuple[Tensor, Tensor]:
    """The first `limit` raw samples of a split, all by default, and their labels; pictures in the recipe's size."""
    feed = load_feed(recipe, split, data_dir, torch.device("cpu"))
    return next(feed.batches([torch.arange(len(feed))[:limit]]))


def sample_order(samples: int, steps: int, key: int) -> Tensor:
    """A random order of the samples by a key, sequences of `steps` samples in one piece.

    Drawn on the CPU: the same on every device.
    """
    sequences = torch.randperm(samples // steps, generator=torch.Generator().manual_seed(key))
    return (sequences[:, None] * steps + torch.arange(steps)).flatten()
