"""Planes count what products are, for every pair of codes of every encoding."""

from itertools import product

import numpy as np
import pytest

from xnorflow.compiler.planes import DotForm, Gate
from xnorflow.compiler.types import Encoding, bits_problem, code_values

CODES = [(bits, encoding) for encoding, bits in product(Encoding, range(1, 9)) if bits_problem(bits, encoding) is None]
FEW = [(bits, encoding) for bits, encoding in CODES if bits in (1, 2, 3)]


def counts_of(form: DotForm, word: int, level: int) -> int:
    """What the gates of one word and one level come to, bit by bit."""
    level <<= word >> len(form.planes)
    total = 0
    for (i, plane), j in product(enumerate(form.planes), range(form.activation_planes)):
        b, x = word >> i & 1, level >> j & 1
        outputs = {Gate.XNOR: b == x, Gate.AND: b & x, Gate.ANDN: b & ~x & 1}
        total += outputs[plane.gate] << plane.power + j
    return total


@pytest.mark.parametrize("weights", CODES, ids=str)
@pytest.mark.parametrize("activations", FEW, ids=str)
def test_counts_are_products(weights: tuple[int, Encoding], activations: tuple[int, Encoding]) -> None:
    form = DotForm(*weights, *activations)
    values, sources = code_values(*weights), code_values(*activations)
    assert form.word_table.max() < 1 << form.word_bits <= 1 << 8
    assert form.level_table[0] == 0 and np.all(form.scale * form.level_table + form.offset == sources)
    largest = 0
    for code, value in enumerate(values.tolist()):
        word = int(form.words(np.array(code)))
        idle = int(form.idle_counts(np.array(word)))
        assert counts_of(form, word, 0) == idle
        for level in form.level_table.tolist():
            counted = counts_of(form, word, level)
            assert counted - idle == value * level
            largest = max(largest, counted)
    assert largest == form.column_max
    assert counts_of(form, form.padding, 0) == 0


@pytest.mark.parametrize("weights", CODES, ids=str)
def test_negatives(weights: tuple[int, Encoding]) -> None:
    form, values = DotForm(*weights, 1, Encoding.UNSIGNED), code_values(*weights)
    assert form.negates == (set(values.tolist()) == set((-values).tolist()))
    if form.negates:
        assert np.array_equal(values[form.negated(np.arange(len(values)))], -values)


def test_sizes() -> None:
    """Bits counted for a weight and an activation, and the accumulator's share of a column."""
    pairs = {
        (2, Encoding.BIPOLAR): (4, 9),
        (2, Encoding.SIGNED): (4, 6),
        (2, Encoding.TERNARY): (4, 3),
        (2, Encoding.UNSIGNED): (4, 9),
        (3, Encoding.LOG): (5, 31),
    }
    for weights, sizes in pairs.items():
        form = DotForm(*weights, 2, Encoding.UNSIGNED)
        assert (form.pairs, form.column_max) == sizes
