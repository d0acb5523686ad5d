"""Random numbers that depend on what they are for, not on what was drawn before.

Inside `keyed(seed, step)` every number that a layer or an augmentation draws is a function of the seed, the step, the
place of the draw in the step, and the sample's place in the whole batch. So neither where a run was cut and resumed
nor how many processes or accumulation parts share a batch makes a difference. Outside of it, in a loop of one's own,
numbers come from torch's default generator.

There are two streams: one for what all parts of a batch have in common, such as stochastic weights, and one with a row
for each sample, of which each part draws all rows and takes its own. The latter costs each part the whole batch's
random numbers; nothing else would give the same ones on every machine.
"""

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import torch
from torch import Tensor

__all__ = ["Draw", "draw_per_sample", "draw_shared", "hashed", "keyed", "octets", "uniform"]

Draw: TypeAlias = Callable[[Sequence[int], torch.Generator | None], Tensor]
"""Makes random numbers of a shape from a generator; None is torch's default generator."""


@dataclass(slots=True)
class _Keys:
    """What the streams of a part of a step are made of, and their generators by stream and device."""

    key: tuple[int, ...]
    part: int
    parts: int
    generators: dict[tuple[str, torch.device], torch.Generator] = field(default_factory=dict)

    def generator(self, stream: str, device: torch.device) -> torch.Generator:
        place = (stream, device)
        if place not in self.generators:
            self.generators[place] = torch.Generator(device).manual_seed(hashed(stream, *self.key))
        return self.generators[place]


_current: _Keys | None = None  # of the process, not of a thread: backward passes on a GPU run in threads of their own


def hashed(*key: int | str) -> int:
    """A number below 2^63 that a key's parts are mixed into, so that neighbouring keys have unlike streams."""
    return int.from_bytes(hashlib.blake2b(repr(key).encode(), digest_size=8).digest(), "little") >> 1


@contextmanager
def keyed(*key: int, part: int = 0, parts: int = 1) -> Iterator[None]:
    """Draw by this key, such as (seed, step), inside the block.

    part, parts: the block works on the part-th of so many equal parts of the batch, cut along the first axis.
    torch's default generator is seeded too, from the part as well: layers of others, which draw from it, then do not
    depend on where a run was cut, though they do on the parts.
    """
    global _current
    earlier, _current = _current, _Keys(key, part, parts)
    torch.manual_seed(hashed("others", *key, part))
    try:
        yield
    finally:
        _current = earlier


def draw_shared(draw: Draw, shape: Sequence[int], device: torch.device) -> Tensor:
    """Random numbers of that shape that are the same for every part of the batch."""
    return draw(shape, _current.generator("shared", device) if _current else None)


def draw_per_sample(draw: Draw, shape: Sequence[int], device: torch.device) -> Tensor:
    """Random numbers of that shape, whose first axis is this part's samples (or a fixed number of rows for each)."""
    if _current is None:
        return draw(shape, None)
    rows, *rest = shape
    whole = draw((rows * _current.parts, *rest), _current.generator("samples", device))
    return whole[rows * _current.part : rows * (_current.part + 1)]


def octets(device: torch.device) -> Draw:
    """The Draw of random bytes, uint8: eight of one random word, a sixth of the time that as many floats take."""

    def draw(shape: Sequence[int], generator: torch.Generator | None) -> Tensor:
        words = torch.empty(-(-math.prod(shape) // 8), dtype=torch.int64, device=device)
        words.random_(-(1 << 63), None, generator=generator)
        return words.view(torch.uint8)[: math.prod(shape)].view(*shape)

    return draw


def uniform(lo: float, hi: float, dtype: torch.dtype, device: torch.device) -> Draw:
    """The Draw of uniform numbers from lo to hi."""
    return lambda shape, generator: torch.empty(*shape, dtype=dtype, device=device).uniform_(
        lo, hi, generator=generator
    )
