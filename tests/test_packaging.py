"""What is shipped, what importing it costs, and that the rooms' arrows point one way."""

import ast
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CONFIG = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOLDERS = {name: ROOT / path for name, path in CONFIG["tool"]["setuptools"]["package-dir"].items()}
ROOMS = ("train", "compiler", "hdl", "sim", "boards", "src")

# The table of docs/architecture.md: what each room may import from the house.
ALLOWED = {
    "errors": set(),
    "files": {"errors"},
    "config": {"errors"},
    "train": {"errors", "files", "config", "gpu"},
    "compiler": {"errors", "files", "config", "boards"},
    "boards": {"errors", "config"},
    "link": {"errors"},
    "hdl": {"compiler", "boards", "link", "errors", "files", "config"},
    "sim": {"hdl", "compiler", "link", "errors", "files", "config"},
    "gpu": {"compiler", "errors", "files"},
}


def python_files(package: str) -> list[Path]:
    return sorted(FOLDERS[package].glob("*.py"))


def test_declared_packages_are_the_folders_on_disk() -> None:
    found = {str(init.parent.relative_to(ROOT)) for room in ROOMS for init in (ROOT / room).rglob("__init__.py")}
    assert found == {str(folder.relative_to(ROOT)) for folder in FOLDERS.values()}
    assert sorted(CONFIG["tool"]["setuptools"]["packages"]) == sorted(FOLDERS)


@pytest.mark.parametrize("package", sorted(FOLDERS))
def test_rooms_import_what_the_architecture_allows(package: str) -> None:
    room = package.removeprefix("xnorflow").removeprefix(".").split(".")[0]
    wrong = []
    for path in python_files(package):
        allowed = ALLOWED.get(path.stem if package == "xnorflow" else room)
        if allowed is None:
            continue  # the flow, the command line and the report stand on top of everything
        if package == "xnorflow.compiler.lowering":
            allowed = allowed | {"train"}
        wrong += [f"{path}: {name}" for name in imported_rooms(path, package) - allowed - {room}]
    assert not wrong


@pytest.mark.parametrize("package", [name for name in sorted(FOLDERS) if not name.startswith("xnorflow.train")])
def test_torch_is_imported_at_the_top_by_lowering_and_operators_alone(package: str) -> None:
    for path in python_files(package):
        top = {module.split(".")[0] for node in ast.parse(path.read_text()).body for module in modules(node)}
        assert "torch" not in top or package in ("xnorflow.compiler.lowering", "xnorflow.gpu"), path


def modules(node: ast.stmt) -> list[str]:
    """Absolute modules that an import statement names."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return [node.module]
    return []


def imported_rooms(path: Path, package: str) -> set[str]:
    """Rooms (or single files of the root) that a file imports, type checking and inner imports included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            target = ".".join(parents + ([node.module] if node.module else []))
            names = [f"{target}.{alias.name}" for alias in node.names] if target == "xnorflow" else [target]
            found |= {name.split(".")[1] for name in names}
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= {module.split(".")[1] for module in modules(node) if module.startswith("xnorflow.")}
    return found


def test_files_stay_readable() -> None:
    sources = [path for package in FOLDERS for path in python_files(package)]
    long = {str(path.relative_to(ROOT)): n for path in sources if (n := len(path.read_text().splitlines())) > 420}
    assert not long


def test_a_wheel_carries_every_file_that_is_no_rubbish(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation"]
    source = tmp_path / "source"
    source.mkdir()
    for name in (*ROOMS, "pyproject.toml", "README.md", "LICENSE"):
        (source / name).symlink_to(ROOT / name)
    subprocess.run([*command, "-w", str(tmp_path), str(source)], check=True, cwd=tmp_path)
    (wheel,) = tmp_path.glob("*.whl")
    shipped = set(zipfile.ZipFile(wheel).namelist())
    expected = set()
    for package, folder in FOLDERS.items():
        for path in folder.rglob("*"):
            inside = path.relative_to(folder)
            nested = any((folder / parent / "__init__.py").exists() for parent in list(inside.parents)[:-1])
            if path.is_file() and path.parent.name != "__pycache__" and not nested and not path.is_symlink():
                expected.add("/".join([*package.split("."), *inside.parts]))
    assert expected <= shipped


@pytest.mark.parametrize(
    ("statement", "unwanted"),
    [
        ("import xnorflow", {"numpy", "torch", "rich", "amaranth"}),
        ("import xnorflow.cli.app", {"numpy", "torch", "amaranth", "jinja2"}),
        ("import xnorflow.flow", {"torch", "amaranth", "cocotb", "matplotlib", "sklearn"}),
        ("import xnorflow.train.data.datasets, xnorflow.train.recipe", {"torch", "matplotlib", "sklearn"}),
        ("import xnorflow.compiler.golden, xnorflow.hdl, xnorflow.sim", {"torch"}),
    ],
)
def test_imports_stay_light(statement: str, unwanted: set[str]) -> None:
    code = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not unwanted & set(done.stdout.split())


def test_every_exported_name_is_there() -> None:
    import xnorflow

    for name in xnorflow.__all__:
        assert getattr(xnorflow, name) is not None
    assert set(xnorflow.__all__) <= set(dir(xnorflow))
    with pytest.raises(AttributeError, match="no attribute 'compil'"):
        _ = xnorflow.compil


def test_the_version_is_stated_once_in_two_places() -> None:
    import xnorflow

    assert xnorflow.__version__ == CONFIG["project"]["version"]
