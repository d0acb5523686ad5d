"""What `xnorflow bench gpu` found, and what follows from it: ratios, and how far from the floor. Pure numbers."""

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = [
    "BARS",
    "GpuBench",
    "NetworkTimes",
    "ProductTimes",
    "Rates",
    "floor_seconds",
    "network_rows",
    "product_rows",
    "verdicts",
]

BARS = {
    "int32 / bf16": 5.0,
    "threshold / bf16 and compare and pack": 6.0,
    "fraction of the floor": 0.4,
    "int32 / plain float32": 23.0,
    "int32 / cuBLAS float32": 3.4,
    "network / plain float32 network": 7.0,
    "LFC, 10,000 images / bf16": 4.0,
}
"""What the figures at 8192^3, and those of the networks, are held against."""

BAR_SIZE, BAR_BATCH = 8192, 10_000


@dataclass(frozen=True, slots=True)
class Rates:
    """Measured: multiplications of bits a second by mma.sync, and by wgmma (None where a GPU has none); bytes a second
    of a copy, read and written."""

    mma: float | None
    wgmma: float | None
    bytes: float


@dataclass(frozen=True, slots=True)
class ProductTimes:
    """Seconds of a product of size x size x size by each way; mismatches: results that were others than float32's."""

    size: int
    seconds: Mapping[str, float]
    mismatches: int

    def ratio(self, ours: str, rival: str) -> float | None:
        """How many times as quick ours is; None where one was not measured."""
        if ours not in self.seconds or rival not in self.seconds:
            return None
        return self.seconds[rival] / self.seconds[ours]


@dataclass(frozen=True, slots=True)
class NetworkTimes:
    """Seconds for a batch, bytes in and classes out; mismatches: scores that were others than the golden model's."""

    network: str
    batch: int
    seconds: Mapping[str, float]
    mismatches: int


@dataclass(frozen=True, slots=True)
class GpuBench:
    """All of it, and on what."""

    device: str
    torch: str
    cuda: str
    rates: Rates
    products: tuple[ProductTimes, ...]
    networks: tuple[NetworkTimes, ...]


def floor_seconds(size: int, out_bits: int, rates: Rates) -> float | None:
    """The least time of a size^3 product of bits: its multiplications at the rate of mma.sync, or its bytes."""
    if rates.mma is None:
        return None
    moved = 2 * size * size / 8 + size * size * out_bits / 8
    return max(size**3 / rates.mma, moved / rates.bytes)


def product_rows(bench: GpuBench) -> list[tuple[str, ...]]:
    """A row for each size and way: ms, 10^12 bits multiplied a second, times as quick as bf16, share of the floor."""
    rows: list[tuple[str, ...]] = []
    for times in bench.products:
        for name, seconds in times.seconds.items():
            floor = floor_seconds(times.size, 1 if name == "threshold" else 32, bench.rates)
            own = name in ("int32", "threshold") and floor is not None
            ratio = times.ratio(name, "bf16")
            rows.append(
                (
                    f"{times.size}^3",
                    name,
                    f"{seconds * 1e3:.4f}",
                    f"{times.size**3 / seconds / 1e12:,.0f}",
                    "" if ratio is None else f"{ratio:.2f}",
                    f"{floor / seconds:.2f}" if own and floor is not None else "",
                )
            )
    return rows


def network_rows(bench: GpuBench) -> list[tuple[str, ...]]:
    """A row for each network, batch and way: milliseconds, images a second, how many times as quick ours is."""
    return [
        (
            times.network,
            f"{times.batch:,}",
            name,
            f"{seconds * 1e3:.4f}",
            f"{times.batch / seconds:,.0f}",
            f"{seconds / times.seconds['ours']:.2f}",
        )
        for times in bench.networks
        for name, seconds in times.seconds.items()
    ]


def verdicts(bench: GpuBench) -> dict[str, float]:
    """The figures of BARS, as far as they were measured."""
    found: dict[str, float | None] = {}
    for times in bench.products:
        if times.size == BAR_SIZE:
            floor = floor_seconds(times.size, 32, bench.rates)
            found["int32 / bf16"] = times.ratio("int32", "bf16")
            found["threshold / bf16 and compare and pack"] = times.ratio("threshold", "bf16, compare, pack")
            found["int32 / plain float32"] = times.ratio("int32", "plain float32")
            found["int32 / cuBLAS float32"] = times.ratio("int32", "float32")
            if floor is not None:
                found["fraction of the floor"] = floor / times.seconds["int32"]
    for network in bench.networks:
        if network.network.lower().endswith("lfc") and network.batch == BAR_BATCH:
            ours, seconds = network.seconds["ours"], network.seconds
            found["LFC, 10,000 images / bf16"] = seconds["bf16"] / ours if "bf16" in seconds else None
            plain = seconds.get("plain float32")
            found["network / plain float32 network"] = None if plain is None else plain / ours
    return {name: value for name in BARS if (value := found.get(name)) is not None}
