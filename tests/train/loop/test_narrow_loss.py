"""Cross-entropy of bfloat16 scores, against torch's in float64."""

import pytest
import torch
from torch.nn import functional as F

from xnorflow.train.loop import narrow_loss
from xnorflow.train.loop.losses import cross_entropy
from xnorflow.train.loop.narrow_loss import narrow_cross_entropy


@pytest.mark.parametrize("elements", [1, 100, 1 << 19])
def test_it_is_the_wide_one(elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(narrow_loss, "_ELEMENTS", elements)
    torch.manual_seed(0)
    scores = (torch.randn(33, 40) * 5).add_(200 * torch.randn(33, 1)).bfloat16().requires_grad_()
    labels = torch.randint(0, 40, (33,))
    loss = narrow_cross_entropy(scores, labels)
    (loss * 3).backward()
    wide = scores.detach().double().requires_grad_()
    expected = F.cross_entropy(wide, labels)
    (expected * 3).backward()
    assert scores.grad is not None and wide.grad is not None and loss.dtype == torch.float32
    assert abs(loss.item() - expected.item()) < 1e-5 * expected.item()
    assert ((scores.grad - wide.grad).abs() <= wide.grad.abs() / 64 + 1e-9).all()  # two roundings to bfloat16


def test_losses_take_it_for_narrow_scores_without_smoothing() -> None:
    scores, labels = torch.randn(5, 4), torch.tensor([0, 1, 2, 3, 0])
    assert torch.equal(cross_entropy(scores.bfloat16(), labels), narrow_cross_entropy(scores.bfloat16(), labels))
    smoothed = F.cross_entropy(scores.bfloat16().float(), labels, label_smoothing=0.1)
    assert torch.equal(cross_entropy(scores.bfloat16(), labels, 0.1), smoothed)
