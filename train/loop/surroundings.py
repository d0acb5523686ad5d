"""What a run needs around it: settings under which torch repeats itself, and a folder that nobody else writes."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from ...errors import DataError
from ...files import take_folder
from ..recipe import Recipe
from .runs import RunFolder

__all__ = ["alone", "precision", "reproducible"]

_deterministic: Any = torch.utils.deterministic  # its one setting is made by a module class that mypy cannot see


@contextmanager
def alone(folder: RunFolder) -> Iterator[None]:
    """No other process trains in the folder meanwhile: two would mix their metrics."""
    try:
        lock = take_folder(folder.path, f"another training is at work in {folder.path}; wait for it, or stop it")
    except OSError as error:
        raise DataError(f"cannot write {folder.path}: {error.strerror or error}") from error
    with lock:
        yield


@contextmanager
def reproducible(seed: int, threads: int, device: torch.device) -> Iterator[None]:
    """Deterministic algorithms, that many threads, generators seeded; all as before afterwards."""
    if device.type == "cuda":
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # cuBLAS is deterministic only with this
    deterministic = torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    fill = _deterministic.fill_uninitialized_memory
    earlier_threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[device.index or 0] if device.type == "cuda" else []):
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


def precision(recipe: Recipe, device: torch.device) -> AbstractContextManager[object]:
    """Where training's matrix products are taken in bfloat16, if the recipe says so."""
    return torch.autocast(device.type, torch.bfloat16) if recipe.precision == "bf16" else nullcontext()
