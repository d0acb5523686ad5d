"""doctor: what is there, what is missing, what is too old, and how to get it."""

import importlib.metadata
import json
import shutil
from pathlib import Path

import pytest

from xnorflow import doctor
from xnorflow.cli import main
from xnorflow.doctor import Health, Tool, examine

TOOL_CODE = 6


def by_name() -> dict[str, Tool]:
    return {tool.name: tool for tool in examine()}


def test_everything_required_is_well_here(capsys: pytest.CaptureFixture[str]) -> None:
    tools = by_name()
    assert all(tool.health is Health.OK for tool in tools.values() if tool.required)
    assert {"python", "torch", "amaranth", "cocotb", "numpy", "verilator", "g++", "make", "perl"} <= tools.keys()
    assert tools["torch"].version == importlib.metadata.version("torch")
    assert tools["g++"].version[0].isdigit()
    assert main(["doctor"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "everything that the road needs is there"


def test_missing_programs_are_named_with_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "make").symlink_to(str(shutil.which("make")))
    monkeypatch.setenv("PATH", str(tmp_path))
    tools = by_name()
    assert tools["g++"].health is Health.MISSING
    assert tools["g++"].remedy == "apt-get install g++"
    assert tools["make"].health is Health.OK
    assert tools["verilator"].health is Health.MISSING
    assert main(["doctor", "--json"]) == TOOL_CODE
    printed, complained = capsys.readouterr()
    found = {tool["name"]: tool["health"] for tool in json.loads(printed)["tools"]}
    assert (found["perl"], found["make"]) == ("missing", "ok")
    assert complained == "xnorflow: error: missing or too old: g++, perl, verilator\n"


def test_old_and_missing_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.metadata.version

    def version(name: str) -> str:
        if name == "numba":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"numpy": "1.26.4", "cocotb": "2.0"}.get(name) or real(name)

    monkeypatch.setattr(doctor.importlib.metadata, "version", version)
    tools = by_name()
    assert (tools["numpy"].health, tools["numpy"].required) == (Health.OLD, True)
    assert tools["numpy"].remedy == "pip install xnorflow (>= 2.0)"
    assert (tools["numba"].health, tools["numba"].required) == (Health.MISSING, False)
    assert tools["numba"].remedy == "pip install 'xnorflow[fast]'"
    assert tools["cocotb"].health is Health.OK
