"""Make .typing/xnorflow, a git-ignored link tree in which type checkers see the packages as they are imported."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Link every package of pyproject.toml's package-dir at its import path."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    tree = ROOT / ".typing" / "xnorflow"
    tree.mkdir(parents=True, exist_ok=True)
    for entry in (ROOT / "src" / "xnorflow").iterdir():
        _link(tree / entry.name, entry)
    for package, folder in config["tool"]["setuptools"]["package-dir"].items():
        if package.count(".") == 1 and not folder.startswith("src/"):
            _link(tree / package.split(".")[1], ROOT / folder)


def _link(link: Path, target: Path) -> None:
    if not link.is_symlink():
        link.symlink_to(target)


if __name__ == "__main__":
    main()
