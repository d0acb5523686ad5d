"""`xnorflow run`: images through a board on a serial port."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ..errors import HardwareError, UsageError
from .options import DataDir, Json
from .output import print_json, print_lines
from .progress import counting

__all__ = ["run"]


def run(
    port: Annotated[
        str, typer.Option(help="Serial port of the board, such as /dev/ttyUSB0.", metavar="PORT", show_default=False)
    ],
    images: Annotated[
        list[Path] | None,
        typer.Argument(help="PNG images and .npy arrays, as for `predict`.", metavar="[IMAGES...]", show_default=False),
    ] = None,
    design: Annotated[Path, typer.Option(help="Design folder whose bitstream the board holds.", metavar="DIR")] = Path(
        "design"
    ),
    data: Annotated[str | None, typer.Option(help="Send test images of a data set instead.", metavar="NAME")] = None,
    limit: Annotated[int | None, typer.Option(help="Take the first N of them.", min=1, metavar="N")] = None,
    baud: Annotated[int | None, typer.Option(help="Bits a second. (default: the board's)", min=1, metavar="N")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Send images to a board and compare its answers with the golden model."""
    from .. import flow

    if not images and data is None:
        raise UsageError("give images, or --data with the name of a data set")
    with counting(sys.stderr, "images answered") as progress:
        result = flow.run(
            design,
            port=port,
            images=images or (),
            data=data,
            limit=limit,
            data_dir=data_dir,
            baud=baud,
            progress=progress,
        )
    count = len(result.predictions)
    if as_json:
        print_json(result)
    else:
        if images:
            for prediction in result.predictions:
                scores = " ".join(map(str, prediction.scores))
                print_lines(f"{prediction.source}: {prediction.class_name}  scores {scores}")
        accuracy = "" if result.accuracy is None else f", accuracy {result.accuracy:.2%}"
        print_lines(
            f"{count:,} images on {result.board}: {result.mismatches:,} mismatches{accuracy}; "
            f"{result.frames_per_s:,.1f} images a second at {result.baud:,} baud; "
            f"{result.resent:,} packets sent again, {result.dropped:,} came in damaged"
        )
    if result.mismatches:
        raise HardwareError(
            f"{result.board} disagrees with the golden model: {result.mismatches:,} of {count:,} images"
        )
