"""Several processes training one network: who is who, and what they do together.

`torchrun` starts the processes and says in the environment how many there are; they meet over gloo on CPUs and NCCL on
GPUs. All of them see the same folders: the first one writes, the others read what it wrote.
"""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from ...errors import DataError, UsageError, XnorflowError

__all__ = ["ALONE", "Group", "process_group", "training_device"]


@dataclass(frozen=True, slots=True)
class Group:
    """The processes that share each batch, and which of them this one is."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes files and tells of the run."""
        return self.rank == 0

    def sum(self, values: Tensor) -> list[float]:
        """The sums over all processes of a vector's elements."""
        if self.size > 1:
            dist.all_reduce(values)
        return [float(value) for value in values.tolist()]

    def wait(self) -> None:
        """Until all processes have come here."""
        if self.size > 1:
            dist.barrier()

    def on_first(self, action: Callable[[], object]) -> None:
        """Let the first process do something while the others wait; all of them fail as it does."""
        failure: list[XnorflowError | None] = [None]
        if self.first:
            try:
                action()
            except XnorflowError as error:
                failure[0] = error
        if self.size > 1:
            said = [(type(failure[0]).__name__, str(failure[0])) if failure[0] else None]
            dist.broadcast_object_list(said, src=0)
            if said[0] and not self.first:
                kind, text = said[0]
                failure[0] = (UsageError if kind == "UsageError" else DataError)(text)
        if failure[0]:
            raise failure[0]

    def parallel(self, model: nn.Module) -> nn.Module:
        """The model such that a backward pass leaves the mean of all processes' gradients in every process.

        Buffers are not sent around: BatchNorm's statistics are those of the whole batch everywhere (`layers.sync`).
        """
        if self.size == 1:
            return model
        known = inspect.signature(DistributedDataParallel).parameters
        buffers = "forward_sync_buffers" if "forward_sync_buffers" in known else "broadcast_buffers"  # torch < 2.13
        options: dict[str, Any] = {buffers: False, "gradient_as_bucket_view": True}
        return DistributedDataParallel(model, **options)


ALONE = Group()


@contextmanager
def process_group(device: torch.device) -> Iterator[Group]:
    """The processes that torchrun has started, this one among them; a group of one without it.

    A group that the caller has made already is taken as it is.
    """
    if dist.is_available() and dist.is_initialized():
        yield Group(dist.get_rank(), dist.get_world_size())
        return
    if int(os.environ.get("WORLD_SIZE", "1")) == 1 or "RANK" not in os.environ:
        yield ALONE
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


def training_device(name: str) -> torch.device:
    """The device called cpu or cuda; of several GPUs that of the process's place on its machine (LOCAL_RANK)."""
    if name not in ("cpu", "cuda"):
        raise UsageError(f"device must be cpu or cuda, not {name!r}")
    if name == "cpu":
        return torch.device(name)
    if not torch.cuda.is_available():
        raise UsageError("device cuda: this torch sees no CUDA device; use --device cpu")
    place = int(os.environ.get("LOCAL_RANK", "0"))
    if place >= torch.cuda.device_count():
        raise UsageError(f"process {place} has no GPU of its own: this machine has {torch.cuda.device_count()}")
    device = torch.device(name, place)
    torch.cuda.set_device(device)
    return device
