"""Words of the memories, and parameters that are refused."""

from dataclasses import replace

import numpy as np
import pytest

from xnorflow.compiler.folds.folding import LayerFold
from xnorflow.errors import HardwareError
from xnorflow.hdl.activations.params import signed_bits
from xnorflow.hdl.dot.params import EngineParams, ScoreParams
from xnorflow.hdl.dot.rom import MemoryImage


def engine(
    rows: int, columns: int, pe: int, simd: int, *, bits: int = 1, levels: int = 1, weight_bits: int = 1
) -> EngineParams:
    rng = np.random.default_rng(3)
    limit = columns * ((1 << bits) - 1) * ((1 << weight_bits) - 1) + 2
    thresholds = np.sort(rng.integers(0, limit, (rows, levels)), axis=1)
    weights = rng.integers(0, 1 << weight_bits, (rows, columns), dtype=np.uint8)
    return EngineParams("fc", weights, bits, thresholds, LayerFold(pe, simd), weight_bits=weight_bits)


@pytest.mark.parametrize("bits", [1, 3, 8])
def test_weight_words(bits: int) -> None:
    """Row r, column c: word (r / PE) * SF + c / SIMD, code (r % PE) * SIMD + c % SIMD; padding columns are all ones."""
    params = engine(5, 7, 2, 3, weight_bits=bits)
    image = params.weight_image
    most = (1 << bits) - 1
    assert (image.depth, image.width) == (9, 6 * bits)
    for row in range(6):
        for column in range(9):
            code = image.word(row // 2 * 3 + column // 3) >> bits * (row % 2 * 3 + column % 3) & most
            assert code == (params.weights[row, column] if row < 5 and column < 7 else most)


def test_weight_words_of_segments() -> None:
    """Each segment of a row begins on a word of its own."""
    params = replace(engine(3, 10, 2, 3), segments=2)
    image = params.weight_image
    assert (params.synapse_folds, params.cycles, image.depth, image.width) == (4, 8, 8, 6)
    for row in range(4):
        for segment in range(2):
            for column in range(6):
                bit = image.word(row // 2 * 4 + segment * 2 + column // 3) >> (row % 2 * 3 + column % 3) & 1
                real = row < 3 and column < 5
                assert bit == (params.weights[row, 5 * segment + column] if real else 1)


def test_preload_reaches_its_top_bit_at_the_threshold() -> None:
    params = engine(5, 7, 2, 3)
    top = 1 << (params.preload_bits - 1)
    for row in range(6):
        start = params.preload_image.word(row // 2) >> (row % 2 * params.preload_bits) & (2 * top - 1)
        for count in range(8):
            reached = count >= params.thresholds[row, 0] if row < 5 else False
            assert bool(start + count & top) == reached
            assert start + count < 2 * top


def test_threshold_words() -> None:
    params = engine(5, 7, 2, 3, bits=2, levels=15).threshold_unit
    assert (params.comparators, params.rounds) == (5, 3)
    assert params.image.depth == 9
    word = params.image.word(1 * 3 + 2)  # fold 1, the last round: rows 2 and 3, thresholds 10 to 14
    bits = params.threshold_bits
    fields = [word >> (k * bits) & ((1 << bits) - 1) for k in range(10)]
    assert fields == [*params.values[2, 10:15], *params.values[3, 10:15]]
    padding = params.image.word(2 * 3) >> (5 * bits)
    assert [padding >> (k * bits) & ((1 << bits) - 1) for k in range(5)] == [params.p_max + 1] * 5


def test_hex_has_one_word_a_line_most_significant_digit_first() -> None:
    bits = np.array([[1, 0, 0, 0, 0, 0, 0, 0, 0, 1], [0, 1, 1, 1, 1, 0, 0, 0, 0, 0]], dtype=np.uint8)
    assert MemoryImage("m", bits).hex() == "201\n01e\n"


def test_negative_fields_are_twos_complement() -> None:
    assert MemoryImage.of_fields("m", np.array([[-1, 2], [-4, 3]]), 3).hex() == "17\n1c\n"


@pytest.mark.parametrize(
    ("low", "high", "bits"), [(0, 0, 1), (0, 1, 2), (-1, 0, 1), (-2, 1, 2), (-3, 1, 3), (-128, 127, 8), (0, 128, 9)]
)
def test_signed_bits(low: int, high: int, bits: int) -> None:
    assert signed_bits(low, high) == bits


def test_refuses_a_memory_word_that_is_too_wide() -> None:
    with pytest.raises(
        HardwareError, match=r"fc: PE 256 x SIMD 256 takes weights of 131072 bits a cycle; at most 65536"
    ):
        engine(4, 4, 256, 256, weight_bits=2)


def test_refuses_an_accumulator_that_is_too_wide() -> None:
    weights = np.broadcast_to(np.uint8(1), (1, 1 << 17))
    message = r"fc: 131072 inputs of 8 bits and weights of 8 need an accumulator of 33 bits; at most 32"
    with pytest.raises(HardwareError, match=message):
        EngineParams("fc", weights, 8, None, LayerFold(1, 1), weight_bits=8)


def test_refuses_scores_that_are_too_wide() -> None:
    multiplier = np.array([1 << 60, 1])
    with pytest.raises(HardwareError, match=r"scores: scores need 68 bits; at most 64 fit"):
        ScoreParams("scores", multiplier, 0, np.array([0, 0]), 100, 1)


def test_refuses_lanes() -> None:
    with pytest.raises(HardwareError, match="scores: score lanes must be a positive integer, not 0"):
        ScoreParams("scores", np.array([1, 1]), 0, np.array([0, 0]), 100, 0)
