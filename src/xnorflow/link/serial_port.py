"""The link through a serial port: `pyserial` carries the bytes, `Session` decides what they are."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import DataError, ToolError
from .packets import Identity
from .session import Session

if TYPE_CHECKING:
    from serial import Serial

__all__ = ["Answers", "run_frames"]

_POLL_S = 0.002
_SLACK_S = 0.25  # for the operating system and the USB bridge, which hold bytes back


@dataclass(frozen=True, slots=True)
class Answers:
    """results: in the order of their frames. identity: of the device; resent, dropped: packets; seconds: all took."""

    results: tuple[bytes, ...]
    identity: Identity
    resent: int
    dropped: int
    seconds: float


def run_frames(
    port: str,
    frames: Sequence[bytes],
    *,
    baud: int,
    network_hash: str | None = None,
    accelerator_s: float = 0.0,
    progress: Callable[[int], None] | None = None,
) -> Answers:
    """Send frames through a serial port and return their results.

    frames: each the beats of the accelerator's input port. network_hash: of the network that the device must hold; None
    takes any. accelerator_s: seconds that the device needs for a frame, beside the transfer. progress: hears how many
    results there are. ToolError without pyserial, DataError for a port that cannot be opened or is no serial port, a
    device that does not answer or holds another network.
    """
    try:
        import serial
    except ImportError as error:
        raise ToolError("pyserial is missing: pip install 'xnorflow[board]'") from error
    longest = max((len(frame) for frame in frames), default=0)
    timeout = _SLACK_S + accelerator_s + 4 * 20 * (longest + 64) / baud
    session = Session(timeout=timeout)
    begin = time.monotonic()
    results: list[bytes] = []
    try:
        with serial.Serial(port, baud, timeout=0, write_timeout=10) as line:
            line.reset_input_buffer()
            _until_known(session, line)
            _check(session.identity, network_hash, port)
            for frame in frames:
                session.submit(frame)
            while not session.done:
                _turn(session, line)
                came = session.results()
                results += came
                if came and progress is not None:
                    progress(len(results))
    except (serial.SerialException, ValueError) as error:  # ValueError: a baud rate that the port does not have
        raise DataError(f"serial port {port}: {error}") from error
    assert session.identity is not None  # _until_known
    return Answers(tuple(results), session.identity, session.resent, session.dropped, time.monotonic() - begin)


def _until_known(session: Session, line: "Serial") -> None:
    while session.identity is None:
        _turn(session, line)


def _turn(session: Session, line: "Serial") -> None:
    """Write what is due, read what came; wait a moment if nothing did."""
    due = session.outgoing(time.monotonic())
    if due:
        line.write(due)
    came = line.read(line.in_waiting or 1)
    session.received(came)
    if not due and not came:
        time.sleep(_POLL_S)


def _check(identity: Identity | None, network_hash: str | None, port: str) -> None:
    if identity is None or network_hash is None:
        return
    wanted = bytes.fromhex(network_hash)[: len(identity.network)]
    if identity.network != wanted:
        raise DataError(
            f"the device at {port} holds network {identity.network.hex()}..., not {wanted.hex()}...; configure it with "
            "the bitstream of this design"
        )
