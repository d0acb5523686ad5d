import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.compiler.packing import pack_codes, pack_planes, packed_size, unpack_codes, unpack_planes
from xnorflow.errors import UsageError


def random_codes(shape: tuple[int, ...], bits: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 1 << bits, shape, dtype=np.uint8)


def test_dense_layout_is_one_little_endian_number():
    # 3-bit codes 5, 2, 7, 1: 5 + 2 << 3 + 7 << 6 + 1 << 9
    packed = pack_codes(np.array([5, 2, 7, 1], np.uint8), 3)
    assert int.from_bytes(packed.tobytes(), "little") == 5 + (2 << 3) + (7 << 6) + (1 << 9)
    assert packed.size == packed_size(4, 3) == 2


def test_planes_layout_puts_element_k_at_bit_k():
    codes = np.zeros((2, 70), np.uint8)
    codes[1, 65] = 2
    planes = pack_planes(codes, 2)
    assert planes.shape == (2, 2, 2) and planes.dtype == np.uint64
    assert planes[1, 1, 1] == 1 << (65 - 64)
    assert planes.sum() == planes[1, 1, 1]


@settings(deadline=None, max_examples=60)
@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 140), st.integers(0, 1000))
def test_both_layouts_give_the_codes_back(bits: int, rows: int, columns: int, seed: int):
    codes = random_codes((rows, columns), bits, seed)
    assert np.array_equal(unpack_codes(pack_codes(codes, bits), codes.size, bits).reshape(codes.shape), codes)
    assert np.array_equal(unpack_planes(pack_planes(codes, bits), columns), codes)
    assert pack_codes(codes, bits).size == -(-rows * columns * bits // 8)


@pytest.mark.parametrize("bits", [1, 3])
def test_unused_bits_are_zero(bits: int):
    ones = np.full(3, (1 << bits) - 1, np.uint8)
    assert int.from_bytes(pack_codes(ones, bits).tobytes(), "little") == (1 << 3 * bits) - 1
    assert pack_planes(ones, bits).tolist() == [[0b111]] * bits


@pytest.mark.parametrize(
    ("codes", "bits", "complaint"),
    [
        (np.array([4], np.uint8), 2, "code 4 does not fit into 2 bits"),
        (np.array([1], np.int64), 1, "codes must be uint8, not int64"),
        (np.array([1], np.uint8), 9, "bits must be 1 to 8, not 9"),
        (np.array([0], np.uint8), 0, "bits must be 1 to 8, not 0"),
    ],
)
def test_what_would_lose_bits_is_refused(codes: np.ndarray, bits: int, complaint: str):
    for pack in (pack_codes, pack_planes):
        with pytest.raises(UsageError, match=complaint):
            pack(codes, bits)


def test_unpacking_needs_exactly_the_bytes():
    with pytest.raises(UsageError, match="9 codes of 1 bits take 2 bytes, not 1"):
        unpack_codes(np.zeros(1, np.uint8), 9, 1)
