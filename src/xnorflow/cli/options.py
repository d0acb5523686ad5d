"""Options that several commands share."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from ..errors import UsageError

if TYPE_CHECKING:
    from ..compiler.folds.folding import Arithmetic, Popcount

__all__ = ["CheckpointSeconds", "DataDir", "Json", "Workers", "arithmetic_kind", "one_of", "popcount_kind", "speaks"]

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder with one sub-folder a data set (mnist/, ...), or that sub-folder. (default: $XNORFLOW_DATA)",
        metavar="DIR",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
CheckpointSeconds = Annotated[float, typer.Option(help="Between checkpoints within an epoch.", metavar="SECONDS")]
Workers = Annotated[int, typer.Option(help="Threads that decode pictures, where these are files.", metavar="N")]


def speaks() -> bool:
    """Whether this process is the one that tells of a training: of those that torchrun starts, the first."""
    return os.environ.get("RANK", "0") == "0"


def one_of(option: str, value: str, choices: Sequence[str]) -> Any:
    """The value, which may then stand where a Literal of the choices is wanted; UsageError if it is none of them."""
    if value not in choices:
        *others, last = choices
        raise UsageError(f"{option} takes {', '.join(others)} or {last}, not {value!r}")
    return value


def popcount_kind(name: str) -> "Popcount":
    """The way to count bits that --popcount names; a type that typer knew would cost `--help` an import of NumPy."""
    from ..compiler.folds.folding import Popcount

    if name not in list(Popcount):
        raise UsageError(f"--popcount takes {' or '.join(Popcount)}, not {name!r}")
    return Popcount(name)


def arithmetic_kind(name: str) -> "Arithmetic":
    """What --arithmetic says that engines compute with."""
    from ..compiler.folds.folding import Arithmetic

    if name not in list(Arithmetic):
        raise UsageError(f"--arithmetic takes {' or '.join(Arithmetic)}, not {name!r}")
    return Arithmetic(name)
