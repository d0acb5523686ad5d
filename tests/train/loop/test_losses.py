import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from xnorflow.train.loop.losses import build_loss, cross_entropy, square_hinge


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 6), st.integers(2, 6), st.integers(0, 1000))
def test_square_hinge_follows_the_formula(batch, classes, seed):
    rng = np.random.default_rng(seed)
    scores = rng.integers(-8, 9, (batch, classes)) / 4  # few bits: every sum below is exact
    labels = rng.integers(0, classes, batch)
    total = 0.0
    for b in range(batch):
        for c in range(classes):
            t = 1 if labels[b] == c else -1
            total += max(0.0, 1 - t * scores[b, c]) ** 2
    loss = square_hinge(torch.from_numpy(scores), torch.from_numpy(labels))
    assert float(loss) == total / (batch * classes)


def test_square_hinge_gradient_is_zero_beyond_the_margin():
    scores = torch.tensor([[1.0, -1.0, -3.0], [0.5, 0.0, -1.0]], requires_grad=True)
    square_hinge(scores, torch.tensor([0, 0])).backward()
    assert scores.grad.tolist() == (torch.tensor([[0, 0, 0], [-1.0, 2.0, 0]]) / 6).tolist()


def test_cross_entropy_is_torchs_with_smoothing():
    scores, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    assert torch.equal(cross_entropy(scores, labels, 0.1), F.cross_entropy(scores, labels, label_smoothing=0.1))
    assert torch.equal(build_loss("cross-entropy", 0.1)(scores, labels), cross_entropy(scores, labels, 0.1))
    assert build_loss("square-hinge") is square_hinge
