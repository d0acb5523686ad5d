"""`xnorflow bench gpu` without a GPU: its checks and its flow on a CPU, its numbers from given times."""

import json

import pytest
import torch
from random_conv_networks import Conv, random_conv_network
from random_graphs import residual_network
from random_networks import random_network

from xnorflow.cli import main
from xnorflow.compiler.ir import Encoding
from xnorflow.errors import HardwareError, UsageError
from xnorflow.gpu import bench
from xnorflow.gpu.bench_networks import default_networks, float_twin
from xnorflow.gpu.figures import (
    BARS,
    GpuBench,
    NetworkTimes,
    ProductTimes,
    Rates,
    floor_seconds,
    network_rows,
    product_rows,
    verdicts,
)
from xnorflow.gpu.operator_bench import bench_operator
from xnorflow.gpu.timing import HostClock, medians, sets_of_operands

CPU = torch.device("cpu")
RATES = Rates(mma=8e15, wgmma=None, bytes=4e12)


def plain(name: str, a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """What the kernels of rivals.cu yield."""
    if name == "plain_float":
        return a @ b.t()
    differing = (a[:, None] ^ b).view(torch.uint8).numpy()
    counts = torch.from_numpy(((differing[..., None] >> range(8)) & 1).sum(axis=(2, 3)))
    return 32 * a.shape[1] - 2 * counts.to(torch.int32)


@pytest.mark.filterwarnings("ignore:.*overflow.*")
def test_a_product_by_every_way() -> None:
    times = bench.product_times(128, CPU, HostClock(), 1, 4096, plain)
    assert list(times.seconds) == [
        *("int32", "threshold", "bf16", "bf16, compare, pack", "fp16", "int8", "float32"),
        *("plain float32", "plain popcount"),
    ]
    assert times.mismatches == 0
    assert all(seconds > 0 for seconds in times.seconds.values())


def test_a_wrong_product_is_never_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "plane_product", lambda a, b, *_: torch.zeros(a.shape[1], b.shape[1], dtype=torch.int32))
    with pytest.raises(HardwareError, match="numbers of a product of 64 x 64 x 64 differ from float32's"):
        bench.product_times(64, CPU, HostClock(), 1, 4096, None)


@pytest.mark.parametrize("hidden", [(1, Encoding.BIPOLAR), (2, Encoding.UNSIGNED)], ids=str)
def test_a_network_by_every_way(hidden: tuple[int, Encoding]) -> None:
    network = random_network([100, 64, 33, 10], (8, Encoding.UNSIGNED), hidden)
    times = bench.network_times("some", network, 20, "cpu", HostClock(), 1, plain)
    assert (list(times.seconds), times.mismatches, times.batch) == (["ours", "bf16", "plain float32"], 0, 20)


def test_a_wrong_network_is_never_timed() -> None:
    network = random_network([100, 64, 10])
    with pytest.raises(HardwareError, match="scores of some at batch 3 are not the golden model's"):
        bench.network_times("some", network, 3, "cpu", HostClock(), 1, lambda _, a, b: 1 - a @ b.t())


def test_the_float_network_has_the_same_layers() -> None:
    convs = [Conv(5, (3, 3), padding=(1, 1), pool_codes=((2, 2), (2, 2))), Conv(7, (2, 3), stride=(2, 1))]
    network = random_conv_network((9, 8, 3), convs, (20, 3), (8, Encoding.UNSIGNED))
    assert float_twin(network)(torch.rand(2, 9, 8, 3)).shape == (2, 3)
    times = bench.network_times("maps", network, 2, "cpu", HostClock(), 1, plain)
    assert list(times.seconds) == ["ours", "bf16"]  # the plain kernel multiplies matrices alone
    with pytest.raises(UsageError, match="only chains of layers have a float network"):
        float_twin(residual_network())


def test_the_networks_that_are_timed_where_none_is_named() -> None:
    networks = default_networks()
    assert [stage.dot.weights.codes.shape for stage in networks["LFC"].stages()] == [
        *((1024, 784), (1024, 1024), (1024, 1024), (10, 1024))
    ]
    assert float_twin(networks["LFC"])(torch.rand(2, 784)).shape == (2, 10)
    assert float_twin(networks["CNV, padded"])(torch.rand(1, 32, 32, 3)).shape == (1, 10)


