"""Atomic writes: whatever happens, the earlier file or folder or the whole new one is there, and nothing else."""

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from xnorflow.errors import UsageError
from xnorflow.files import atomic_directory, atomic_write, take_folder


def tree(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    (tmp_path / "design").mkdir()
    (tmp_path / "design" / "old").write_text("old")
    return tmp_path


def test_a_file_takes_the_earlier_ones_place(tmp_path: Path) -> None:
    atomic_write(tmp_path / "deep" / "file", "one")
    atomic_write(tmp_path / "deep" / "file", b"two")
    assert tree(tmp_path) == {"deep/file": "two"}


def test_a_file_that_cannot_be_placed_leaves_nothing(earlier: Path) -> None:
    with pytest.raises(OSError, match="design"):
        atomic_write(earlier / "design", "not a folder")
    assert tree(earlier) == {"design/old": "old"}


@contextmanager
def full_disk() -> Iterator[None]:
    """No file may grow beyond 1,000 bytes: the nearest that a test without a disk of its own has to a full one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_named_by_its_file_and_leaves_the_earlier_one(earlier: Path) -> None:
    with pytest.raises(OSError) as full, full_disk():
        atomic_write(earlier / "design" / "old", bytes(2000))
    assert full.value.filename == str(earlier / "design" / "old")
    with pytest.raises(OSError) as full, full_disk(), atomic_directory(earlier / "design") as draft:
        atomic_write(draft / "hdl" / "top.v", bytes(2000))
    assert full.value.filename == str(earlier / "design" / "hdl" / "top.v")
    assert tree(earlier) == {"design/old": "old"}


def test_a_folder_takes_the_earlier_ones_place(earlier: Path) -> None:
    with atomic_directory(earlier / "design") as draft:
        (draft / "new").write_text("new")
        assert tree(earlier / "design") == {"old": "old"}
    assert tree(earlier) == {"design/new": "new"}
    assert [p.name for p in earlier.iterdir()] == ["design"]


def test_a_folder_that_fails_leaves_the_earlier_one(earlier: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_directory(earlier / "design") as draft:
        (draft / "new").write_text("new")
        raise KeyboardInterrupt
    assert tree(earlier) == {"design/old": "old"}
    assert [p.name for p in earlier.iterdir()] == ["design"]


def test_an_interrupt_between_the_renames_brings_the_earlier_folder_back(
    earlier: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target.name == "design" and "old" not in self.parent.name:
            raise KeyboardInterrupt
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt), atomic_directory(earlier / "design") as draft:
        (draft / "new").write_text("new")
    assert tree(earlier) == {"design/old": "old"}
    assert [p.name for p in earlier.iterdir()] == ["design"]


def test_links_and_the_working_folder_are_places_too(earlier: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (earlier / "link").symlink_to("design")
    with atomic_directory(earlier / "link") as draft:
        (draft / "new").write_text("new")
    assert (earlier / "link").is_symlink()
    assert tree(earlier / "design") == {"new": "new"}
    monkeypatch.chdir(earlier / "design")
    with atomic_directory(Path()) as draft:
        (draft / "newer").write_text("newer")
    os.chdir(earlier)
    assert tree(earlier / "design") == {"newer": "newer"}


def test_a_folder_is_taken_by_one_at_a_time(tmp_path: Path) -> None:
    with take_folder(tmp_path / "run", "busy"), pytest.raises(UsageError, match="^somebody is there$"):
        take_folder(tmp_path / "run", "somebody is there")
    take_folder(tmp_path / "run", "busy").close()
