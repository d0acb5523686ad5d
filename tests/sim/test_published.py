"""The published networks through their accelerators, at the published folding: every image's answer by hash."""

import hashlib
from pathlib import Path

import numpy as np
import pytest

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import load_folding
from xnorflow.compiler.storage.bnn_pynq import import_bnn_pynq
from xnorflow.hdl.generate import write_design
from xnorflow.sim.simulate import SimulationResult, simulate
from xnorflow.train.data.datasets import load_dataset

CNV_FOLDING = Path(__file__).parents[2] / "networks" / "cnv-published.folding.yaml"


def run(folder: Path, data: str, images: int, data_dir: Path, design: Path, folding: Path | None) -> SimulationResult:
    """Layers' streams and results over the first test images, bits counted with adders, which simulate fastest."""
    imported = import_bnn_pynq(folder)
    chosen = imported.folding
    if folding is not None:
        assert load_folding(folding, imported.network).layers == chosen.layers
    write_design(imported.network, chosen, design, board=load_board("pynq-z1"))
    return simulate(design, raw_images=load_dataset(data, "test", data_dir).images[:images])


@pytest.mark.slow
@pytest.mark.mnist
def test_published_lfc(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "bnn-pynq" / "lfcW1A1-mnist"
    if not folder.is_dir():
        pytest.skip("XNORFLOW_DATA has no bnn-pynq/lfcW1A1-mnist")
    result = run(folder, "mnist", 10_000, data_dir, tmp_path / "design", None)
    assert (result.mismatches, result.layers_checked, result.cycles_per_image, result.steady) == (0, 4, 512, True)
    digest = hashlib.sha256(np.load(result.classes).astype(np.uint8).tobytes()).hexdigest()
    assert digest == "c71120d8db32db0d5c0be53cbf800b6b90285dcecc87826089a39c8d1ddfca38"


@pytest.mark.slow
def test_published_cnv(data_dir: Path, tmp_path: Path) -> None:
    folder = data_dir / "bnn-pynq" / "cnvW1A1-cifar10"
    if not folder.is_dir() or not (data_dir / "cifar-10-batches-bin").is_dir():
        pytest.skip("XNORFLOW_DATA has no bnn-pynq/cnvW1A1-cifar10 or no cifar-10-batches-bin")
    result = run(folder, "cifar10", 1000, data_dir, tmp_path / "design", CNV_FOLDING)
    assert (result.mismatches, result.layers_checked, result.cycles_per_image, result.steady) == (0, 11, 32768, True)
    digest = hashlib.sha256((np.load(result.scores) // 2).astype("<u2").tobytes()).hexdigest()
    assert digest == "40579f21b95b2ed997ae45a8b490e7960a4c3ce2f0a24cc097f37e4a9284e0ba"
