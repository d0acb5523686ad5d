"""What every stream component shares: the shape of a beat, and codes to beats and back for references and benches.

A stream is Amaranth's `stream.Signature`. Its payload is one flat unsigned vector: `lanes` elements of `bits` bits,
element 0 in the least significant bits. A frame of E elements takes ceil(E / lanes) beats; the pad elements of the
last one are 0.
"""

from collections.abc import Iterable, Iterator, Sequence

from amaranth.lib import stream

__all__ = ["beat_signature", "frame_beats", "pack_frame", "require_positive", "unpack_frame"]


def require_positive(name: str, value: object) -> int:
    """`value` itself if it is a positive int; TypeError or ValueError that names it otherwise."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be a positive integer, not {value!r}")
    if value < 1:
        raise ValueError(f"{name} must be a positive integer, not {value!r}")
    return value


def beat_signature(lanes: int, bits: int) -> stream.Signature:
    """The stream of `lanes` elements of `bits` bits a beat."""
    return stream.Signature(lanes * bits)


def frame_beats(elements: int, lanes: int) -> int:
    """Beats a frame of `elements` elements takes at `lanes` elements a beat."""
    return -(-elements // lanes)


def pack_frame(codes: Sequence[int], lanes: int, bits: int) -> list[int]:
    """The beats of one frame: `codes` are the elements' codes, each below 2^bits."""
    return [
        sum(int(code) << (lane * bits) for lane, code in enumerate(codes[start : start + lanes]))
        for start in range(0, len(codes), lanes)
    ]


def unpack_frame(beats: Iterable[int], elements: int, lanes: int, bits: int) -> list[int]:
    """The first `elements` codes of one frame's beats, whatever the pad elements hold."""
    mask = (1 << bits) - 1

    def codes() -> Iterator[int]:
        for beat in beats:
            for lane in range(lanes):
                yield (beat >> (lane * bits)) & mask

    return list(codes())[:elements]
