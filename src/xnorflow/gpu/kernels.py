"""What kernel.cu's entry points are: tiles, threads, shared memory, and which machine code has them.

Imports nothing heavy; tests/gpu compares the table with the source.
"""

from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["KERNELS", "Kernel"]


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel that makes products of bit planes.

    rows, columns: of the tile of accumulators that a block makes at a time. threads, shared: of a block, shared being
    its bytes of dynamic shared memory. resident: blocks that a multiprocessor has room for at once by design. since,
    before: the architectures, such as 90, that have it.
    """

    rows: int
    columns: int
    threads: int
    shared: int
    resident: int
    since: int = 75
    before: int = 1000

    def on(self, architecture: int) -> bool:
        """Whether machine code of that architecture has it."""
        return self.since <= architecture < self.before

    def tiles(self, rows: int, columns: int) -> int:
        """Tiles of a result of that shape; columns: those that are written, of packed results 32 * words of a row."""
        return -(-rows // self.rows) * -(-columns // self.columns)


def _tile(rows: int, columns: int, warp: tuple[int, int], chunks: int, stages: int, *, windows: bool = False) -> int:
    """Bytes of shared memory: the stages, the popcounts of each column of warps, two tables of where windows begin."""
    tables = 2 * rows * 16 if windows else 0
    return stages * (rows + columns) * chunks * 16 + columns // warp[1] * rows * 4 + tables


_SMALL, _LARGE = (64, 64, (32, 32), 4, 4), (128, 256, (64, 64), 8, 4)
_MIDDLE, _SPREAD = (128, 128, (64, 64), 4, 3), (128, 128, (64, 32), 4, 3)

KERNELS = MappingProxyType(
    {
        "count_plain": Kernel(8, 32, 256, (8 * 32 + 8) * 4, 2),
        "count_windows": Kernel(8, 32, 256, (8 * 32 + 8) * 4, 1),
        "tile_64": Kernel(64, 64, 128, _tile(*_SMALL), 3, since=80),
        "tile_64_windows": Kernel(64, 64, 128, _tile(*_SMALL, windows=True), 3, since=80),
        "tile_128": Kernel(128, 128, 128, _tile(*_MIDDLE), 2, since=80),
        "tile_128_windows": Kernel(128, 128, 256, _tile(*_SPREAD, windows=True), 1, since=80),
        "tile_256": Kernel(128, 256, 256, _tile(*_LARGE), 1, since=90, before=120),
    }
)
"""The kernels by their names. Their blocks walk over the tiles: any grid is right."""
