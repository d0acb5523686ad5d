"""The OSU 0.18 micrometre standard cells, from Debian's package qflow-tech-osu018 (free, GPL)."""

import hashlib
import io
import tarfile
import urllib.error
import urllib.request
from http.client import HTTPException
from lzma import LZMAError
from pathlib import Path

from ...errors import DataError
from ...files import atomic_write

__all__ = ["LIBERTY", "fetch_osu018", "unpack_deb"]

LIBERTY = "osu018_stdcells.lib"
_ADDRESS = "https://deb.debian.org/debian/pool/main/q/qflow/qflow-tech-osu018_1.3.17+dfsg.1-3_all.deb"
_SHA256 = "64fae4bebbbd6a849c8c87c8e86d5fe137df44a1ea7715dcd59d11c720019428"
_MEMBER = f"usr/share/qflow/tech/osu018/{LIBERTY}"
_MAGIC, _HEADER = b"!<arch>\n", 60


def fetch_osu018(folder: Path, address: str = _ADDRESS, timeout: float = 60.0) -> Path:
    """Make sure that `folder` holds the liberty file, downloading the package if it does not; returns the file.

    DataError if the package cannot be had or is not the one that is known, byte for byte.
    """
    path = folder / LIBERTY
    if path.is_file():
        return path
    hint = "or name a liberty file with --liberty"
    try:
        with urllib.request.urlopen(address, timeout=timeout) as response:
            package = response.read()
    except (urllib.error.URLError, HTTPException, OSError) as error:
        raise DataError(
            f"cannot download {address}: {getattr(error, 'reason', None) or error}; try again, {hint}"
        ) from error
    if hashlib.sha256(package).hexdigest() != _SHA256:
        raise DataError(f"{address} is not the package that is known (SHA-256 differs); {hint}")
    atomic_write(path, unpack_deb(package, _MEMBER))
    return path


def unpack_deb(package: bytes, member: str) -> bytes:
    """A file out of a Debian package, an ar archive with a tar archive in it; DataError if it is not there."""
    position = len(_MAGIC)
    try:
        while package.startswith(_MAGIC) and position + _HEADER <= len(package):
            header = package[position : position + _HEADER]
            size = int(header[48:58])
            if header.startswith(b"data.tar"):
                content = io.BytesIO(package[position + _HEADER : position + _HEADER + size])
                with tarfile.open(fileobj=content) as archive:
                    found = archive.extractfile(f"./{member}")
                    if found is not None:
                        return found.read()
            position += _HEADER + size + size % 2
    except (KeyError, ValueError, tarfile.TarError, LZMAError) as error:
        raise DataError(f"a damaged Debian package ({error})") from error
    raise DataError(f"no {member} in the Debian package")
