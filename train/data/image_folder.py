"""Folders of pictures in the layout of ImageNet: train/CLASS/*.JPEG and val/CLASS/*.JPEG. No torch.

A class is a folder, its number the folder's place in the order of names. The validation samples are the last fiftieth
of each class's training pictures, at least one; val is the test set. Pictures are decoded when they are wanted.
"""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...errors import DataError

__all__ = ["Pictures", "central_crop", "list_pictures", "random_crop", "read_picture"]

_SUFFIXES = (".jpeg", ".jpg", ".png")
_BORDER = 256 / 224  # of the shorter side to the central crop's

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures of a split and the number of each one's class."""

    paths: tuple[Path, ...]
    labels: NDArray[np.int64]


def list_pictures(folder: Path, split: str, classes: int) -> Pictures:
    """The pictures of a split, class by class; DataError for missing folders and another number of classes."""
    place = folder / ("val" if split == "test" else "train")
    if not place.is_dir():
        raise DataError(
            f"there is no {place}; give --data-dir or XNORFLOW_DATA a folder with train/CLASS and val/CLASS"
        )
    names = sorted(path.name for path in place.iterdir() if path.is_dir())
    if len(names) != classes:
        raise DataError(f"{place} has folders of {len(names)} classes, the recipe's folder.classes is {classes}")
    paths: list[Path] = []
    labels: list[int] = []
    for number, name in enumerate(names):
        found = sorted(path for path in (place / name).iterdir() if path.suffix.lower() in _SUFFIXES)
        held_out = max(1, len(found) // 50)
        if split != "test":
            found = found[-held_out:] if split == "validation" else found[:-held_out]
        if not found:
            raise DataError(f"{place / name} has no picture for {split}")
        paths += found
        labels += [number] * len(found)
    return Pictures(tuple(paths), np.array(labels, np.int64))


def central_crop(width: int, height: int) -> Box:
    """The square in the middle that is 224/256 of the shorter side."""
    side = min(width, height) / _BORDER
    left, top = (width - side) / 2, (height - side) / 2
    return left, top, left + side, top + side


def random_crop(width: int, height: int, random: np.random.Generator) -> tuple[Box, bool]:
    """A part of 8 to 100 % of the area with sides from 3:4 to 4:3, and whether to mirror it (1409.4842, section 6).

    Where ten attempts do not fit, the middle.
    """
    box = central_crop(width, height)
    for _ in range(10):
        area = width * height * random.uniform(0.08, 1.0)
        ratio = math.exp(random.uniform(math.log(3 / 4), math.log(4 / 3)))
        across, down = math.sqrt(area * ratio), math.sqrt(area / ratio)
        if across <= width and down <= height:
            left, top = random.uniform(0, width - across), random.uniform(0, height - down)
            box = (left, top, left + across, top + down)
            break
    return box, bool(random.integers(2))


def read_picture(path: Path, size: int, random: np.random.Generator | None = None) -> NDArray[np.uint8]:
    """A picture (size, size, 3), its central crop or with `random` a random one; DataError if it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            picture = file.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} cannot be read as a picture: {error}") from error
    box, mirrored = central_crop(*picture.size), False
    if random is not None:
        box, mirrored = random_crop(*picture.size, random)
    pixels = np.asarray(picture.resize((size, size), Image.Resampling.BILINEAR, box))
    return pixels[:, ::-1] if mirrored else pixels
