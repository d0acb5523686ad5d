"""Register slice and FIFO: order, throughput, latency, room, level."""

import json
import random
from pathlib import Path

import pytest
from amaranth.lib import wiring
from amaranth.sim import Simulator
from farm import Farm

from xnorflow.compiler.folds.folding import Memory
from xnorflow.hdl.streams.buffer import StreamBuffer, StreamFifo
from xnorflow.sim.component import run_bench

WIDTH = 9
BEATS = 120


@pytest.fixture
def parts() -> dict[str, wiring.Component]:
    return {
        "buffer": StreamBuffer(WIDTH),
        "lut_2": StreamFifo(WIDTH, depth=2),
        "lut_5": StreamFifo(WIDTH, depth=5, memory=Memory.AUTO),
        "block_3": StreamFifo(WIDTH, depth=3, memory=Memory.BLOCK),
        "block_16": StreamFifo(WIDTH, depth=16, memory=Memory.BLOCK),
    }


def test_equal_their_reference(tmp_path: Path, parts: dict[str, wiring.Component]) -> None:
    generator = random.Random(2)
    cases = {}
    for name in parts:
        beats = [generator.getrandbits(WIDTH) for _ in range(BEATS)]
        latency = 2 if name.startswith("block") else 1
        cases[name] = {"sources": {"i": [beats]}, "sinks": {"o": beats}}
        cases[name] |= {"frame_beats": 1, "bound": 1, "latency": latency}
    file = tmp_path / "cases.json"
    file.write_text(json.dumps(cases))
    run_bench(Farm(parts), "bench_streams", build_dir=tmp_path, name="farm", parameters={"cases": str(file)})


def test_room_and_level(tmp_path: Path, parts: dict[str, wiring.Component]) -> None:
    depths = {"buffer": 2, "lut_2": 2, "lut_5": 5, "block_3": 3, "block_16": 16}
    fifos = [name for name in parts if name != "buffer"]
    run_bench(Farm(parts), "bench_fifo", build_dir=tmp_path, name="farm", parameters={"depths": depths, "fifos": fifos})


def test_a_buffer_cuts_every_combinational_path() -> None:
    """No output of the slice moves with an input in the same cycle, in any of its states."""
    part = StreamBuffer(4)

    async def poke(ctx: object) -> None:
        get, put = ctx.get, ctx.set  # type: ignore[attr-defined]
        for cycle in range(64):
            before = None
            for valid, ready, payload in ((0, 0, 3), (1, 0, 9), (0, 1, 5), (cycle & 1, cycle >> 2 & 1, cycle & 15)):
                put(part.i.valid, valid)
                put(part.o.ready, ready)
                put(part.i.payload, payload)
                outputs = (get(part.i.ready), get(part.o.valid), get(part.o.payload))
                assert before in (None, outputs)
                before = outputs
            await ctx.tick()  # type: ignore[attr-defined]

    simulator = Simulator(part)
    simulator.add_clock(1e-6)
    simulator.add_testbench(poke)
    simulator.run()


def test_refuses() -> None:
    with pytest.raises(ValueError, match="depth must be at least 2 with memory lut, not 1"):
        StreamFifo(WIDTH, depth=1)
    with pytest.raises(ValueError, match="depth must be at least 3 with memory block, not 2"):
        StreamFifo(WIDTH, depth=2, memory=Memory.BLOCK)
    with pytest.raises(ValueError, match="depth must be a positive integer, not 0"):
        StreamFifo(WIDTH, depth=0)
    with pytest.raises(TypeError, match="memory must be a Memory, not 'lut'"):
        StreamFifo(WIDTH, depth=4, memory="lut")  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        StreamBuffer("wide")
