"""The drivers: right components pass, every way of breaking the protocol is caught and named."""

import itertools
from pathlib import Path

import pytest
from parts import Slice

from xnorflow.errors import HardwareError
from xnorflow.sim.component import run_bench
from xnorflow.sim.streams import random_pauses


def bench(tmp_path: Path, *, width: int = 8, fault: str | None = None, stalls: bool = True, beats: int = 60) -> None:
    parameters = {"width": width, "seed": 3, "stalls": stalls, "beats": beats}
    run_bench(Slice(width, fault), "bench_slice", build_dir=tmp_path, name="slice", parameters=parameters)


@pytest.mark.parametrize(("width", "stalls"), [(1, True), (8, False), (70, True)])
def test_a_right_component_passes(tmp_path: Path, width: int, stalls: bool) -> None:
    bench(tmp_path, width=width, stalls=stalls, beats=300)


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("retract", "o: valid fell before the beat was taken"),
        ("change", "o: the beat changed before it was taken"),
        ("drop", "o: no beat for 200 cycles after 52 beats"),
        ("hang", "o: no beat for 200 cycles after 5 beats"),
    ],
)
def test_a_broken_component_is_caught(tmp_path: Path, fault: str, message: str) -> None:
    with pytest.raises(HardwareError, match=message):
        bench(tmp_path, fault=fault)


def test_pauses_are_seeded_and_dense_as_asked() -> None:
    def take(seed: int, density: float) -> list[bool]:
        return list(itertools.islice(random_pauses(seed, density), 20000))

    assert take(1, 0.5) == take(1, 0.5) != take(2, 0.5)
    assert not any(take(1, 0.0))
    assert 0.2 < sum(take(1, 0.3)) / 20000 < 0.4
    assert 0.8 < sum(take(1, 0.9)) / 20000 < 1.0
