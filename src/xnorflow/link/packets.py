"""Packets on a line that loses and changes bytes: what hardware, host and the model of a device share.

A packet is SLIP-framed (RFC 1055): END, the body with END and ESC escaped, END. Whatever happened before, the next END
begins afresh, so a lost byte costs one packet and never a second one. The body is

    kind (1 byte) | sequence number (1 byte) | payload | CRC-32 of all before (4 bytes, little-endian; as in Ethernet)

Kinds: HELLO asks (no payload) who is there; the answer is a HELLO with an `Identity`. FRAME carries one frame of input
beats, RESULT the result's bytes, with the sequence number of the frame it belongs to. A body that is not one of these,
to the byte, is dropped without an answer; the host sends again.
"""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from ..errors import DataError

__all__ = ["CRC_BYTES", "END", "ESC", "ESC_END", "ESC_ESC", "Decoder", "Identity", "Kind", "Packet", "encode"]

END, ESC, ESC_END, ESC_ESC = 0xC0, 0xDB, 0xDC, 0xDD
CRC_BYTES = 4
_HEADER = 2
_VERSION = 1
_IDENTITY = struct.Struct("<B8sIHB")


class Kind(IntEnum):
    """What a packet is."""

    HELLO = 0x01
    FRAME = 0x02
    RESULT = 0x03


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet whose CRC was right, or that is to be sent. sequence: 0 to 255."""

    kind: int
    sequence: int
    payload: bytes = b""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who answers a HELLO.

    network: the first 8 bytes of the hash that the network file carries. frame_bytes, result_bytes: payloads of FRAME
    and RESULT. buffers: frames that the device holds beside the one that the accelerator takes in; as many may be
    under way without an answer.
    """

    network: bytes
    frame_bytes: int
    result_bytes: int
    buffers: int
    version: int = _VERSION

    def payload(self) -> bytes:
        """The HELLO's payload."""
        return _IDENTITY.pack(self.version, self.network, self.frame_bytes, self.result_bytes, self.buffers)

    @classmethod
    def parse(cls, payload: bytes) -> "Identity":
        """Of a HELLO's payload; DataError if it is none of this protocol."""
        if len(payload) != _IDENTITY.size or payload[0] != _VERSION:
            raise DataError(f"the device speaks another protocol: HELLO {payload.hex() or 'without payload'}")
        version, network, frame_bytes, result_bytes, buffers = _IDENTITY.unpack(payload)
        return cls(network, frame_bytes, result_bytes, buffers, version)


def encode(packet: Packet) -> bytes:
    """The bytes on the line."""
    body = bytes((packet.kind, packet.sequence)) + packet.payload
    body += zlib.crc32(body).to_bytes(CRC_BYTES, "little")
    escaped = body.replace(bytes((ESC,)), bytes((ESC, ESC_ESC))).replace(bytes((END,)), bytes((ESC, ESC_END)))
    return bytes((END,)) + escaped + bytes((END,))


class Decoder:
    """Bytes as they come in, in pieces of any size, to packets. Damaged ones are counted in `dropped`.

    longest: bytes of the longest payload; a body that grows beyond is dropped at once, so a line that never sends an
    END takes no memory.
    """

    def __init__(self, longest: int) -> None:
        self._longest = longest + _HEADER + CRC_BYTES
        self._body = bytearray()
        self._escaped = False
        self._bad = False
        self.dropped = 0

    def feed(self, received: bytes) -> Iterator[Packet]:
        """The packets that are whole with these bytes."""
        for byte in received:
            if byte == END:
                packet = self._close()
                if packet is not None:
                    yield packet
            elif self._bad:
                continue
            elif self._escaped:
                self._escaped = False
                self._bad = byte not in (ESC_END, ESC_ESC)
                self._append(END if byte == ESC_END else ESC)
            elif byte == ESC:
                self._escaped = True
            else:
                self._append(byte)

    def _append(self, byte: int) -> None:
        self._bad |= len(self._body) == self._longest
        self._body.append(byte)

    def _close(self) -> Packet | None:
        body, bad = bytes(self._body), self._bad or self._escaped
        self._body.clear()
        self._bad = self._escaped = False
        if not body and not bad:  # nothing between two ENDs: every packet begins with one
            return None
        sound = len(body) >= _HEADER + CRC_BYTES and zlib.crc32(body) == _RESIDUE
        if bad or not sound:
            self.dropped += 1
            return None
        return Packet(body[0], body[1], body[_HEADER:-CRC_BYTES])


_RESIDUE = zlib.crc32(zlib.crc32(b"").to_bytes(CRC_BYTES, "little"))
"""The CRC-32 of any body with its own CRC-32 behind it."""
