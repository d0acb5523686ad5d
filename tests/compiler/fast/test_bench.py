import numpy as np
import pytest
from random_conv_networks import Conv, random_conv_network
from random_networks import random_network

torch = pytest.importorskip("torch")

from xnorflow.compiler.fast.bench import _products, bench_backend  # noqa: E402 - torch first, or skip


def test_figures_belong_together() -> None:
    network = random_network([16, 12, 4])
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 4)).train()
    raw = np.random.default_rng(0).integers(0, 2, (50, 16), dtype=np.uint8)
    threads = torch.get_num_threads()
    figures = bench_backend(network, module.to(torch.float32), raw.astype(np.float32), threads=1, repeats=3)
    assert figures.disagreements == 0
    assert figures.samples == figures.module_batch == 50
    assert figures.ratio == figures.module_ms / figures.backend_ms
    assert figures.products_ratio == figures.products_ms / figures.backend_ms
    assert set(figures.methods) == {"dense0", "dense1"}
    assert module.training  # as it was before
    assert torch.get_num_threads() == threads


def test_convolutions_are_timed_as_convolutions() -> None:
    layer = Conv(3, (2, 3), stride=(2, 1), padding=(1, 1), dilation=(1, 2))
    network = random_conv_network((5, 6, 2), [layer], (4,))
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(60, 4))
    raw = np.random.default_rng(0).integers(0, 2, (20, 5, 6, 2), dtype=np.uint8)
    figures = bench_backend(network, module, raw.astype(np.float32), threads=1, repeats=1)
    assert figures.disagreements == 0
    assert set(figures.methods) == {"conv0", "dense0"}
    shapes = [product.shape for product in _products(network, raw)()]
    assert shapes == [(20, 3, *network.node("conv0").type.shape[:2]), (20, 4)]
