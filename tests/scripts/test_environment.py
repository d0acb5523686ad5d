"""scripts/environment.py: what is missing is named in one line, and an unreachable index is no obstacle."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def environment() -> ModuleType:
    spec = importlib.util.spec_from_file_location("environment", ROOT / "scripts" / "environment.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_nothing_is_missing_here(environment: ModuleType) -> None:
    assert environment.missing() == []


@pytest.mark.parametrize("tool", ["g++", "make", "perl"])
def test_a_missing_tool_is_one_line(tool: str, tmp_path: Path) -> None:
    for other in {"g++", "make", "perl"} - {tool}:
        (tmp_path / other).symlink_to(str(shutil.which(other)))
    command = [sys.executable, str(ROOT / "scripts" / "environment.py"), str(tmp_path / "venv"), "all"]
    done = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, f"{tool} is missing: apt-get install {tool}\n")
    assert not (tmp_path / "venv").exists()


def test_an_old_python_is_one_line(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment, "LEAST_PYTHON", (99, 1))
    (line,) = environment.missing()
    assert line.startswith("Python 99.1 or newer is needed")


def test_a_python_without_venv_is_named(environment: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment.importlib.util, "find_spec", lambda name: None)
    assert environment.missing() == ["Python's venv module is missing: apt-get install python3-venv"]


def test_torch_comes_without_cuda_where_its_index_answers(
    environment: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "torch").mkdir()
    (tmp_path / "torch" / "index.html").write_text("")
    monkeypatch.setenv("TORCH_INDEX", tmp_path.as_uri())
    assert environment.torch_index() is None or environment.torch_index() == tmp_path.as_uri()
    monkeypatch.setenv("TORCH_INDEX", "http://127.0.0.1:9")
    assert environment.torch_index() is None
    monkeypatch.setenv("TORCH_INDEX", "")
    assert environment.torch_index() is None


def test_the_constraints_name_exact_versions_and_every_dependency() -> None:
    import tomllib

    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = dict(line.lower().split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *(r for group in project["optional-dependencies"].values() for r in group)]
    names = {requirement.split(">")[0].split("[")[0].lower() for requirement in wanted} - {"xnorflow"}
    assert names <= pinned.keys()
    assert pinned["torch"] == "2.13.0"  # no local version: that of the CPU build is taken where there is one
