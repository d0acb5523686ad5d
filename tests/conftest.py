"""Fixtures for every room: the data sets' folder, and what keeps the tests inside the checkout."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder that XNORFLOW_DATA names; the test is skipped where there is none."""
    named = os.environ.get("XNORFLOW_DATA")
    if not named:
        pytest.skip("XNORFLOW_DATA does not name a folder with data sets (mnist/)")
    return Path(named).resolve()
