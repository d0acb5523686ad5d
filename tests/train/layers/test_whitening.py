import math

import numpy as np
import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.layers.whitening import GcnZca


def reference(samples, train, gcn_bias, zca_bias):
    """By NumPy, sample by sample, with the singular values of the centred training samples."""

    def contrast(x):
        x = x.reshape(-1).astype(float)
        return (x - x.mean()) / math.sqrt(gcn_bias + x.var(ddof=1))

    g = np.array([contrast(x) for x in train])
    mean = g.mean(0)
    _, singular, rows = np.linalg.svd(g - mean, full_matrices=True)
    values = np.zeros(len(rows))
    values[: len(singular)] = singular**2 / len(g)
    matrix = sum(np.outer(v, v) / math.sqrt(e + zca_bias) for v, e in zip(rows, values, strict=True))
    return np.array([(contrast(x) - mean) @ matrix for x in samples]).reshape(samples.shape)


def test_whitening_equals_the_formula():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (40, 3, 4, 2)), rng.integers(0, 256, (7, 3, 4, 2))
    whiten = GcnZca((3, 4, 2), gcn_bias=5, zca_bias=0.05).double()
    whiten.fit(torch.from_numpy(train).to(torch.uint8))
    expected = reference(test, train, 5, 0.05)
    np.testing.assert_allclose(whiten(torch.from_numpy(test).to(torch.uint8)).numpy(), expected, rtol=1e-9, atol=1e-10)


def test_without_a_bias_to_speak_of_the_covariance_becomes_the_identity():
    rng = np.random.default_rng(1)
    train = torch.from_numpy(rng.normal(size=(500, 5)) @ rng.normal(size=(5, 5)))
    whiten = GcnZca((5,), gcn_bias=1e-9, zca_bias=1e-9).double()
    whiten.fit(train)
    y = whiten(train)
    covariance = (y.T @ y / len(y)).numpy()
    values = np.linalg.eigvalsh(covariance)  # one direction, that of equal values, has no variance
    np.testing.assert_allclose(values, [0, 1, 1, 1, 1], atol=1e-4)


def test_a_flat_sample_is_no_division_by_zero():
    assert bool(torch.isfinite(GcnZca((4,))(torch.full((2, 4), 9, dtype=torch.uint8))).all())


@pytest.mark.parametrize(
    ("arguments", "message"), [(((4,), 0.0), "gcn_bias"), (((4,), 1.0, -1), "zca_bias"), (((1,),), "two")]
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(UsageError, match=message):
        GcnZca(*arguments)
