"""Downloads from a server on this machine that can break off, and from folders."""

import gzip
import hashlib
import io
import logging
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from xnorflow.errors import DataError
from xnorflow.train.data import download
from xnorflow.train.data.datasets import DATASETS, load_dataset
from xnorflow.train.data.download import PUBLIC, PublicFile, fetch

CONTENT = np.random.default_rng(0).bytes(3_000_000)


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def server():
    """Serves `files`; breaks off after `limit` bytes of an answer; `asked` has the Range of each request."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            state = self.server
            content, start = state.files.get(self.path.strip("/")), self.headers.get("Range")
            state.asked.append(start)
            if content is None:
                return self.send_error(404)
            first = int(start[6:-1]) if start and state.ranges else 0
            if first >= len(content):
                return self.send_error(416)
            self.send_response(206 if start and state.ranges else 200)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            return self.wfile.write(content[first : first + state.limit])

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.files, server.asked, server.limit, server.ranges = {}, [], 1 << 30, True
    server.at = lambda name: f"http://127.0.0.1:{server.server_address[1]}/{name}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_download_goes_on_where_it_stopped(server, tmp_path, ranges):
    server.files["big"], server.limit, server.ranges = CONTENT, 1_300_000, ranges
    file = PublicFile("big", md5(CONTENT), (server.at("big"),))
    with pytest.raises(DataError, match="cannot download big .*give --data-dir or XNORFLOW_DATA a folder with big"):
        fetch("big", tmp_path, (file,))
    assert [path.name for path in tmp_path.iterdir()] == ["big.part"]
    kept = (tmp_path / "big.part").stat().st_size
    assert 0 < kept <= 1_300_000
    server.limit, steps = 1 << 30, []
    fetch("big", tmp_path, (file,), progress=lambda *step: steps.append(step))
    assert server.asked == [None, f"bytes={kept}-"]
    assert steps[-1] == ("big", len(CONTENT), len(CONTENT))
    assert steps[0][1] > kept if ranges else steps[0][1] <= 1 << 20
    assert [path.name for path in tmp_path.iterdir()] == ["big"]
    assert (tmp_path / "big").read_bytes() == CONTENT
    fetch("big", tmp_path, (file,))
    assert len(server.asked) == 2  # what is there is not asked for


def test_a_part_that_is_whole_already_is_taken(server, tmp_path):
    server.files["file"] = CONTENT
    (tmp_path / "file.part").write_bytes(CONTENT)
    fetch("file", tmp_path, (PublicFile("file", md5(CONTENT), (server.at("file"),)),))
    assert (tmp_path / "file").read_bytes() == CONTENT
    (tmp_path / "file").unlink()
    (tmp_path / "file.part").write_bytes(CONTENT[:-1] + b"?" + b"more")  # something else: thrown away
    with pytest.raises(DataError, match="wrong MD5"):
        fetch("file", tmp_path, (PublicFile("file", md5(CONTENT), (server.at("file"),)),))
    assert not list(tmp_path.iterdir())


def test_the_next_address_is_tried_and_gzip_is_unpacked(server, tmp_path):
    server.files |= {"packed.gz": gzip.compress(CONTENT), "bad.gz": gzip.compress(CONTENT)[:-9], "other.gz": b"no"}
    addresses = tuple(server.at(name) for name in ("nothing.gz", "bad.gz", "other.gz", "packed.gz"))
    fetch("it", tmp_path, (PublicFile("file", md5(CONTENT), addresses, "gzip"),))
    assert (tmp_path / "file").read_bytes() == CONTENT
    (tmp_path / "file").unlink()
    wrong = PublicFile("file", md5(b"else"), addresses, "gzip")
    with pytest.raises(DataError, match="wrong MD5"):
        fetch("it", tmp_path, (wrong,))
    assert not list(tmp_path.iterdir())


def test_an_archive_leaves_its_members_wherever_they_stand(server, tmp_path):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name in ("deep/folder/one.bin", "../two.bin", "deep/unwanted"):
            info = tarfile.TarInfo(name)
            info.size = len(name)
            tar.addfile(info, io.BytesIO(name.encode()))
    server.files["a.tar.gz"] = buffer.getvalue()
    file = PublicFile("a.tar.gz", md5(buffer.getvalue()), (server.at("a.tar.gz"),), "tar", ("one.bin", "two.bin"))
    fetch("a", tmp_path / "data", (file,))
    assert {p.name: p.read_bytes() for p in (tmp_path / "data").iterdir()} == {
        "one.bin": b"deep/folder/one.bin",
        "two.bin": b"../two.bin",
    }
    assert [p.name for p in tmp_path.iterdir()] == ["data"]
    missing = PublicFile("a.tar.gz", md5(buffer.getvalue()), (server.at("a.tar.gz"),), "tar", ("three.bin",))
    with pytest.raises(DataError, match=r"a\.tar\.gz has no three\.bin"):
        fetch("a", tmp_path / "data", (missing,))


def test_big_files_are_told_of_at_every_tenth(server, tmp_path, caplog):
    server.files["big"] = bytes(30_000_000)
    with caplog.at_level(logging.INFO):
        fetch("big", tmp_path, (PublicFile("big", md5(bytes(30_000_000)), (server.at("big"),)),))
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 10
    assert lines[-1] == "big: 30 of 30 MB"


@pytest.mark.parametrize("name", PUBLIC)
def test_no_network_is_one_clear_line(name, tmp_path, monkeypatch):
    monkeypatch.delenv("XNORFLOW_DATA", raising=False)
    monkeypatch.chdir(tmp_path)
    nowhere = tuple(PublicFile(f.name, f.md5, ("http://127.0.0.1:9/x",), f.packing, f.members) for f in PUBLIC[name])
    monkeypatch.setitem(download.PUBLIC, name, nowhere)
    with pytest.raises(DataError, match=f"cannot download {name} .*give --data-dir or XNORFLOW_DATA") as caught:
        load_dataset(name, "test")
    assert "\n" not in str(caught.value)


def test_public_sets_are_known_ones_and_the_others_say_so(tmp_path, monkeypatch):
    assert set(PUBLIC) <= set(DATASETS)
    monkeypatch.delenv("XNORFLOW_DATA", raising=False)
    with pytest.raises(DataError, match="text is not downloaded; give --data-dir or XNORFLOW_DATA a folder with text"):
        load_dataset("text", "test")


def test_a_folder_that_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        fetch("mnist", tmp_path / "file" / "folder")


@pytest.mark.parametrize("name", ["mnist", "ptb", "shakespeare"])
def test_the_published_sums_are_those_of_real_copies(name, data_dir):
    from xnorflow.train.data.datasets import _FOLDERS

    for file in PUBLIC[name]:
        plain, packed = data_dir / _FOLDERS[name] / file.name, data_dir / _FOLDERS[name] / f"{file.name}.gz"
        if not (plain.is_file() or packed.is_file()):
            pytest.skip(f"no copy of {name}")
        assert md5(plain.read_bytes() if plain.is_file() else gzip.decompress(packed.read_bytes())) == file.md5
