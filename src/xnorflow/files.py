"""Atomic writes: a reader sees the earlier file or the whole new one, never a part."""

import fcntl
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .errors import UsageError

__all__ = ["atomic_directory", "atomic_write", "sha256_file", "take_folder"]


def atomic_write(path: Path, content: bytes | str) -> None:
    """Replace `path` by `content` (text as UTF-8) in one step, creating parent folders.

    The bytes are on disk before the rename, so a crash leaves the earlier file. Raises OSError (disk full, no
    permission) with the file's name; the earlier file is then untouched and no temporary file stays behind.
    """
    data = content.encode() if isinstance(content, str) else content
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp's 0600 would surprise whoever shares the folder
        Path(temporary).replace(path)
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        _name(error, path)
        raise


@contextmanager
def atomic_directory(path: Path) -> Iterator[Path]:
    """Yield an empty folder beside `path` that takes its place when the block ends without an error.

    What was at `path` is deleted; it stays, or comes back, where anything goes wrong.
    """
    path = path.resolve()  # "." and a link have no name or place of their own to take
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}."))
    temporary.chmod(0o755)
    try:
        yield temporary
        if path.exists():
            earlier = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}.old."))
            try:
                path.rename(earlier / path.name)
                temporary.rename(path)
            except BaseException:
                if (earlier / path.name).exists():
                    (earlier / path.name).rename(path)
                earlier.rmdir()
                raise
            shutil.rmtree(earlier)
        else:
            temporary.rename(path)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and str(temporary) in str(error.filename):
            error.filename = str(error.filename).replace(str(temporary), str(path))  # the place that the user named
        raise


def _name(error: BaseException, path: Path) -> None:
    """Say in an error what was being written: a full disk, unlike a missing permission, does not tell by itself."""
    if isinstance(error, OSError) and error.filename is None:
        error.filename = str(path)


def take_folder(folder: Path, busy: str) -> IO[bytes]:
    """Take a folder for this process, creating it; the lock goes with the open file, which is returned, or the process.

    UsageError with the text `busy` if another process has it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = (folder / "lock").open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        raise UsageError(busy) from None
    return file


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
