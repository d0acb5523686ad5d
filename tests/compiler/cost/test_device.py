import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.boards.loader import Family, load_board
from xnorflow.compiler.cost.device import Device, distinct_columns
from xnorflow.compiler.cost.families import ENGINES, MEMORIES


def shape(width: int, depth: int) -> tuple[np.ndarray, np.ndarray]:
    return np.array([width]), np.array([depth])


@pytest.mark.parametrize(
    ("width", "depth", "blocks"),
    [(72, 512, 2), (73, 512, 3), (36, 513, 2), (18, 1024, 1), (1, 16384, 1), (1, 16385, 2), (5, 4096, 2), (99, 1, 0)],
)
def test_block_rams_of_18_kbit(width: int, depth: int, blocks: int) -> None:
    for board in ("pynq-z1", "ulx3s-85f", "tangnano9k", "kv260"):
        device = Device.of(load_board(board))
        assert device.block_kbit == 18
        assert device.in_blocks(shape(width, depth)) == blocks


@pytest.mark.parametrize(("width", "depth", "blocks"), [(16, 256, 1), (17, 256, 2), (16, 257, 2), (8, 512, 1)])
def test_block_rams_of_4_kbit(width: int, depth: int, blocks: int) -> None:
    assert Device.of(load_board("icebreaker")).in_blocks(shape(width, depth)) == blocks


@pytest.mark.parametrize(
    ("inputs", "width", "depth", "luts"),
    [
        *((6, 10, 32, 5), (6, 10, 40, 28), (6, 10, 48, 35), (6, 10, 128, 107), (6, 10, 1, 0)),
        *((4, 10, 16, 10), (4, 10, 32, 39), (4, 10, 64, 85)),
        *((4, 1000, 2, 4), (4, 1000, 3, 8)),  # of two words there are four different columns
    ],
)
def test_read_only_memory_in_luts(inputs: int, width: int, depth: int, luts: int) -> None:
    assert Device(inputs, 1000).in_luts(shape(width, depth)) == 10 * luts


@pytest.mark.parametrize(
    ("inputs", "width", "depth", "luts"),
    [(6, 12, 32, 8), (6, 13, 32, 12), (6, 12, 33, 16), (6, 12, 65, 32), (6, 0, 8, 0), (4, 12, 16, 12), (4, 12, 17, 37)],
)
def test_memory_that_is_written_in_luts(inputs: int, width: int, depth: int, luts: int) -> None:
    assert Device(inputs, 1000).in_lut_ram(shape(width, depth)) == 10 * luts


# Width, words, and whether Yosys 0.70 put them into block RAM: memories with an enable on the port that reads.
PLACED = [
    *((Family.ECP5, w, d, b) for w, d, b in ((4, 336, 0), (4, 352, 1), (8, 160, 0), (8, 192, 1), (12, 112, 0))),
    *((Family.ECP5, w, d, b) for w, d, b in ((12, 128, 1), (16, 96, 0), (16, 112, 1), (24, 64, 0), (24, 80, 1))),
    *((Family.GOWIN, w, d, b) for w, d, b in ((12, 112, 0), (12, 128, 1))),
    *((Family.ICE40, w, d, b) for w, d, b in ((8, 9, 0), (8, 10, 1), (16, 4, 0), (16, 5, 1))),
    *((Family.XILINX7, w, d, b) for w, d, b in ((8, 320, 0), (8, 384, 1), (24, 96, 0), (24, 128, 1))),
]


@pytest.mark.parametrize(("family", "width", "depth", "block"), PLACED)
def test_memories_lie_where_yosys_puts_them(family: Family, width: int, depth: int, block: int) -> None:
    assert bool(MEMORIES[family].ram_in_block(*shape(width, depth))[0]) == bool(block)


@pytest.mark.parametrize(
    ("board", "width", "depth", "luts"),
    [("zc706", 70, 8892, 70 * 3), ("zc706", 36, 512, 0), ("zc706", 1, 16384, 0), ("zc706", 18, 1025, 0)]
    + [("ulx3s-85f", 18, 4000, 18), ("icebreaker", 16, 600, 16 * 2), ("icebreaker", 2, 2048, 0)],
)
def test_block_rams_one_behind_the_other(board: str, width: int, depth: int, luts: int) -> None:
    """70 bits of 8,892 words, in nine times 1,024, are the weights of an engine that takes 617 LUTs, not some 400."""
    assert Device.of(load_board(board)).behind_blocks(shape(width, depth)) == 10 * luts


def test_without_block_rams_all_memories_are_luts() -> None:
    tenths, blocks = Device(4, 1000, 0).in_ram([shape(16, 512), shape(8, 16)])
    assert not blocks.any()
    assert tenths == sum(Device(4, 1000).in_lut_ram(s) for s in (shape(16, 512), shape(8, 16)))


@given(st.sampled_from(list(Family)), st.integers(1, 80), st.integers(2, 3000))
def test_more_bits_never_take_fewer_blocks(family: Family, width: int, depth: int) -> None:
    counted = MEMORIES[family].count_blocks(*shape(width, depth))
    assert 1 <= counted <= MEMORIES[family].count_blocks(*shape(width + 1, depth))
    assert counted <= MEMORIES[family].count_blocks(*shape(width, depth + 1))


@given(st.sampled_from([4, 6]), st.integers(1, 200), st.integers(2, 500))
def test_more_bits_never_take_fewer_luts(inputs: int, width: int, depth: int) -> None:
    device = Device(inputs, 1000)
    for luts in (device.in_luts, device.in_lut_ram):
        assert luts(shape(width, depth)) <= luts(shape(width + 1, depth))
        assert luts(shape(width, depth)) <= luts(shape(width, 2 * depth))


def test_columns_that_differ() -> None:
    rng = np.random.default_rng(0)
    for width, depth in ((3, 2), (40, 4), (200, 6), (50, 16)):
        seen = [len(np.unique(rng.integers(0, 2, (depth, width)), axis=1).T) for _ in range(300)]
        assert distinct_columns(*shape(width, depth)) == pytest.approx(np.mean(seen), abs=1)


def test_every_family_has_its_constants() -> None:
    assert set(MEMORIES) == set(ENGINES) == set(Family)
