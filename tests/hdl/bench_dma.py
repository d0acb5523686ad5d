"""cocotb: the top for boards with a processor, word by word, with pauses on both sides.

Parameters: words: a file with what the DMA sends, answers: a file that gets what comes back, transfers: frames of each
transfer; sent_words, received_words: of a frame and of a result; seed: of the pauses, null for none.
"""

from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from xnorflow.sim.streams import bench_parameters, random_pauses


@cocotb.test()
async def moves_words(dut: Any) -> None:
    given = bench_parameters()
    seed = given["seed"]
    content = Path(given["words"]).read_bytes()
    words = [int.from_bytes(content[at : at + 8], "little") for at in range(0, len(content), 8)]
    last_in, last_out, at = set(), set(), 0
    for count in given["transfers"]:
        at += count
        last_in.add(at * given["sent_words"] - 1)
        last_out.add(at * given["received_words"] - 1)
    expected = at * given["received_words"]
    Clock(dut.aclk, 10, "ns").start()
    for name in ("s_axis_tvalid", "s_axis_tlast", "s_axis_tdata", "m_axis_tready", "aresetn"):
        getattr(dut, name).value = 0
    for _ in range(4):
        await RisingEdge(dut.aclk)
    dut.aresetn.value = 1

    async def send() -> None:
        pauses = random_pauses(seed) if seed is not None else None
        for index, word in enumerate(words):
            while pauses is not None and next(pauses):
                dut.s_axis_tvalid.value = 0
                await RisingEdge(dut.aclk)
            dut.s_axis_tvalid.value = 1
            dut.s_axis_tdata.value = word
            dut.s_axis_tlast.value = int(index in last_in)
            await RisingEdge(dut.aclk)
            while not dut.s_axis_tready.value:
                await RisingEdge(dut.aclk)
        dut.s_axis_tvalid.value = 0

    cocotb.start_soon(send())
    pauses = random_pauses(seed + 1) if seed is not None else None
    came = bytearray()
    for index in range(expected):
        while pauses is not None and next(pauses):
            dut.m_axis_tready.value = 0
            await RisingEdge(dut.aclk)
        dut.m_axis_tready.value = 1
        await RisingEdge(dut.aclk)
        waited = 0
        while not dut.m_axis_tvalid.value:
            await RisingEdge(dut.aclk)
            waited += 1
            assert waited < 100_000, f"no word {index}"
        assert int(dut.m_axis_tkeep.value) == 0xFF
        assert int(dut.m_axis_tlast.value) == (index in last_out), f"TLAST of word {index}"
        came += int(dut.m_axis_tdata.value).to_bytes(8, "little")
    dut.m_axis_tready.value = 1
    for _ in range(50):
        await RisingEdge(dut.aclk)
        assert not dut.m_axis_tvalid.value, "a word too many"
    Path(given["answers"]).write_bytes(came)
