"""Make the environment that the Makefile uses: standard library only, every missing tool named in one line.

    python3 scripts/environment.py VENV EXTRAS

Checks Python, g++, make and perl, makes a virtual environment, and installs the checkout into it in the exact
versions of constraints.txt. Nothing is written outside VENV and the folders that the environment variables name.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LEAST_PYTHON = (3, 11)
# On Linux, PyPI's torch brings gigabytes of CUDA packages; this index has builds without.
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"


def main(arguments: list[str]) -> int:
    """Make the environment; 1 and one line on standard error where something is missing."""
    venv, extras = Path(arguments[0]), arguments[1]
    problems = missing()
    for problem in problems:
        sys.stderr.write(f"{problem}\n")
    if problems:
        return 1
    python = venv / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    index = torch_index()
    if index:
        install += ["--extra-index-url", index]
    else:
        sys.stderr.write("without the index of torch's CPU builds: PyPI's torch may bring 5 GB of CUDA packages\n")
    sys.stderr.write(f"installing into {venv} (a few minutes the first time)\n")
    done = subprocess.run([*install, "-c", str(ROOT / "constraints.txt"), "-e", f"{ROOT}[{extras}]"], check=False)
    return done.returncode


def missing() -> list[str]:
    """One line for each tool that has to be there first, with what to install."""
    version = ".".join(map(str, LEAST_PYTHON))
    if sys.version_info < LEAST_PYTHON:
        return [f"Python {version} or newer is needed, this is {sys.version.split()[0]}: make PYTHON=python{version}"]
    found = [f"{tool} is missing: apt-get install {tool}" for tool in ("g++", "make", "perl") if not shutil.which(tool)]
    if importlib.util.find_spec("ensurepip") is None or importlib.util.find_spec("venv") is None:
        found.append("Python's venv module is missing: apt-get install python3-venv")
    return found


def torch_index() -> str | None:
    """The index with torch's CPU builds, or None where it is unwanted or cannot be reached in five seconds."""
    index = os.environ.get("TORCH_INDEX", TORCH_INDEX)
    if not index:
        return None
    try:
        with urllib.request.urlopen(f"{index}/torch/", timeout=5):
            return index
    except (OSError, ValueError):
        return None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
