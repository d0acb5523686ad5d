"""Samples for `predict`: PNG images, grey or RGB as the network takes them, and .npy arrays; read without pickles."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.typing import NDArray

from .errors import DataError

__all__ = ["Sample", "read_array", "read_samples"]


@dataclass(frozen=True, eq=False, slots=True)
class Sample:
    """One raw sample of the network's input shape, and what to call it."""

    source: str
    raw: NDArray[np.generic]


def read_samples(path: Path, shape: tuple[int, ...]) -> Iterator[Sample]:
    """The samples in a file: one of a PNG image, one or a batch of an .npy array.

    shape: the network's input shape. An image must have exactly that height and width: it is not resized, because
    a network sees pixels and not pictures. DataError names the file and what was expected.
    """
    suffix = path.suffix.lower()
    if suffix == ".png":
        yield Sample(path.name, _as_sample(read_png(path, colours=shape[2:] == (3,)), shape, path))
    elif suffix == ".npy":
        array = read_array(path)
        if array.ndim == len(shape) + 1 or (array.ndim == 2 and array.shape[1:] == (int(np.prod(shape)),) != shape):
            for index, raw in enumerate(array):
                yield Sample(f"{path.name}[{index}]", _as_sample(raw, shape, path))
        else:
            yield Sample(path.name, _as_sample(array, shape, path))
    else:
        raise DataError(f"{path}: expected a .png image or an .npy array")


def read_png(path: Path, *, colours: bool = False) -> NDArray[np.uint8]:
    """The grey values of a PNG image, uint8 (height, width), or its red, green and blue, (height, width, 3).

    DataError if it is damaged or of the other kind.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path, formats=["PNG"]) as image:
            image.verify()  # every chunk's checksum: loading alone overlooks a cut or changed end
        with Image.open(path, formats=["PNG"]) as image:
            if colours:
                if image.mode != "RGB":
                    raise DataError(f"{path}: expected an RGB image, not mode {image.mode}; convert it first")
                return np.asarray(image, dtype=np.uint8)
            if image.mode not in ("L", "1"):
                raise DataError(f"{path}: expected an 8-bit grey image, not mode {image.mode}; convert it first")
            return np.asarray(image.convert("L"), dtype=np.uint8)  # black and white become 0 and 255
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}") from error
    except (UnidentifiedImageError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise DataError(f"{path} is not a PNG image or is damaged") from error
    except OSError as error:  # Pillow's word for a truncated file, too
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error


def read_array(path: Path) -> NDArray[np.generic]:
    """A real-valued array of an .npy file; DataError if it is none, is damaged, or would need unpickling."""
    try:
        with path.open("rb") as file:
            array: NDArray[np.generic] = np.lib.format.read_array(file, allow_pickle=False)
            rest = file.read(1)
    except FileNotFoundError as error:
        raise DataError(f"no such file: {path}") from error
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, OverflowError, EOFError, MemoryError, SyntaxError, TokenError) as error:
        raise DataError(f"{path} is not an .npy array of numbers or is damaged") from error
    if rest or array.dtype.kind not in "buif":
        raise DataError(f"{path} is not an .npy array of real numbers ({array.dtype}) and nothing else")
    if array.dtype.kind == "f" and not np.isfinite(array.astype(np.float64)).all():
        raise DataError(f"{path} holds values that are not finite")
    return array


def _as_sample(raw: NDArray[np.generic], shape: tuple[int, ...], path: Path) -> NDArray[np.generic]:
    """`raw` in the network's shape; axes of length 1 and flattening do not matter, everything else does."""
    squeezed = tuple(n for n in raw.shape if n != 1)
    if squeezed not in (tuple(n for n in shape if n != 1), (int(np.prod(shape)),)):
        raise DataError(f"{path}: the network expects {_show(shape)}, not {_show(raw.shape)}")
    return raw.reshape(shape)


def _show(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
