"""What converters between engines take: an estimate in tenths of a LUT."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..ir import Conv2d, IntegerNetwork, MaxPool, Requantize, Stage, SumPool, Threshold

__all__ = ["CONVERTER_TENTHS", "Joint", "converter_tenths", "joints"]

Integers = NDArray[np.int64]

CONVERTER_TENTHS = 5
"""Of a LUT for a bit that a converter holds: its registers need no LUT, its multiplexers do."""


@dataclass(frozen=True, slots=True)
class Joint:
    """Between two engines: codes of `bits` bits, at most `senders` sent and `takers` taken in a beat.

    relay: the pixel's size where a dense layer takes a map as one frame; what does not divide it goes through beats
    of whole pixels.
    """

    bits: int
    senders: int
    takers: int
    relay: int | None = None

    def tenths(self, sent: Integers, taken: int) -> Integers:
        """Tenths of a LUT of the converters from beats of `sent` elements to beats of `taken`."""
        direct = converter_tenths(sent, np.int64(taken), self.bits)
        if self.relay is None:
            return direct
        size = np.int64(self.relay)
        relayed = converter_tenths(sent, size, self.bits) + converter_tenths(size, np.int64(taken), self.bits)
        return np.where(size % sent == 0, direct, relayed)

    def most_dearer(self, beat: Integers, other: Integers) -> Integers:
        """Tenths of a LUT that beats of `beat` elements on one side can cost more than of `other`, whatever the other
        side's are: a converter takes 2 (a + b) elements at most, and max(a, b) at least unless a = b."""
        most = max(self.senders, self.takers)
        if self.relay is not None:
            return 2 * CONVERTER_TENTHS * self.bits * (beat + 2 * self.relay + most)
        return CONVERTER_TENTHS * self.bits * (2 * beat + np.maximum(most, 2 * other))


def joints(network: IntegerNetwork) -> tuple[Joint, ...]:
    """What lies in front of each engine but the first.

    Where an engine does not read the one before it in the order of the network, or not it alone, there is a joint of 0
    bits, which costs nothing: converters around forks, sums and concatenations are left out of the account.
    """
    result, stages = [], list(network.stages())
    for before, stage in zip(stages, stages[1:], strict=False):
        rows, columns = before.dot.weights.codes.shape[0], stage.dot.weights.codes.shape[1]
        bits = stage.input_type.bits if _reads_alone(network, stage, before) else 0
        relay = rows if bits and not isinstance(stage.dot, Conv2d) and _pixels(stage) > 1 else None
        result.append(Joint(bits, rows, columns // stage.segments, relay))
    return tuple(result)


def converter_tenths(sent: Integers | np.int64, taken: Integers | np.int64, bits: int) -> Integers:
    """A shift register as long as the wider beat, or as both twice where neither divides the other."""
    wide, narrow = np.maximum(sent, taken), np.minimum(sent, taken)
    length = np.where(wide % narrow == 0, wide, 2 * (sent + taken))
    return np.asarray(np.where(sent == taken, 0, CONVERTER_TENTHS * bits * length), dtype=np.int64)


def _reads_alone(network: IntegerNetwork, stage: Stage, before: Stage) -> bool:
    """Whether the stream of one engine goes to another, through pools and activations at most, and nowhere else."""
    readers = network.readers()
    (name,) = stage.dot.inputs
    while len(readers[name]) == 1 and name != before.end.name:
        node = network.node(name)
        if not isinstance(node, MaxPool | SumPool | Threshold | Requantize):
            return False
        (name,) = node.inputs
    return len(readers[name]) == 1


def _pixels(stage: Stage) -> int:
    """Pixels of the map that a stage reads."""
    return int(np.prod(stage.input_type.shape[:-1]))
