"""cocotb: an accelerator gives one network's results, is written through AXI4-Lite, and gives another's.

Parameters: `case` names a JSON file: before, after: {"frames", "results"}; writes: [address, word]; unmapped: addresses
that hold no memory; back: the writes that undo these; skip: index of a write that is left out, or null.
"""

import json
import random
from pathlib import Path
from typing import Any

import cocotb

from xnorflow.sim.axi_lite import AxiLiteMaster, Response
from xnorflow.sim.streams import StreamSink, StreamSource, bench_parameters, random_pauses, start

OKAY, SLVERR = 0, 2


async def run(source: StreamSource, sink: StreamSink, case: dict[str, Any]) -> None:
    for frame in case["frames"]:
        source.send_frame(frame)
    received = await sink.receive(len(case["results"]))
    assert received == case["results"], f"{received} instead of {case['results']}"


@cocotb.test()
@cocotb.parametrize(seed=[1, 2])
async def rewritten(dut: Any, seed: int) -> None:
    case = json.loads(Path(bench_parameters()["case"]).read_text())
    rng = random.Random(seed)
    source = StreamSource(dut, "s_axis", pause=random_pauses(seed, 0.3))
    sink = StreamSink(dut, "m_axis", pause=random_pauses(seed + 10, 0.3))
    master = AxiLiteMaster(dut, "s_axil", seed=seed)
    await start(dut)
    assert await master.read(0) == Response(OKAY, 0)
    await run(source, sink, case["before"])
    assert await master.read(4) == Response(OKAY, len(case["before"]["results"]))
    writes = case["writes"]
    for number, (address, word) in enumerate(writes):
        if number == case["skip"]:
            continue
        some = rng.choice((0xF, 0xF, rng.randrange(16)))
        for strobe in (some, 0xF ^ some):
            if not strobe:
                continue
            mask = sum(0xFF << 8 * byte for byte in range(4) if strobe >> byte & 1)
            data = word & mask | rng.getrandbits(32) & ~mask & 0xFFFFFFFF
            assert await master.write(address, data, strobe) == Response(OKAY)
        if rng.random() < 0.02:
            assert await master.write(rng.choice(case["unmapped"]), rng.getrandbits(32)) == Response(SLVERR)
            assert await master.read(rng.choice([address, 8, 12])) == Response(SLVERR)
    await run(source, sink, case["after"])
    results = len(case["before"]["results"]) + len(case["after"]["results"])
    assert await master.read(4) == Response(OKAY, results)
    source.send_frame(case["after"]["frames"][0] + [0])
    await sink.receive(1)
    assert await master.read(0) == Response(OKAY, 2)
    for address, word in case["back"]:
        assert await master.write(address, word) == Response(OKAY)