def times(size: int = 8192) -> ProductTimes:
    seconds = {"int32": 2e-4, "threshold": 1e-4, "bf16": 1.4e-3, "bf16, compare, pack": 1.6e-3, "float32": 2e-2}
    return ProductTimes(size, seconds | {"plain float32": 0.1}, 0)


RESULT = GpuBench(
    "some GPU",
    "2.13",
    "12.9",
    RATES,
    (times(1024), times()),
    (
        NetworkTimes("LFC", 10_000, {"ours": 1e-4, "bf16": 9e-4, "plain float32": 8e-3}, 0),
        NetworkTimes("LFC", 1, {"ours": 1e-5, "bf16": 2e-5}, 0),
    ),
)


def test_floors() -> None:
    assert floor_seconds(8192, 32, RATES) == pytest.approx(max(8192**3 / 8e15, 8192**2 * (0.25 + 4) / 4e12))
    assert floor_seconds(1024, 32, Rates(8e30, None, 4e12)) == pytest.approx(1024**2 * 4.25 / 4e12)
    assert floor_seconds(1024, 1, Rates(None, None, 4e12)) is None


def test_the_figures_that_are_asked_for() -> None:
    found = verdicts(RESULT)
    assert list(found) == list(BARS)
    assert found == pytest.approx(
        {
            "int32 / bf16": 7.0,
            "threshold / bf16 and compare and pack": 16.0,
            "fraction of the floor": 8192**2 * 4.25 / 4e12 / 2e-4,
            "int32 / plain float32": 500.0,
            "int32 / cuBLAS float32": 100.0,
            "network / plain float32 network": 80.0,
            "LFC, 10,000 images / bf16": 9.0,
        }
    )
    assert verdicts(GpuBench("", "", "", RATES, (times(1024),), ())) == {}


def test_tables() -> None:
    rows = product_rows(RESULT)
    assert len(rows) == 12
    assert rows[6] == ("8192^3", "int32", "0.2000", "2,749", "7.00", "0.36")
    assert rows[11][1:] == ("plain float32", "100.0000", "5", "0.01", "")
    assert network_rows(RESULT)[1] == ("LFC", "10,000", "bf16", "0.9000", "11,111,111", "9.00")


def test_medians_and_turns() -> None:
    calls: list[str] = []
    found = medians({"a": lambda i: calls.append(f"a{i}"), "b": lambda i: calls.append(f"b{i}")}, 2, HostClock(), 3)
    assert calls == ["a0", "a1", "b0", "b1"] * 3
    assert set(found) == {"a", "b"}


def test_operands_are_larger_than_the_cache() -> None:
    assert [sets_of_operands(n, 50 << 20) for n in (1 << 20, 16 << 20, 1 << 30, 0)] == [100, 7, 1, 512]


def test_the_operators_on_a_cpu() -> None:
    result = bench_operator([(16, 130, 64)], threads=1, repeats=1)
    assert result.times[0].shape == (16, 130, 64)
    assert result.times[0].layer_ratio > 0
    with pytest.raises(UsageError, match="positive whole numbers"):
        bench_operator(threads=0)


@pytest.mark.skipif(torch.version.cuda is not None, reason="this torch is built for CUDA")
def test_without_a_gpu_it_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpu", "--json"]) == 2
    printed, complained = capsys.readouterr()
    assert printed == ""
    assert complained.count("\n") == 1
    assert "built without CUDA" in complained


def test_sizes_between_commas(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "gpu", "--sizes", "1024,x"]) == 2
    assert "positive whole numbers between commas are wanted, not '1024,x'" in capsys.readouterr().err


def test_bench_operator_prints(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from xnorflow.gpu import operator_bench

    made = bench_operator([(16, 64, 64)], threads=1, repeats=1)
    monkeypatch.setattr(operator_bench, "bench_operator", lambda threads: made)
    assert main(["bench", "operator", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["times"][0]["shape"] == [16, 64, 64]
    assert main(["bench", "operator"]) == 0
    assert "16 x 64 x 64" in capsys.readouterr().out
