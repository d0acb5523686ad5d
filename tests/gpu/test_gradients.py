"""Gradients as bit planes against the product of the numbers that they are."""

import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.gpu.gradients import gradient_codes, input_gradient
from xnorflow.train.layers.gradients import quantize_gradient_linear


@pytest.mark.parametrize("bits", [1, 2, 6, 8])
@pytest.mark.parametrize(("batch", "outputs", "inputs"), [(5, 40, 33), (1, 1, 1), (7, 300, 129), (0, 4, 5)])
def test_planes_are_the_quantized_gradient(bits: int, batch: int, outputs: int, inputs: int) -> None:
    torch.manual_seed(bits)
    gradient = quantize_gradient_linear(torch.randn(batch, outputs) * torch.rand(batch, 1), bits)
    weight = torch.where(torch.rand(outputs, inputs) < 0.5, -1.0, 1.0)
    codes, step = gradient_codes(gradient, bits)
    odd = 2 * codes.long() - ((1 << bits) - 1)
    torch.testing.assert_close(odd * step[:, None], gradient)  # it is decoded with one rounding less
    exact = (odd @ weight.long()).float() * step[:, None]
    assert torch.equal(input_gradient(codes, step, weight, bits), exact)


def test_a_sample_without_gradient_stays_without() -> None:
    gradient = torch.zeros(2, 8)
    gradient[1] = 1.0
    codes, step = gradient_codes(gradient, 6)
    assert step.tolist() == [0.0, pytest.approx(1 / 63)]
    assert not input_gradient(codes, step, torch.ones(8, 3), 6)[0].any()


def test_a_gradient_that_is_not_quantized() -> None:
    with pytest.raises(UsageError, match="the gradient is not quantized to 6 bits a sample"):
        gradient_codes(torch.linspace(-1, 1, 100)[None], 6)
