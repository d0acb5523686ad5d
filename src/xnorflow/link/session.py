"""The host's side of the link without any input or output of its own: bytes in, bytes out, time told by the caller.

The same object talks through a serial port (`link.serial`) and through the pins of a simulated board.
"""

from collections import deque
from dataclasses import dataclass

from ..errors import DataError
from .packets import Decoder, Identity, Kind, Packet, encode

__all__ = ["Session"]

_LONGEST = 1 << 16  # of a result: more than any has; bounds what a foreign device makes us keep


@dataclass(slots=True)
class _Pending:
    """A frame under way, or the HELLO: its bytes on the line, when they were sent last, and how often."""

    line: bytes
    index: int
    sent: float
    tries: int = 1


class Session:
    """Asks a device who it is, then sends frames and collects results, in order, whatever the line does.

    What is not answered within `timeout` (in the caller's unit of time) is sent again; a device answers frames in the
    order in which they came, so an answer that comes twice is known by its sequence number. No more frames are under
    way than the device has buffers for.

    timeout: to allow for an answer, the transfer of a frame and of its result included. tries: how often a frame or
    the HELLO is sent before `outgoing` raises DataError.
    """

    def __init__(self, *, timeout: float, tries: int = 20) -> None:
        self._timeout, self._tries = timeout, tries
        self._decoder = Decoder(_LONGEST)
        self._waiting: deque[bytes] = deque()
        self._under_way: dict[int, _Pending] = {}  # by sequence number
        self._hello: _Pending | None = None
        self._answers: dict[int, bytes] = {}  # by the frame's index
        self._submitted = self._started = self._delivered = 0
        self.identity: Identity | None = None
        self.resent = 0

    @property
    def dropped(self) -> int:
        """Packets that came in damaged."""
        return self._decoder.dropped

    @property
    def done(self) -> bool:
        """Whether the device is known and every submitted frame has its result."""
        return self.identity is not None and not self._waiting and not self._under_way

    def submit(self, frame: bytes) -> None:
        """Queue a frame: the beats of the accelerator's input port, TDATA after TDATA, lowest byte first."""
        self._waiting.append(frame)
        self._submitted += 1

    def outgoing(self, now: float) -> bytes:
        """What is to be sent now. DataError if the device does not answer, or takes frames of another size."""
        line = b""
        if self.identity is None:
            if self._hello is None:
                self._hello = _Pending(encode(Packet(Kind.HELLO, 0)), -1, now)
                return self._hello.line
            return self._again(self._hello, now)
        for pending in self._under_way.values():
            line += self._again(pending, now)
        while self._waiting and len(self._under_way) < self.identity.buffers:
            frame = self._waiting.popleft()
            if len(frame) != self.identity.frame_bytes:
                raise DataError(f"the device takes frames of {self.identity.frame_bytes} bytes, not of {len(frame)}")
            sequence = self._started % 256
            pending = _Pending(encode(Packet(Kind.FRAME, sequence, frame)), self._started, now)
            self._under_way[sequence] = pending
            self._started += 1
            line += pending.line
        return line

    def received(self, line: bytes) -> None:
        """Take bytes that came in. DataError if a device of another protocol answers."""
        for packet in self._decoder.feed(line):
            if packet.kind == Kind.HELLO and self.identity is None:
                self.identity = Identity.parse(packet.payload)
            elif packet.kind == Kind.RESULT and self.identity is not None:
                pending = self._under_way.get(packet.sequence)
                if pending is not None and len(packet.payload) == self.identity.result_bytes:
                    del self._under_way[packet.sequence]
                    self._answers[pending.index] = packet.payload

    def results(self) -> list[bytes]:
        """The results that are there by now, in the order of their frames, each once."""
        found = []
        while self._delivered in self._answers:
            found.append(self._answers.pop(self._delivered))
            self._delivered += 1
        return found

    def _again(self, pending: _Pending, now: float) -> bytes:
        """The bytes once more if their answer is overdue."""
        if now - pending.sent < self._timeout:
            return b""
        if pending.tries == self._tries:
            what = "the question who is there" if pending.index < 0 else f"frame {pending.index}"
            raise DataError(
                f"no answer to {what} after {self._tries} tries ({self.dropped} damaged packets came in); "
                "check port, baud rate and that the device is configured"
            )
        pending.sent, pending.tries = now, pending.tries + 1
        self.resent += 1
        return pending.line
