"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DataDir", "Json"]

DataDir = Annotated[
    Path | None,
    typer.Option(
        "--data-dir",
        help="Folder with one sub-folder a data set (mnist/, ...), or that sub-folder. (default: $XNORFLOW_DATA)",
        metavar="DIR",
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
