"""MNIST from its public mirrors, checked against the published sums. No torch, no third-party package."""

import gzip
import hashlib
import urllib.error
import urllib.request
import zlib
from http.client import HTTPException
from pathlib import Path

from ...errors import DataError
from ...files import atomic_write

__all__ = ["MIRRORS", "MNIST_MD5", "fetch_mnist"]

MIRRORS = (
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
)
# MD5 of the uncompressed files, as published with the set: a recompressed copy is as good.
MNIST_MD5 = {
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}


def fetch_mnist(folder: Path, mirrors: tuple[str, ...] | None = None, timeout: float = 30.0) -> Path:
    """Make sure that `folder` holds the four IDX files, downloading what is missing; returns `folder`.

    mirrors: addresses to which a file name is appended, MIRRORS by default.
    timeout: seconds of silence after which a mirror is given up. DataError if no mirror yields a file with the right
    MD5, or if it cannot be written.
    """
    for name, md5 in MNIST_MD5.items():
        if not (folder / name).is_file():
            content = _download(name, md5, MIRRORS if mirrors is None else mirrors, timeout)
            try:
                atomic_write(folder / name, content)
            except OSError as error:
                raise DataError(f"cannot write {folder / name}: {error.strerror or error}") from error
    return folder


def _download(name: str, md5: str, mirrors: tuple[str, ...], timeout: float) -> bytes:
    problem = "no mirror"
    for mirror in mirrors:
        try:
            with urllib.request.urlopen(f"{mirror}{name}.gz", timeout=timeout) as response:
                content = gzip.decompress(response.read())
        except (urllib.error.URLError, HTTPException, OSError, EOFError, zlib.error) as error:
            problem = f"{mirror}: {getattr(error, 'reason', None) or error or type(error).__name__}"
            continue
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return content
        problem = f"{mirror}: wrong MD5"
    raise DataError(f"cannot download MNIST ({problem}); give --data-dir or XNORFLOW_DATA a folder with {name}[.gz]")
