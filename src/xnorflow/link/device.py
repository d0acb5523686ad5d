"""A model of the board's side of the link, byte in, bytes out: quick enough for a million damaged transfers."""

from collections.abc import Callable

from .packets import Decoder, Identity, Kind, Packet, encode

__all__ = ["DeviceModel"]


class DeviceModel:
    """Answers as the hardware does (`hdl.packets`), but at once.

    identity: what it answers to HELLO. run: the result's bytes of a frame's bytes.
    """

    def __init__(self, identity: Identity, run: Callable[[bytes], bytes]) -> None:
        self._identity, self._run = identity, run
        self._decoder = Decoder(identity.frame_bytes)

    def feed(self, line: bytes) -> bytes:
        """What the device sends back for bytes that come in."""
        answer = b""
        for packet in self._decoder.feed(line):
            if packet.kind == Kind.HELLO and not packet.payload:
                answer += encode(Packet(Kind.HELLO, packet.sequence, self._identity.payload()))
            elif packet.kind == Kind.FRAME and len(packet.payload) == self._identity.frame_bytes:
                answer += encode(Packet(Kind.RESULT, packet.sequence, self._run(packet.payload)))
        return answer
