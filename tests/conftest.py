"""Fixtures for every room: the data sets' folder, and what keeps the tests inside the checkout."""

import os
from pathlib import Path

import pytest

# Each worker of pytest-xdist has a core: threads of one would wait for those of the other. Before torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that XNORFLOW_DATA names; the test is skipped where there is none."""
    named = os.environ.get("XNORFLOW_DATA")
    if not named:
        pytest.skip("XNORFLOW_DATA does not name a folder with data sets (mnist/)")
    return Path(named).resolve()
