"""Both kinds of popcount against Python's, at every depth of pipeline."""

from pathlib import Path
from typing import Any

import pytest
from farm import Farm

from xnorflow.compiler.folds.folding import Popcount
from xnorflow.compiler.planes import Gate
from xnorflow.hdl.dot.popcount import XnorPopcount
from xnorflow.sim.component import run_bench

UNITS = [
    *((width, stages) for width in (1, 2, 3, 4, 5) for stages in (0, 1)),
    *((width, stages) for width in (8, 13, 16) for stages in (0, 2)),
    *((width, stages) for width in (49, 64) for stages in (1, 3)),
    (256, 4),
]
GATED = [(4, 0), (5, 1), (13, 0), (49, 2), (64, 1)]  # with gates of all kinds


@pytest.mark.parametrize("kind", Popcount)
def test_counts_agreeing_bits(tmp_path: Path, kind: Popcount) -> None:
    units = {f"u{width}_{stages}": unit_of(width, stages) for width, stages in UNITS}
    units |= {f"g{width}_{stages}": unit_of(width, stages, mixed(width)) for width, stages in GATED}
    parts = {name: XnorPopcount(**unit, kind=kind) for name, unit in units.items()}
    run_bench(Farm(parts), "bench_popcount", build_dir=tmp_path, name="farm", parameters={"units": units})


def unit_of(width: int, stages: int, gates: list[Gate] | None = None) -> dict[str, Any]:
    return {"width": width, "stages": stages, "gates": gates}


def mixed(width: int) -> list[Gate]:
    """Runs of gates that no slice of a power of two is aligned with, and single ones."""
    return [list(Gate)[(k // 3 + k // 4) % 3] for k in range(width)]


def test_reference_counts_ones_of_gates() -> None:
    assert XnorPopcount(4).reference(0b1100, 0b1010) == 2
    assert XnorPopcount(7).reference(0, 0) == 7
    assert XnorPopcount(4, gates=[Gate.AND] * 4).reference(0b1100, 0b1010) == 1
    assert XnorPopcount(4, gates=[Gate.ANDN] * 4).reference(0b1100, 0b1010) == 1
    assert XnorPopcount(3, gates=[Gate.XNOR, Gate.AND, Gate.ANDN]).reference(0b011, 0b111) == 3


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"width": 0}, ValueError, "width must be a positive integer, not 0"),
        ({"width": 2.0}, TypeError, "width must be a positive integer, not 2.0"),
        ({"width": 4, "stages": -1}, ValueError, "stages must be an integer of at least 0, not -1"),
        ({"width": 4, "gates": [Gate.AND]}, ValueError, "gates must be one for each of 4 bits, not 1"),
        ({"width": 4, "kind": "adders"}, TypeError, "kind must be a Popcount, not 'adders'"),
    ],
)
def test_refuses(arguments: dict[str, object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        XnorPopcount(**arguments)  # type: ignore[arg-type]
