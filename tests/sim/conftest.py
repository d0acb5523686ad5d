"""A small accelerator, generated and simulated once for all tests of this folder."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.hdl.generate import write_design

IMAGES = 40


@pytest.fixture(scope="session")
def network() -> IntegerNetwork:
    """Wide inputs, codes of two bits between the layers, sizes that no fold divides."""
    return random_network([44, 23, 18, 7], (3, Encoding.UNSIGNED), (2, Encoding.UNSIGNED), seed=8)


@pytest.fixture(scope="session")
def samples(network: IntegerNetwork) -> NDArray[np.uint8]:
    generator = np.random.default_rng(9)
    return generator.integers(0, network.input.type.max_code + 1, (IMAGES, *network.input.type.shape), dtype=np.uint8)


@pytest.fixture(scope="session")
def pristine(network: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The design folder; tests work on copies, which inherit what was built in it."""
    layers = {"dense0": LayerFold(6, 11), "dense1": LayerFold(4, 6), "dense2": LayerFold(7, 4)}
    out = tmp_path_factory.mktemp("design") / "design"
    return write_design(network, Folding(layers, score_lanes=2), out, board=load_board("pynq-z1")).path


@pytest.fixture
def design(pristine: Path, tmp_path: Path) -> Path:
    """A copy of the design folder that a test may change."""
    return Path(shutil.copytree(pristine, tmp_path / "design", symlinks=True))
