"""Small accelerators of random networks, whose parts the constants of `compiler/cost/families.py` are fitted to."""

from dataclasses import dataclass

from ...boards.loader import Board
from ...compiler.folds.folding import Folding, LayerFold, Memory, Popcount
from ...compiler.ir import CodeType, Encoding, IntegerNetwork
from ...compiler.synthetic import binary_chain

__all__ = ["FittedDesign", "fitted_designs"]


@dataclass(frozen=True, eq=False)
class FittedDesign:
    """A network and its folding."""

    name: str
    network: IntegerNetwork
    folding: Folding


def fitted_designs(board: Board) -> tuple[FittedDesign, ...]:
    """Layers of few and many columns, in and out of block RAM, of one and two bits, of maps and vectors."""
    popcount = Popcount(board.popcount)
    bits = CodeType((96,), 1, Encoding.BIPOLAR)
    wide = CodeType((256,), 1, Encoding.BIPOLAR)
    image = CodeType((8, 8, 3), 8, Encoding.UNSIGNED)
    vector = CodeType((24,), 4, Encoding.UNSIGNED)
    thin = binary_chain(bits, (), (48, 32, 10))
    two = binary_chain(bits, (), (32, 24, 6), bits=2, seed=1)
    maps = binary_chain(image, (12, 16), (20, 5), seed=2)
    maps_two = binary_chain(image, (8, 8), (12, 4), bits=2, seed=3)
    block, lut = Memory.BLOCK, Memory.LUT
    folds = {
        "thin": (thin, ((8, 16, block), (4, 8, lut), (2, 4, lut)), 1),
        "thin_fast": (thin, ((4, 48, lut), (16, 16, lut), (10, 32, lut)), 10),
        "wide": (binary_chain(wide, (), (64, 48, 10), seed=4), ((4, 64, block), (2, 32, block), (3, 12, lut)), 2),
        "two": (two, ((8, 12, lut), (3, 16, block), (2, 8, lut)), 1),
        "four": (binary_chain(vector, (), (32, 10), seed=5), ((4, 8, lut), (1, 16, lut)), 1),
        "maps": (maps, ((4, 3, lut), (4, 12, block), (2, 16, block), (1, 5, lut)), 1),
        "maps_two": (maps_two, ((2, 3, lut), (2, 8, lut), (1, 8, lut), (1, 6, lut)), 1),
    }
    return tuple(
        FittedDesign(name, network, _folding(network, layers, lanes, popcount))
        for name, (network, layers, lanes) in folds.items()
    )


def _folding(
    network: IntegerNetwork, layers: tuple[tuple[int, int, Memory], ...], lanes: int, popcount: Popcount
) -> Folding:
    names = [stage.dot.name for stage in network.stages()]
    return Folding(
        {name: LayerFold(pe, simd, memory) for name, (pe, simd, memory) in zip(names, layers, strict=True)},
        lanes,
        popcount,
    )
