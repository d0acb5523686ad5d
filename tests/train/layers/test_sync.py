"""The statistics of all processes, here of one; `tests/train/loop/test_processes.py` has several."""

import pytest
import torch
from torch import nn

from xnorflow.train.layers.norms import BatchNorm1d
from xnorflow.train.layers.sync import processes, sum_over_processes, synchronised_norm


@pytest.mark.parametrize(
    ("kind", "shape"), [(nn.BatchNorm1d, (9, 5)), (nn.BatchNorm1d, (4, 5, 3)), (nn.BatchNorm2d, (4, 5, 3, 2))]
)
@pytest.mark.parametrize("momentum", [0.1, 0.3, None])
@pytest.mark.parametrize("affine", [True, False])
def test_the_formulas_are_torchs(kind, shape, momentum, affine):
    torch.manual_seed(0)
    twins = [kind(5, momentum=momentum, affine=affine).double() for _ in range(2)]
    for _ in range(2):  # the running statistics move twice
        x = (torch.randn(shape, dtype=torch.float64) * 3 + 1).requires_grad_()
        y = x.detach().clone().requires_grad_()
        target = torch.randn(shape, dtype=torch.float64)
        out, expected = synchronised_norm(twins[0], x), twins[1](y)
        torch.testing.assert_close(out, expected, rtol=1e-12, atol=1e-12)
        (out * target).sum().backward()
        (expected * target).sum().backward()
        torch.testing.assert_close(x.grad, y.grad, rtol=1e-10, atol=1e-12)
    for (name, a), b in zip(twins[0].state_dict().items(), twins[1].state_dict().values(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12, msg=name)


@pytest.mark.parametrize("values", [[3.0, 7.0, 5.0], [3.0, 3.0, 3.0], [-101.0, 3.0, -49.0]])
def test_what_equals_its_mean_is_the_bias_to_the_last_bit(values):
    norm = BatchNorm1d(40).double()
    with torch.no_grad():
        norm.weight.copy_(torch.linspace(0.1, 3.7, 40))
    x = torch.tensor(values, dtype=torch.float64)[:, None].expand(3, 40)
    assert (norm(x)[2] == 0).all()


def test_one_process_sums_nothing():
    x = torch.ones(3)
    assert processes() == 1
    assert sum_over_processes(x) is x
