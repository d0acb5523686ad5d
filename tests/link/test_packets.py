"""Packets on the line: what is sent comes in, and what was damaged does not."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.errors import DataError
from xnorflow.link.packets import END, ESC, Decoder, Identity, Packet, encode

AWKWARD = st.binary(max_size=40) | st.lists(st.sampled_from([END, ESC, 0xDC, 0xDD, 0]), max_size=40).map(bytes)
PACKETS = st.builds(Packet, st.integers(0, 255), st.integers(0, 255), AWKWARD)


@given(st.lists(PACKETS, max_size=5), st.integers(1, 50))
def test_what_is_sent_comes_in_whatever_the_pieces(packets: list[Packet], size: int) -> None:
    line = b"".join(map(encode, packets))
    decoder = Decoder(40)
    pieces = [line[start : start + size] for start in range(0, len(line), size)]
    assert [packet for piece in pieces for packet in decoder.feed(piece)] == packets
    assert decoder.dropped == 0


@given(PACKETS, PACKETS, st.data())
def test_a_damaged_packet_is_dropped_and_the_next_one_comes_in(one: Packet, other: Packet, data: st.DataObject) -> None:
    line = encode(one)
    place = data.draw(st.integers(1, len(line) - 2))
    kind = data.draw(st.sampled_from(["flip", "drop", "insert"]))
    value = data.draw(st.integers(0, 255).filter(lambda byte: byte != line[place]))
    damaged = {
        "flip": line[:place] + bytes((value,)) + line[place + 1 :],
        "drop": line[:place] + line[place + 1 :],
        "insert": line[:place] + bytes((value,)) + line[place:],
    }[kind]
    decoder = Decoder(60)
    assert list(decoder.feed(damaged + encode(other))) == [other]
    assert decoder.dropped >= 1


def test_noise_before_a_packet_costs_that_packet_at_most() -> None:
    decoder = Decoder(8)
    packet = Packet(2, 7, b"\x01\x02")
    noise = bytes(random.Random(1).choices([b for b in range(256) if b != END], k=500))
    assert list(decoder.feed(noise + encode(packet) + encode(packet))) == [packet, packet]
    assert decoder.dropped == 1


def test_an_endless_body_takes_no_memory() -> None:
    decoder = Decoder(8)
    assert list(decoder.feed(bytes(100_000))) == []
    assert len(decoder._body) < 100
    assert list(decoder.feed(encode(Packet(1, 1)) * 2)) == [Packet(1, 1)] * 2


def test_the_line_is_what_it_says() -> None:
    """CRC-32 as in Ethernet: 0xCBF43926 for the text 123456789."""
    assert encode(Packet(0x31, 0x32, b"3456789")) == b"\xc0123456789\x26\x39\xf4\xcb\xc0"


def test_identity() -> None:
    identity = Identity(bytes(range(8)), 3072, 21, 2)
    assert Identity.parse(identity.payload()) == identity
    for payload in (b"", b"\x02" + identity.payload()[1:], identity.payload() + b"\x00"):
        with pytest.raises(DataError, match="the device speaks another protocol: HELLO"):
            Identity.parse(payload)
