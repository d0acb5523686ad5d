"""A line that damages what it carries, and how often the link is fooled by it: never, so far as anybody has counted."""

import random
import zlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from .device import DeviceModel
from .packets import Identity
from .session import Session

__all__ = ["FAULTS", "FaultCount", "answer_of", "count_faults", "damaged"]

FAULTS = ("flip a bit", "drop a byte", "insert a byte", "repeat a byte", "cut", "noise", "lose all")

_RESULT_BYTES = 3
_FRAMES = 1000  # of a session: sequence numbers wrap


@dataclass(frozen=True, slots=True)
class FaultCount:
    """What came of so many faults. wrong: results that are not their frame's; lost: frames without a result."""

    faults: int
    frames: int
    wrong: int
    lost: int
    resent: int
    by_kind: dict[str, int]


def answer_of(frame: bytes) -> bytes:
    """A result of three bytes that depends on every bit of the frame."""
    return zlib.crc32(frame).to_bytes(4, "little")[:_RESULT_BYTES]


def damaged(line: bytes, fault: str, generator: random.Random, count: Counter[str], chance: float = 0.3) -> bytes:
    """`line`, with that chance damaged in one way of `FAULTS`; `count` grows by what was done."""
    if not line or generator.random() >= chance:
        return line
    count[fault] += 1
    place = generator.randrange(len(line))
    before, byte, after = line[:place], line[place], line[place + 1 :]
    match fault:
        case "flip a bit":
            return before + bytes((byte ^ 1 << generator.randrange(8),)) + after
        case "drop a byte":
            return before + after
        case "insert a byte":
            return before + generator.randbytes(1) + line[place:]
        case "repeat a byte":
            return before + bytes((byte, byte)) + after
        case "cut":
            return before
        case "noise":
            return before + generator.randbytes(generator.randrange(1, 20)) + line[place:]
        case "lose all":
            return b""
    raise ValueError(fault)


def count_faults(
    faults: int, *, frame_bytes: int = 8, seed: int = 0, progress: Callable[[int], None] | None = None
) -> FaultCount:
    """Random frames to the model of a device over a damaged line, in both directions, until that many faults are done.

    progress: hears now and then how many there were.
    """
    generator = random.Random(seed)
    identity = Identity(b"network!", frame_bytes, _RESULT_BYTES, 2)
    count: Counter[str] = Counter()
    frames = wrong = lost = resent = 0
    while count.total() < faults:
        session, device = Session(timeout=2, tries=10_000), DeviceModel(identity, answer_of)
        sent = [generator.randbytes(frame_bytes) for _ in range(_FRAMES)]
        for frame in sent:
            session.submit(frame)
        results: list[bytes] = []
        now = 0
        while not session.done:
            line = damaged(session.outgoing(now), generator.choice(FAULTS), generator, count)
            session.received(damaged(device.feed(line), generator.choice(FAULTS), generator, count))
            results += session.results()
            now += 1
        frames, resent = frames + len(sent), resent + session.resent
        wrong += sum(answer_of(frame) != result for frame, result in zip(sent, results, strict=False))
        lost += len(sent) - len(results)
        if progress is not None:
            progress(count.total())
    return FaultCount(count.total(), frames, wrong, lost, resent, dict(count))
