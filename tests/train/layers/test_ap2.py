import math
from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.train.layers.ap2 import ap2


def nearest_power(x):
    """2^e with e = round(log2 |x|), found by comparing squares of fractions; x's sign."""
    magnitude, exponent = abs(Fraction(x)), math.frexp(x)[1] - 1  # 2^exponent <= |x|
    up = magnitude**2 >= 2 * Fraction(2) ** (2 * exponent)  # |x| >= sqrt(2) 2^exponent
    return math.copysign(2.0 ** (exponent + up), x)


@settings(deadline=None, max_examples=200)
@given(st.floats(min_value=2.0**-126, max_value=2.0**126, width=32), st.booleans())
def test_ap2_is_the_nearest_power_in_the_logarithm(x, negative):
    x = -x if negative else x
    assert ap2(torch.tensor([x])).tolist() == [nearest_power(x)]
    assert ap2(torch.tensor([x], dtype=torch.float64)).tolist() == [nearest_power(x)]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_around_the_square_root_of_two_the_bound_is_exact(dtype):
    root = torch.tensor([2.0], dtype=dtype).sqrt()
    steps = [root]
    for _ in range(3):
        steps = [torch.nextafter(steps[0], root - 1), *steps, torch.nextafter(steps[-1], root + 1)]
    x = torch.cat(steps)
    assert ap2(x).tolist() == [nearest_power(v) for v in x.tolist()]
    assert set(ap2(x).tolist()) == {1.0, 2.0}


def test_zero_infinity_and_nan_are_defined():
    x = torch.tensor([0.0, -0.0, math.inf, -math.inf, math.nan])
    assert ap2(x)[:4].tolist() == [0.0, 0.0, math.inf, -math.inf]
    assert math.isnan(ap2(x)[4])


def test_narrow_types_keep_their_type():
    x = torch.tensor([3.0, -0.7], dtype=torch.bfloat16)
    assert ap2(x).dtype == torch.bfloat16 and ap2(x).tolist() == [4.0, -0.5]
