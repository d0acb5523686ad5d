"""What to write through an accelerator's AXI4-Lite port so that it becomes another network."""

from collections.abc import Collection, Iterator

import numpy as np

from ...compiler.schedule.parts import ActivationPart, EnginePart, RecurrentPart
from ...errors import UsageError
from ..accelerator import Accelerator
from ..streams.axi_lite import WORD_BITS, Region
from .rom import MemoryImage

__all__ = ["rewrites"]


def rewrites(
    accelerator: Accelerator, other: Accelerator, layers: Collection[str] | None = None
) -> list[tuple[int, int]]:
    """(address, word) of the writes after which `accelerator` computes what `other` does.

    other: the accelerator of the other network, with the same folding, results and popcount stages. layers: dot
    products, and activations and scores that stand on their own; None for all. Writes to words that are equal in both
    are left out. Everything that is not rewritten must be equal. Raises UsageError where the two differ in more than
    what can be written, naming the memory.
    """
    check_structure(accelerator, other)
    before, after = accelerator.images, other.images
    found: list[tuple[int, int]] = []
    for region in accelerator.regions:
        old, new = before[region.name], after[region.name]
        if (old.bits.shape, old.layout) != (new.bits.shape, new.layout):
            raise UsageError(
                f"{region.name}: words of {new.width} bits {new.layout} do not fit those of {old.width} {old.layout}"
            )
        if layers is None or any(region.name == layer or region.name.startswith(f"{layer}_") for layer in layers):
            found += _writes(region, old, new)
    return found


def check_structure(accelerator: Accelerator, other: Accelerator) -> None:
    """UsageError where two accelerators differ in what cannot be written."""
    roms, others = accelerator.roms, other.roms
    if roms.keys() != others.keys() or accelerator.reads != other.reads:
        raise UsageError("the two networks are not of one structure: their accelerators have other parts or memories")
    for name, rom in roms.items():
        if not rom.writable and not np.array_equal(rom.image.bits, others[name].image.bits):
            raise UsageError(f"{name} differs and cannot be written at run time: generate with weights: axi")
    texts = {name: text for name, text in other.memories.items() if name.removesuffix(".hex") not in roms}
    for part, twin in zip(accelerator.plan.parts, other.plan.parts, strict=True):
        match part:
            case EnginePart() | RecurrentPart():
                one, two = accelerator.engines[part.name].params, other.engines[part.name].params
                same = (one.form, one.fold, one.segments, one.groups) == (two.form, two.fold, two.segments, two.groups)
            case ActivationPart():
                same = part.shape == twin.shape if isinstance(twin, type(part)) else False
            case _:
                same = part == twin
        if not same:
            raise UsageError(f"{part.name} differs in more than the numbers in its memories")
    for name, text in texts.items():
        if accelerator.memories[name] != text:
            raise UsageError(f"{name} differs and cannot be written at run time")


def _writes(region: Region, old: MemoryImage, new: MemoryImage) -> Iterator[tuple[int, int]]:
    """The parts that differ."""
    padded = np.zeros((2, region.depth, region.parts * WORD_BITS), dtype=np.uint8)
    padded[0, :, : region.width], padded[1, :, : region.width] = old.bits, new.bits
    words = np.packbits(padded, axis=2, bitorder="little").view("<u4")
    for word, part in np.argwhere(words[0] != words[1]).tolist():
        yield region.address(word, part), int(words[1, word, part])
