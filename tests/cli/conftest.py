"""The command line as a subprocess, as people start it, and a small network file for it."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from xnorflow.compiler.ir import (
    AccType,
    CodeType,
    Dense,
    Encoding,
    Input,
    InputTransform,
    IntegerNetwork,
    Scores,
    Threshold,
    Weights,
)
from xnorflow.compiler.storage.network_file import save_network


@pytest.fixture
def xnorflow(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """xnorflow(*arguments, **environment): run it in the test's own empty folder, without XNORFLOW_DATA."""

    def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "xnorflow", *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "XNORFLOW_DATA": "", **environment},
            timeout=300,
        )

    return run


@pytest.fixture(scope="session")
def network() -> IntegerNetwork:
    """12 pixels of 0 to 255 at one bit, 5 hidden neurons, 3 classes; its provenance names no data set."""
    rng = np.random.default_rng(1)
    first = Weights(rng.integers(0, 2, (5, 12), dtype=np.uint8), 1, Encoding.BIPOLAR)
    last = Weights(rng.integers(0, 2, (3, 5), dtype=np.uint8), 1, Encoding.BIPOLAR)
    nodes = (
        Input("pixels", (), CodeType((3, 4), 1, Encoding.BIPOLAR), InputTransform(0.0, 255.0)),
        Dense("fc1", ("pixels",), AccType((5,), -12, 12), first),
        Threshold(
            "act1",
            ("fc1",),
            CodeType((5,), 1, Encoding.BIPOLAR),
            np.array([[0], [2], [-2], [13], [0]]),
            np.array([False, True, False, False, True]),
        ),
        Dense("fc2", ("act1",), AccType((3,), -5, 5), last),
        Scores("scores", ("fc2",), AccType((3,), -11, 11), np.array([1, 2, 1]), np.array([0, 1, 0])),
    )
    return IntegerNetwork(nodes, ("a", "b", "c"))


@pytest.fixture(scope="session")
def network_file(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That network in a file."""
    path = tmp_path_factory.mktemp("network") / "network.safetensors"
    save_network(network, path)
    return path


@pytest.fixture
def interruptible() -> list[str]:
    """The command as a process that Ctrl-C stops even where the tests run in the background, deaf to it."""
    deaf_no_more = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    return [sys.executable, "-c", f"{deaf_no_more}; import sys; from xnorflow.cli import main; sys.exit(main())"]
