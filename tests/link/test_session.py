"""The host's side against the model of a device, over a line that damages what it carries."""

import random
from collections import Counter
from collections.abc import Callable

import pytest

from xnorflow.errors import DataError
from xnorflow.link.device import DeviceModel
from xnorflow.link.faults import FAULTS, answer_of, damaged
from xnorflow.link.packets import Identity, Kind, Packet, encode
from xnorflow.link.session import Session

IDENTITY = Identity(b"network!", 5, 3, 2)


def talk(session: Session, line: Callable[[bytes], bytes], steps: int = 10_000) -> list[bytes]:
    """Run until everything is answered; time goes on by 1 a step."""
    results: list[bytes] = []
    device = DeviceModel(IDENTITY, answer_of)
    for now in range(steps):
        session.received(line(device.feed(line(session.outgoing(now)))))
        results += session.results()
        if session.done:
            return results
    raise AssertionError(f"{len(results)} results after {steps} steps")


def test_results_come_in_order() -> None:
    session = Session(timeout=3)
    frames = [bytes(random.Random(n).randbytes(5)) for n in range(600)]  # sequence numbers wrap twice
    for frame in frames:
        session.submit(frame)
    assert talk(session, lambda line: line) == [answer_of(frame) for frame in frames]
    assert (session.identity, session.resent, session.dropped) == (IDENTITY, 0, 0)


@pytest.mark.parametrize("fault", FAULTS)
def test_no_wrong_result_whatever_the_line_does(fault: str) -> None:
    generator = random.Random(7)
    count: Counter[str] = Counter()
    session = Session(timeout=2, tries=1000)
    frames = [generator.randbytes(5) for _ in range(400)]
    for frame in frames:
        session.submit(frame)
    assert talk(session, lambda line: damaged(line, fault, generator, count)) == [answer_of(frame) for frame in frames]
    assert count[fault] > 100
    assert session.resent > 30


def test_no_more_frames_are_under_way_than_the_device_has_buffers_for() -> None:
    session = Session(timeout=100)
    device = DeviceModel(IDENTITY, answer_of)
    session.received(device.feed(session.outgoing(0)))
    for number in range(5):
        session.submit(bytes([number] * 5))
    first = session.outgoing(1)
    assert first == b"".join(encode(Packet(Kind.FRAME, n, bytes([n] * 5))) for n in range(2))
    assert session.outgoing(2) == b""
    session.received(device.feed(first))
    assert session.results() == [answer_of(bytes([n] * 5)) for n in range(2)]
    assert session.results() == []


def test_an_answer_that_comes_twice_counts_once() -> None:
    session = Session(timeout=1)
    for number in range(4):
        session.submit(bytes([number] * 5))
    device = DeviceModel(IDENTITY, answer_of)
    answers = []
    for now in range(0, 40, 2):  # every packet is sent twice before the first answer is read
        line = session.outgoing(now) + session.outgoing(now + 1)
        session.received(device.feed(line))
        answers += session.results()
    assert answers == [answer_of(bytes([n] * 5)) for n in range(4)]
    assert session.resent > 0


def test_a_silent_device_is_said() -> None:
    session = Session(timeout=1, tries=3)
    assert [bool(session.outgoing(now)) for now in (0, 0.5, 1, 2)] == [True, False, True, True]
    with pytest.raises(DataError, match="no answer to the question who is there after 3 tries"):
        session.outgoing(3)


def test_a_device_that_falls_silent_is_said() -> None:
    session = Session(timeout=1, tries=2)
    session.received(encode(Packet(Kind.HELLO, 0, IDENTITY.payload())))
    session.submit(bytes(5))
    assert session.outgoing(0) != b""
    assert session.outgoing(1) != b""
    with pytest.raises(DataError, match="no answer to frame 0 after 2 tries"):
        session.outgoing(2)


def test_frames_of_another_size_and_other_devices_are_refused() -> None:
    session = Session(timeout=1)
    session.received(encode(Packet(Kind.HELLO, 0, IDENTITY.payload())))
    session.submit(bytes(4))
    with pytest.raises(DataError, match="the device takes frames of 5 bytes, not of 4"):
        session.outgoing(0)
    with pytest.raises(DataError, match="another protocol"):
        Session(timeout=1).received(encode(Packet(Kind.HELLO, 0, b"\x09" + IDENTITY.payload()[1:])))


def test_results_of_another_length_are_no_results() -> None:
    session = Session(timeout=1)
    session.received(encode(Packet(Kind.HELLO, 0, IDENTITY.payload())))
    session.submit(bytes(5))
    session.outgoing(0)
    session.received(encode(Packet(Kind.RESULT, 0, b"12")) + encode(Packet(Kind.RESULT, 9, b"123")))
    assert session.results() == []
    session.received(encode(Packet(Kind.RESULT, 0, b"123")))
    assert session.results() == [b"123"]
