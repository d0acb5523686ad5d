"""Both kinds of popcount against Python's, at every depth of pipeline."""

from pathlib import Path

import pytest
from farm import Farm

from xnorflow.compiler.folding import Popcount
from xnorflow.hdl.popcount import XnorPopcount
from xnorflow.sim.component import run_bench

UNITS = [
    *((width, stages) for width in (1, 2, 3, 4, 5) for stages in (0, 1)),
    *((width, stages) for width in (8, 13, 16) for stages in (0, 2)),
    *((width, stages) for width in (49, 64) for stages in (1, 3)),
    (256, 4),
]


@pytest.mark.parametrize("kind", Popcount)
def test_counts_agreeing_bits(tmp_path: Path, kind: Popcount) -> None:
    units = {f"u{width}_{stages}": {"width": width, "stages": stages} for width, stages in UNITS}
    parts = {name: XnorPopcount(unit["width"], kind=kind, stages=unit["stages"]) for name, unit in units.items()}
    run_bench(Farm(parts), "bench_popcount", build_dir=tmp_path, name="farm", parameters={"units": units})


def test_reference_counts_equal_bits() -> None:
    assert XnorPopcount.reference(0b1100, 0b1010, 4) == 2
    assert XnorPopcount.reference(0, 0, 7) == 7


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"width": 0}, ValueError, "width must be a positive integer, not 0"),
        ({"width": 2.0}, TypeError, "width must be a positive integer, not 2.0"),
        ({"width": 4, "stages": -1}, ValueError, "stages must be an integer of at least 0, not -1"),
        ({"width": 4, "kind": "adders"}, TypeError, "kind must be a Popcount, not 'adders'"),
    ],
)
def test_refuses(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        XnorPopcount(**arguments)  # type: ignore[arg-type]
