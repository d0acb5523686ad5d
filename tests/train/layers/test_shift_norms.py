import math

import numpy as np
import pytest
import torch
from torch import nn

from xnorflow.compiler.lowering.compare import compare_with_module
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import BinaryLinear, InputQuantizer, Sign
from xnorflow.train.layers.shift_norms import ShiftBatchNorm1d, ShiftBatchNorm2d, ShiftScoreNorm


def power(x):
    """AP2 of a number, by its formula."""
    return 0.0 if x == 0 else math.copysign(2.0 ** round(math.log2(abs(x))), x)


def reference(x, gamma, beta, g, eps):
    """Algorithm 3 and the released code's gradients, number by number: y, dx, d gamma, d beta, means, deviations."""
    batch, channels = x.shape
    y, dx = np.zeros_like(x), np.zeros_like(x)
    dgamma, dbeta, means, deviations = (np.zeros(channels) for _ in range(4))
    for c in range(channels):
        mean = sum(x[:, c]) / batch
        centred = [v - mean for v in x[:, c]]
        deviation = 1 / math.sqrt(sum(v * power(v) for v in centred) / batch + eps)
        s, slope = power(deviation), power(gamma[c])
        along = sum(power(v) * d for v, d in zip(centred, g[:, c], strict=True)) / batch
        for b, v in enumerate(centred):
            y[b, c] = slope * (v * s) + beta[c]
            dx[b, c] = slope * s * (g[b, c] - sum(g[:, c]) / batch - power(v) * s * s * along)
            dgamma[c] += power(v * s) * g[b, c]
        dbeta[c], means[c], deviations[c] = sum(g[:, c]), mean, deviation
    return y, dx, dgamma, dbeta, means, deviations


def random_norm(kind, channels, rng):
    norm = kind(channels).double()
    with torch.no_grad():
        norm.weight.copy_(torch.from_numpy(rng.normal(size=channels)))
        norm.bias.copy_(torch.from_numpy(rng.normal(size=channels)))
    return norm


@pytest.mark.parametrize("kind", [ShiftBatchNorm1d, ShiftScoreNorm])
def test_training_equals_the_algorithm_number_by_number(kind):
    rng = np.random.default_rng(3)
    norm = random_norm(kind, 5, rng)
    x, g = rng.normal(size=(12, 5)) * 9, rng.normal(size=(12, 5))
    y, dx, dgamma, dbeta, means, deviations = reference(
        x, norm.weight.detach().numpy(), norm.bias.detach().numpy(), g, norm.eps
    )
    inputs = torch.from_numpy(x).requires_grad_()
    outputs = norm(inputs)
    outputs.backward(torch.from_numpy(g))
    np.testing.assert_allclose(outputs.detach().numpy(), y, rtol=1e-12)
    np.testing.assert_allclose(inputs.grad.numpy(), dx, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(norm.weight.grad.numpy(), dgamma, rtol=1e-12)
    np.testing.assert_allclose(norm.bias.grad.numpy(), dbeta, rtol=1e-12)
    np.testing.assert_allclose(norm.running_mean.numpy(), means / 8, rtol=1e-12)
    np.testing.assert_allclose(norm.running_istd.numpy(), 7 / 8 + deviations / 8, rtol=1e-12)


def test_maps_are_normalised_as_so_many_samples():
    rng = np.random.default_rng(4)
    maps, vectors = random_norm(ShiftBatchNorm2d, 3, rng), ShiftBatchNorm1d(3).double()
    vectors.load_state_dict(maps.state_dict())
    x = torch.from_numpy(rng.normal(size=(2, 3, 4, 5)))
    flat = x.permute(0, 2, 3, 1).reshape(-1, 3)
    assert torch.allclose(maps(x).permute(0, 2, 3, 1).reshape(-1, 3), vectors(flat), rtol=1e-12)
    assert torch.allclose(maps.running_istd, vectors.running_istd, rtol=1e-12)


def test_eval_mode_is_affine_with_a_power_of_two():
    rng = np.random.default_rng(5)
    norm = random_norm(ShiftBatchNorm1d, 40, rng).float()
    for _ in range(9):
        norm(torch.from_numpy(rng.normal(size=(20, 40)) * 30).float())
    slope, mean, beta = norm.eval().slope().tolist(), norm.running_mean.tolist(), norm.bias.tolist()
    assert slope == [power(g) * power(i) for g, i in zip(norm.weight.tolist(), norm.running_istd.tolist(), strict=True)]
    x = torch.arange(-90.0, 90.0)[:, None].expand(-1, 40).contiguous()
    signs = norm(x) >= 0
    for c, (a, m, b) in enumerate(zip(slope, mean, beta, strict=True)):
        bound = m - b / a  # the threshold of the paper's inference
        clear = (x[:, c] - bound).abs() > 1e-3
        assert torch.equal(signs[clear, c], ((x[:, c] >= bound) == (a > 0))[clear])


def test_the_state_goes_through_a_file_and_back():
    norm = ShiftBatchNorm1d(3)
    norm(torch.randn(5, 3))
    other = ShiftBatchNorm1d(3)
    other.load_state_dict(norm.state_dict())
    assert set(norm.state_dict()) == {"weight", "bias", "running_mean", "running_istd", "num_batches_tracked"}
    assert torch.equal(other.eval()(torch.ones(2, 3)), norm.eval()(torch.ones(2, 3)))
    other.reset_running_stats()
    assert other.running_istd.tolist() == [1.0] * 3 and other.running_mean.tolist() == [0.0] * 3


def test_wrong_arguments_are_named():
    with pytest.raises(UsageError, match="momentum of ShiftBatchNorm1d"):
        ShiftBatchNorm1d(3, momentum=0)
    with pytest.raises(UsageError, match="more than one value"):
        ShiftBatchNorm1d(3)(torch.ones(1, 3))


def test_a_shift_based_network_compiles_to_exact_thresholds():
    torch.manual_seed(6)
    model = nn.Sequential(
        InputQuantizer(3, "unsigned", 0, 7),
        BinaryLinear(20, 32),
        ShiftBatchNorm1d(32),
        Sign(),
        BinaryLinear(32, 10),
        ShiftScoreNorm(10),
    )
    for norm in (model[2], model[5]):
        nn.init.normal_(norm.weight)  # slopes of both signs
        nn.init.normal_(norm.bias)
    raw = np.random.default_rng(6).integers(0, 8, size=(300, 20)).astype(np.uint8)
    for _ in range(20):
        model(torch.from_numpy(raw))
    network = compile_module(model.eval(), raw[:1])
    comparison = compare_with_module(network, model, raw)
    assert comparison.disagreements == 0 and comparison.compared > 300 * 42
