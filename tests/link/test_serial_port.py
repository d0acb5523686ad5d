"""The link through a real (pseudo-)terminal and pyserial."""

import os
import threading
from collections.abc import Iterator

import pytest

from xnorflow.errors import DataError
from xnorflow.link.device import DeviceModel
from xnorflow.link.faults import answer_of
from xnorflow.link.packets import Identity
from xnorflow.link.serial_port import run_frames

IDENTITY = Identity(bytes.fromhex("0011223344556677"), 5, 3, 2)
HASH = "0011223344556677" + "00" * 24


@pytest.fixture
def port() -> Iterator[str]:
    """The name of a terminal with the model of a device behind it."""
    ours, theirs = os.openpty()
    device = DeviceModel(IDENTITY, answer_of)

    def serve() -> None:
        while True:
            try:
                came = os.read(ours, 4096)
            except OSError:
                return
            if came == b"":
                return
            os.write(ours, device.feed(came))

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield os.ttyname(theirs)
    os.close(theirs)
    thread.join(5)
    os.close(ours)


def test_results_of_frames(port: str) -> None:
    frames = [bytes([number, 0xC0, 0xDB, 13, 10]) for number in range(40)]
    answers = run_frames(port, frames, baud=115_200, network_hash=HASH)
    assert answers.results == tuple(answer_of(frame) for frame in frames)
    assert (answers.identity, answers.dropped) == (IDENTITY, 0)


def test_another_network_is_refused(port: str) -> None:
    with pytest.raises(DataError, match=r"holds network 0011223344556677..., not ffffffffffffffff"):
        run_frames(port, [bytes(5)], baud=115_200, network_hash="ff" * 32)


def test_a_port_that_is_not_there_is_said() -> None:
    with pytest.raises(DataError, match="serial port /dev/no-such-port: "):
        run_frames("/dev/no-such-port", [bytes(5)], baud=115_200)
