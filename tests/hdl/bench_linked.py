"""cocotb: an accelerator behind its two pins, with the host's own session at the other end of the line.

Parameters: cycles (a bit), vectors: a JSON file with `frames` and `results` as hexadecimal texts, `identity`.
"""

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import cocotb
from cocotb.triggers import RisingEdge
from uart_line import SerialLine

from xnorflow.link.faults import FAULTS, damaged
from xnorflow.link.packets import END, ESC, Decoder, Identity, Kind, Packet, encode
from xnorflow.link.session import Session
from xnorflow.sim.streams import bench_parameters, start


def vectors() -> tuple[list[bytes], list[bytes], Identity]:
    content = json.loads(Path(bench_parameters()["vectors"]).read_text())
    frames, results = ([bytes.fromhex(text) for text in content[key]] for key in ("frames", "results"))
    return frames, results, Identity.parse(bytes.fromhex(content["identity"]))


class Host:
    """A session at the end of the line; time is counted in bits."""

    def __init__(self, dut: Any, timeout: int) -> None:
        self.line = SerialLine(dut, bench_parameters()["cycles"])
        self.session = Session(timeout=timeout, tries=200)
        self.generator = random.Random(3)
        self.count: Counter[str] = Counter()
        self.now = 0

    async def run(self, frames: list[bytes], faults: tuple[str, ...] = ()) -> list[bytes]:
        """Send frames, with faults in both directions, until all are answered."""
        results: list[bytes] = []
        for frame in frames:
            self.session.submit(frame)
        while not self.session.done:
            line = self._maybe(self.session.outgoing(self.now), faults, 0.3)
            await self.line.send(line)
            await self.line.wait(5)
            self.now += 5 + 10 * len(line)
            came, self.line.received = bytes(self.line.received), bytearray()
            self.session.received(self._maybe(came, faults, 0.02))  # it comes in many pieces
            results += self.session.results()
        return results

    def _maybe(self, line: bytes, faults: tuple[str, ...], chance: float) -> bytes:
        return damaged(line, self.generator.choice(faults), self.generator, self.count, chance) if faults else line


def answer_bits(frame: bytes, identity: Identity) -> int:
    """Bit times to allow for an answer: all frames and results that can be under way, most of them escaped."""
    return 20 * identity.buffers * (len(frame) + identity.result_bytes + 20)


@cocotb.test()
async def a_clean_line_needs_no_second_try(dut: Any) -> None:
    frames, results, identity = vectors()
    host = Host(dut, answer_bits(frames[0], identity))
    await start(dut)
    assert await host.run(frames) == results
    assert (host.session.identity, host.session.resent, host.session.dropped) == (identity, 0, 0)


@cocotb.test()
async def damaged_lines_give_right_answers(dut: Any) -> None:
    """At least a hundred faults through the pins: bits, lost and doubled bytes, noise."""
    frames, results, identity = vectors()
    host = Host(dut, answer_bits(frames[0], identity))
    await start(dut)
    while sum(host.count.values()) < 100:
        assert await host.run(frames, FAULTS) == results
    assert min(host.count[fault] for fault in FAULTS) > 3, host.count
    assert host.session.resent > 20


@cocotb.test()
async def a_reset_in_the_middle_of_a_frame_costs_nothing_but_time(dut: Any) -> None:
    frames, results, identity = vectors()
    host = Host(dut, answer_bits(frames[0], identity))
    await start(dut)

    async def resets() -> None:
        for clocks in (400, 777, 1300, 2100, 3003):
            for _ in range(clocks):
                await RisingEdge(dut.clk)
            dut.rst.value = 1
            await RisingEdge(dut.clk)
            dut.rst.value = 0

    cocotb.start_soon(resets())
    assert await host.run(frames) == results
    assert host.session.resent > 0


@cocotb.test()
async def frames_that_find_no_buffer_are_dropped_whole(dut: Any) -> None:
    """A host that waits for nothing: results are longer than frames, so that frames pile up."""
    frames, results, identity = vectors()
    line = SerialLine(dut, bench_parameters()["cycles"])
    await start(dut)
    sent = frames * 4
    await line.send(b"".join(encode(Packet(Kind.FRAME, number, frame)) for number, frame in enumerate(sent)))
    await line.wait(answer_bits(frames[0], identity))
    decoder = Decoder(identity.result_bytes)
    answers = list(decoder.feed(bytes(line.received)))
    assert decoder.dropped == 0
    numbers = [answer.sequence for answer in answers]
    assert numbers == sorted(set(numbers))
    assert identity.buffers < len(answers) < len(sent)
    assert [answer.payload for answer in answers] == [results[number % len(frames)] for number in numbers]


@cocotb.test()
async def a_packet_that_ends_in_an_escape_is_dropped(dut: Any) -> None:
    frames, results, identity = vectors()
    line = SerialLine(dut, bench_parameters()["cycles"])
    await start(dut)
    wrong = encode(Packet(Kind.FRAME, 1, frames[0]))[:-1] + bytes((ESC, END))
    await line.send(wrong + encode(Packet(Kind.FRAME, 2, frames[1])))
    await line.wait(answer_bits(frames[0], identity))
    answers = list(Decoder(identity.result_bytes).feed(bytes(line.received)))
    assert answers == [Packet(Kind.RESULT, 2, results[1])]
