"""Broadcast: every consumer gets every beat once, whoever stalls."""

import json
import random
from pathlib import Path

import pytest
from farm import Farm

from xnorflow.hdl.streams.broadcast import Broadcast
from xnorflow.sim.component import run_bench

BEATS = 120


def test_equals_its_reference(tmp_path: Path) -> None:
    parts = {f"c{consumers}": Broadcast(7, consumers=consumers) for consumers in (1, 2, 3)}
    generator = random.Random(1)
    cases = {}
    for consumers, name in zip((1, 2, 3), parts, strict=True):
        beats = [generator.getrandbits(7) for _ in range(BEATS)]
        sinks = {f"o__{k}": beats for k in range(consumers)}
        cases[name] = {"sources": {"i": [beats]}, "sinks": sinks, "frame_beats": 1, "bound": 1, "latency": 0}
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


def test_refuses() -> None:
    with pytest.raises(ValueError, match="consumers must be a positive integer, not 0"):
        Broadcast(7, consumers=0)
