import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from xnorflow.errors import DataError
from xnorflow.hdl.asic import osu018

MEMBER = f"usr/share/qflow/tech/osu018/{osu018.LIBERTY}"


def package(name: str = MEMBER, content: bytes = b"library(x) {}") -> bytes:
    """A Debian package with one file, and an odd member in front so that padding counts."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz") as archive:
        info = tarfile.TarInfo(f"./{name}")
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    text = b"!<arch>\n"
    for member, data in (("debian-binary", b"2.0"), ("data.tar.xz", buffer.getvalue())):
        text += (
            f"{member:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data + b"\n" * (len(data) % 2)
        )
    return text


def test_a_file_out_of_a_package() -> None:
    assert osu018.unpack_deb(package(), MEMBER) == b"library(x) {}"


@pytest.mark.parametrize("content", [b"", b"not a package", package()[:200], package("other/file")])
def test_what_is_no_package_is_one_line(content: bytes) -> None:
    with pytest.raises(DataError, match="Debian package"):
        osu018.unpack_deb(content, MEMBER)


def test_the_package_is_known_byte_for_byte(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "p.deb"
    file.write_bytes(package())
    with pytest.raises(DataError, match="not the package that is known"):
        osu018.fetch_osu018(tmp_path / "cells", file.as_uri())
    assert not (tmp_path / "cells").exists()
    monkeypatch.setattr(osu018, "_SHA256", hashlib.sha256(package()).hexdigest())
    path = osu018.fetch_osu018(tmp_path / "cells", file.as_uri())
    assert path.read_bytes() == b"library(x) {}"
    assert osu018.fetch_osu018(tmp_path / "cells", "file:///nowhere") == path  # what is there is not fetched again


def test_no_network_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot download .* --liberty"):
        osu018.fetch_osu018(tmp_path, (tmp_path / "missing").as_uri())
