"""The operators and compiled networks on a GPU: the same numbers as on a CPU and as the golden model's."""

from pathlib import Path

import numpy as np
import pytest
import torch
from plane_cases import WINDOWS, convolved, plain
from random_conv_networks import Conv, random_codes, random_conv_network
from random_graphs import random_graph
from random_networks import random_network

from xnorflow.compiler import golden
from xnorflow.compiler.ir import Encoding, Input, InputTransform, IntegerNetwork
from xnorflow.errors import UsageError
from xnorflow.gpu import device, layers, operators
from xnorflow.gpu.bench import bench_gpu
from xnorflow.gpu.forms import Windows
from xnorflow.gpu.kernels import KERNELS
from xnorflow.gpu.runner import Runner, compare_with_golden
from xnorflow.train.data.datasets import load_dataset

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no NVIDIA GPU"),
]

UNSIGNED = Encoding.UNSIGNED
SHAPES = [(1, 10, 784), (8, 1024, 1024), (9, 1, 1), (64, 64, 128), (65, 63, 129), (300, 257, 4000), (2048, 1024, 1000)]


def there(*arguments: object) -> tuple[object, ...]:
    """Tensors on the GPU, all else as it is."""
    return tuple(one.cuda() if isinstance(one, torch.Tensor) else one for one in arguments)


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("planes", [(1, 1), (3, 2)], ids=str)
def test_products(shape: tuple[int, int, int], planes: tuple[int, int]) -> None:
    case = plain(*shape, planes)
    np.testing.assert_array_equal(operators.plane_product(*there(*case.arguments)).cpu().numpy(), case.acc)
    thresholds, flip, _ = case.thresholds(2)
    multiplier, offset, _ = case.multipliers(3, 4)
    words = -(-shape[1] // 32) + 1
    for name, constants in (
        ("plane_thresholds", (thresholds, flip, 2, words)),
        ("plane_requantized", (multiplier, offset, 4, 3, words)),
    ):
        operator = getattr(operators, name)
        expected = operator(*case.arguments, *constants)
        assert torch.equal(operator(*there(*case.arguments, *constants)).cpu(), expected)


@pytest.mark.parametrize("windows", WINDOWS, ids=str)
@pytest.mark.parametrize("images", [1, 40])
def test_windows(windows: Windows, images: int) -> None:
    case = convolved(images, 70, windows, (2, 1))
    np.testing.assert_array_equal(operators.plane_product(*there(*case.arguments)).cpu().numpy(), case.acc)


@pytest.mark.parametrize("name", sorted(KERNELS))
def test_every_kernel(name: str) -> None:
    architecture, _ = device._about(torch.cuda.current_device())
    if not KERNELS[name].on(architecture):
        pytest.skip(f"{name} is not for sm_{architecture}")
    case = convolved(9, 70, WINDOWS[1]) if name.endswith("_windows") else plain(300, 70, 1000)
    out = torch.full(case.acc.shape, -7, dtype=torch.int32, device="cuda")
    device.product(*there(*case.arguments), out, kernel=name)
    np.testing.assert_array_equal(out.cpu().numpy(), case.acc)


def test_what_stands_around_products() -> None:
    codes, table = torch.randint(0, 256, (500, 70), dtype=torch.uint8), torch.randperm(256).to(torch.uint8)
    planes = operators.pack_planes(codes, table, 8, 3)
    assert torch.equal(operators.pack_planes(*there(codes, table), 8, 3).cpu(), planes)
    assert torch.equal(operators.unpack_planes(planes.cuda(), 70).cpu(), table[codes.long()])
    maps = torch.randint(-(1 << 31), (1 << 31) - 1, (3, 20, 5, 6, 2), dtype=torch.int32)
    assert torch.equal(
        operators.pool_planes(maps.cuda(), [2, 3], [2, 1]).cpu(), operators.pool_planes(maps, [2, 3], [2, 1])
    )
    acc, constants = torch.randint(-3, 4, (99, 40), dtype=torch.int32), torch.randint(-3, 4, (2, 40))
    for ours, theirs in zip(
        operators.class_scores(*there(acc, *constants)), operators.class_scores(acc, *constants), strict=True
    ):
        assert torch.equal(ours.cpu(), theirs)


def test_a_stream_that_is_not_the_default() -> None:
    case, stream = plain(300, 257, 4000), torch.cuda.Stream()
    arguments = there(*case.arguments)
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        made = operators.plane_product(*arguments)
    stream.synchronize()
    np.testing.assert_array_equal(made.cpu().numpy(), case.acc)


def test_a_second_device() -> None:
    case = plain(30, 25, 400)
    if torch.cuda.device_count() > 1:
        arguments = [one.to("cuda:1") if isinstance(one, torch.Tensor) else one for one in case.arguments]
        np.testing.assert_array_equal(operators.plane_product(*arguments).cpu().numpy(), case.acc)
    a, b, gamma, *rest = case.arguments
    with pytest.raises((UsageError, RuntimeError), match="device"):
        operators.plane_product(a.cuda(), b, gamma, *rest)


@pytest.mark.slow
def test_more_elements_than_31_bits_count() -> None:
    size = 47_000  # squared it is more than 2^31
    a = torch.randint(-(1 << 31), (1 << 31) - 1, (1, size, 4), dtype=torch.int32, device="cuda")
    gamma = torch.zeros(size, dtype=torch.int32, device="cuda")
    made = operators.plane_product(a, a, gamma, 1, 0, [])
    for row in (0, size - 1):
        expected = operators.plane_product(a[:, row : row + 1].cpu(), a.cpu(), gamma.cpu(), 1, 0, [])
        assert torch.equal(made[row].cpu(), expected[0])


NETWORKS = {
    "lfc": lambda: random_network([784, 1024, 1024, 1024, 10]),
    "wide": lambda: random_network([70, 60, 10], (8, UNSIGNED), (3, UNSIGNED), (2, Encoding.TERNARY)),
    "cnv": lambda: random_conv_network(
        (32, 32, 3),
        [
            Conv(channels, (3, 3), pool_codes=((2, 2), (2, 2)) if pooled else None)
            for channels, pooled in ((64, False), (64, True), (128, False), (128, True), (256, False), (256, False))
        ],
        (512, 512, 10),
        (8, UNSIGNED),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("batch", [1, 16])
def test_whole_networks_in_a_graph(name: str, batch: int) -> None:
    network = NETWORKS[name]()
    codes = random_codes(network, 37)
    runner = Runner(network, "cuda", keep=Runner(network).names, batch=batch)
    assert all(differing == 0 for _, differing in compare_with_golden(runner, codes).values())
    np.testing.assert_array_equal(runner.run(codes).classes, golden.run(network, codes).classes)


@pytest.mark.parametrize("seed", range(12))
def test_graphs(seed: int) -> None:
    network = random_graph(seed)
    if not any(stage.groups > 1 for stage in network.stages()):
        runner = Runner(network, "cuda", keep=Runner(network).names, batch=8)
        assert all(differing == 0 for _, differing in compare_with_golden(runner, random_codes(network, 19)).values())


@pytest.mark.mnist
def test_ten_thousand_images_layer_by_layer(data_dir: Path) -> None:
    network = random_network([784, 1024, 1024, 1024, 10])
    source = network.input
    turned = Input(source.name, (), source.type, InputTransform(0.0, 255.0))
    network = IntegerNetwork((turned, *network.nodes[1:]), network.class_names)
    images = load_dataset("mnist", "test", data_dir).images.reshape(-1, 784)
    runner = Runner(network, "cuda", keep=Runner(network).names, batch=1000)
    counts = compare_with_golden(runner, images)
    assert sum(compared for compared, _ in counts.values()) > 10_000 * 3 * 1024
    assert all(differing == 0 for _, differing in counts.values())


def test_layers_by_the_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XNORFLOW_GPU_LAYERS", "1")
    x, weight = (torch.randint(0, 2, (n, 200)).mul(2.0).sub(1).cuda() for n in (40, 64))
    assert layers.takes(x, weight, 40)
    assert torch.equal(layers.linear(x, weight), torch.nn.functional.linear(x, weight))
    maps = torch.randint(0, 2, (3, 130, 6, 7)).mul(2.0).sub(1).cuda()
    kernels = torch.randint(0, 2, (128, 130, 3, 3)).mul(2.0).sub(1).cuda()
    expected = torch.nn.functional.conv2d(maps.double(), kernels.double(), stride=(1, 2)).float()
    assert torch.equal(layers.conv2d(maps, kernels, (1, 2), (1, 1)), expected)


def test_the_benchmark_runs() -> None:
    made = bench_gpu({"small": random_network([100, 64, 10])}, sizes=[256], batches=[1, 20], rounds=1)
    assert made.products[0].mismatches == 0
    assert [times.batch for times in made.networks] == [1, 20]
