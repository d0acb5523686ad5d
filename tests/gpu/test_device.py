"""What is told to the CUDA kernels: the launches of `device`, on CPU tensors, go to kernel.cu behind the host shim."""

import ctypes
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
import torch
from host_kernel import Pool, Product, build
from host_kernel import launch as host_launch
from plane_cases import WINDOWS, convolved, plain
from random_conv_networks import Conv, random_codes, random_conv_network
from random_networks import random_network

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.errors import UsageError
from xnorflow.gpu import device, operators, runner
from xnorflow.gpu.forms import Windows
from xnorflow.gpu.kernels import KERNELS


class HostModule:
    """In the place of `driver.Module`. launched: (kernel, blocks, threads, shared) of every launch."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.library = library
        self.launched: list[tuple[str, int, int, int]] = []

    def launch(
        self,
        device: int | None,
        name: str,
        blocks: int,
        threads: int,
        shared: int,
        arguments: Sequence[ctypes.Structure],
    ) -> None:
        self.launched.append((name, blocks, threads, shared))
        if blocks:
            host_launch(self.library, name, blocks, *arguments)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def module(library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> Iterator[HostModule]:
    stand_in = HostModule(library)
    monkeypatch.setattr(device, "_MODULE", stand_in)
    monkeypatch.setattr(device, "_about", lambda _: (90, 1))
    yield stand_in


@pytest.mark.parametrize(("ours", "theirs"), [(device.Product, Product), (device.Pool, Pool)])
def test_the_structs_are_those_of_the_source(ours: type[ctypes.Structure], theirs: type[ctypes.Structure]) -> None:
    assert [(name, ctypes.sizeof(kind)) for name, kind in ours._fields_] == [
        (name, ctypes.sizeof(kind)) for name, kind in theirs._fields_
    ]
    assert ctypes.sizeof(ours) == ctypes.sizeof(theirs)


@pytest.mark.parametrize(("rows", "neurons", "size", "planes"), [(3, 40, 100, (1, 1)), (70, 130, 300, (1, 2))])
def test_products(module: HostModule, rows: int, neurons: int, size: int, planes: tuple[int, int]) -> None:
    case = plain(rows, neurons, size, planes)
    np.testing.assert_array_equal(device.plane_product(*case.arguments).numpy(), case.acc)
    thresholds, flip, _ = case.thresholds(2)
    multiplier, offset, _ = case.multipliers(3, 4)
    for name, constants in (
        ("plane_thresholds", (thresholds, flip, 2, 8)),
        ("plane_requantized", (multiplier, offset, 4, 3, 8)),
    ):
        expected = getattr(operators, name)(*case.arguments, *constants)
        assert torch.equal(getattr(device, name)(*case.arguments, *constants), expected)
    assert {name for name, *_ in module.launched} == ({"count_plain"} if rows <= 8 else {"tile_256"})


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
@pytest.mark.parametrize("images", [1, 3])
def test_windows(module: HostModule, windows: Windows, images: int) -> None:
    case = convolved(images, 33, windows, (2, 1))
    np.testing.assert_array_equal(device.plane_product(*case.arguments).numpy(), case.acc)
    thresholds, flip, _ = case.thresholds(1)
    expected = operators.plane_thresholds(*case.arguments, thresholds, flip, 1, 2)
    assert torch.equal(device.plane_thresholds(*case.arguments, thresholds, flip, 1, 2), expected)
    assert all(name.endswith("_windows") for name, *_ in module.launched)


def test_what_stands_around_products(module: HostModule) -> None:
    codes = torch.randint(0, 256, (5, 70), dtype=torch.uint8)
    table = torch.randperm(256).to(torch.uint8)
    planes = operators.pack_planes(codes, table, 8, 4)
    assert torch.equal(device.pack_planes(codes, table, 8, 4), planes)
    assert torch.equal(device.pack_planes(codes.t(), table, 8, 4), operators.pack_planes(codes.t(), table, 8, 4))
    values = codes.float() * 2 - 255
    assert torch.equal(device.pack_floats(values, -255.0, 0.5, 8, 3), operators.pack_floats(values, -255.0, 0.5, 8, 3))
    assert torch.equal(device.unpack_planes(planes, 70), table[codes.long()])
    maps = torch.randint(-(1 << 31), (1 << 31) - 1, (3, 2, 5, 6, 2), dtype=torch.int32)
    assert torch.equal(device.pool_planes(maps, [2, 3], [2, 1]), operators.pool_planes(maps, [2, 3], [2, 1]))
    acc = torch.randint(-3, 4, (9, 40), dtype=torch.int32)
    constants = torch.randint(-3, 4, (40,)), torch.randint(-3, 4, (40,))
    for made, expected in zip(
        device.class_scores(acc, *constants), operators.class_scores(acc, *constants), strict=True
    ):
        assert torch.equal(made, expected)


def test_operands_that_kernels_could_not_read_are_copied(module: HostModule) -> None:
    case = plain(9, 20, 70)
    a, b, gamma, *rest = case.arguments
    shifted = torch.cat([torch.zeros(1, dtype=torch.int32), a.reshape(-1)])[1:].reshape(a.shape)
    assert shifted.data_ptr() % 16 == 4
    np.testing.assert_array_equal(device.plane_product(shifted, b, gamma, *rest).numpy(), case.acc)
    narrow = a[:, :, :3], b[:, :, :3]  # 70 columns fill three words; rows of three words cannot be copied in chunks
    np.testing.assert_array_equal(device.plane_product(*narrow, gamma, *rest).numpy(), case.acc)
    scattered = torch.stack([a, ~a], dim=-1)[..., 0]
    np.testing.assert_array_equal(device.plane_product(scattered, b, gamma, *rest).numpy(), case.acc)


def test_nothing_is_launched_for_nothing(module: HostModule) -> None:
    for rows, neurons in ((0, 5), (5, 0)):
        assert device.plane_product(*plain(rows, neurons, 40).arguments).shape == (rows, neurons)
    assert all(blocks == 0 for _, blocks, _, _ in module.launched)


def test_blocks_are_those_that_fit_at_once(module: HostModule) -> None:
    device.plane_product(*plain(300, 300, 40).arguments)
    (launched,) = module.launched
    kernel = KERNELS["tile_256"]
    assert launched == ("tile_256", kernel.resident, kernel.threads, kernel.shared)


@pytest.mark.parametrize(
    ("shape", "windows", "architecture", "kernel"),
    [
        ((8192, 8192), False, 90, "tile_256"),
        ((8192, 8192), False, 80, "tile_128"),
        ((8192, 8192), False, 75, "count_plain"),
        ((1024, 1024), False, 90, "tile_64"),
        ((2048, 2048), False, 90, "tile_128"),
        ((8, 8192), False, 90, "count_plain"),
        ((8192, 128), True, 90, "tile_64_windows"),
        ((1 << 20, 128), True, 90, "tile_128_windows"),
        ((1, 10), True, 120, "count_windows"),
    ],
)
def test_large_tiles_where_every_multiprocessor_gets_one(
    shape: tuple[int, int], windows: bool, architecture: int, kernel: str
) -> None:
    assert device.chosen(*shape, windows, architecture, 132) == kernel


def test_more_tiles_than_a_launch_has(module: HostModule) -> None:
    a = torch.zeros(1, 1, 4, dtype=torch.int32).expand(1, 1 << 20, 4)
    gamma = torch.zeros(1, dtype=torch.int32).expand(1 << 24)
    b = torch.zeros(1, 1, 4, dtype=torch.int32).expand(1, 1 << 24, 4)
    out = torch.empty(0, dtype=torch.int32)
    with pytest.raises(UsageError, match="a product of 1,048,576 x 16,777,216 has .* tiles, too many for a launch"):
        device.product(a[:, :1].expand(1, 1 << 20, 4), b, gamma, 1, 0, [], out, kernel="tile_64")


BIPOLAR, UNSIGNED = Encoding.BIPOLAR, Encoding.UNSIGNED
NETWORKS = {
    "binary": random_network([100, 90, 80, 10]),
    "wide": random_network([70, 60, 10], (8, UNSIGNED), (3, UNSIGNED), (2, Encoding.TERNARY)),
    "maps": random_conv_network(
        (9, 8, 3),
        [Conv(40, (3, 3), padding=(1, 1), pool_codes=((2, 2), (2, 2))), Conv(70, (2, 2))],
        (20, 3),
        (8, UNSIGNED),
        (1, BIPOLAR),
    ),
}


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_whole_networks(module: HostModule, monkeypatch: pytest.MonkeyPatch, network: IntegerNetwork) -> None:
    for name in operators.__all__:
        if hasattr(runner, name):
            monkeypatch.setattr(runner, name, getattr(device, name))
    codes = random_codes(network, 3)
    made = runner.Runner(network, keep=runner.Runner(network).names)
    trace, oracle = made.run(codes), golden.run(network, codes)
    assert list(trace) == list(made.names)
    for name in made.names:
        np.testing.assert_array_equal(trace[name], oracle[name])
    assert {"pack", "scores", "unpack"} < {name for name, *_ in module.launched}
