"""Tensors and JSON in one safetensors file that a single flipped bit makes unreadable; nothing is unpickled.

The file's only metadata key, `xnorflow`, holds a JSON object: `sha256` and the caller's `about`. The digest is taken
over the whole file with the 64 digits of `sha256` replaced by zeros, so header, JSON and tensors are all covered
(integrity, not authenticity). One file, written atomically, cannot mix the states of two epochs.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from ...config import from_mapping
from ...errors import DataError, UsageError
from ...files import atomic_write

__all__ = [
    "load_tensors",
    "load_weights",
    "optimizer_tensors",
    "parse",
    "random_tensors",
    "restore_optimizer",
    "restore_random",
    "save_tensors",
]

T = TypeVar("T")

_ZEROS = "0" * 64


def save_tensors(path: Path, tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> None:
    """Write tensors and a JSON-able mapping atomically; DataError if the disk refuses."""
    record = json.dumps({"sha256": _ZEROS, "about": about}, separators=(",", ":"))
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    blank = save(plain, metadata={"xnorflow": record})
    digest = hashlib.sha256(blank).hexdigest()
    try:
        atomic_write(path, blank.replace(_ZEROS.encode(), digest.encode(), 1))
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror or error}") from error


def load_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (on the CPU) and the JSON mapping of such a file; DataError if missing, damaged or foreign."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    try:
        length = int.from_bytes(content[:8], "little")
        record = json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["xnorflow"])
        digest, about = record["sha256"], record["about"]
        blank = content.replace(digest.encode(), _ZEROS.encode(), 1)
        whole = hashlib.sha256(blank).hexdigest() == digest
        tensors = load(content)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, SafetensorError) as error:
        raise DataError(f"{path} is damaged, or not a file that xnorflow train wrote") from error
    if not whole or not isinstance(about, dict):
        raise DataError(f"{path} is damaged: its SHA-256 does not fit")
    return tensors, about


def parse(cls: type[T], mapping: object, path: Path) -> T:
    """The dataclass that xnorflow train stored in a file as plain values; DataError if they are something else."""
    try:
        return from_mapping(cls, mapping, str(path))
    except UsageError as error:
        raise DataError(f"{error}; xnorflow train did not write this") from error


def load_weights(model: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Put the tensors of a file into the model; DataError if they are not exactly those that it has."""
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        raise DataError(f"{path} holds another network than its recipe describes") from error


def optimizer_tensors(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimizer's state (moments, step counts) as tensors named `<parameter index>.<what>`."""
    state = optimizer.state_dict()["state"]
    return {f"{i}.{key}": v for i, entry in state.items() for key, v in entry.items() if isinstance(v, Tensor)}


def restore_optimizer(optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what `optimizer_tensors` took; the parameter groups stay as they are."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})


def random_tensors(device: torch.device) -> dict[str, Tensor]:
    """The states of torch's generators that a run draws from: the CPU's, and the device's where it is CUDA."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def restore_random(states: Mapping[str, Tensor], device: torch.device) -> None:
    """Put back what `random_tensors` took."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)
