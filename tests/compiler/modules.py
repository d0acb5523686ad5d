"""Untrained modules for the compiler's tests. Random statistics are harder to follow than trained ones."""

from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn

from xnorflow.train.layers.modules import BinaryLinear, InputQuantizer, Sign
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm


def shake(module: nn.Module, seed: int) -> nn.Module:
    """Random statistics and parameters in every BatchNorm: slopes of both signs and 0, shifts beyond the range."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm1d):
            n = norm.num_features
            with torch.no_grad():
                norm.weight.copy_(torch.randn(n, generator=generator))
                norm.weight[torch.rand(n, generator=generator) < 0.1] = 0
                norm.bias.copy_(torch.randn(n, generator=generator))
                norm.running_mean.copy_(10 * torch.randn(n, generator=generator))
                norm.running_var.copy_(100 * torch.rand(n, generator=generator) + 0.1)
    return module.eval()


def mlp(
    widths: tuple[int, ...],
    quantizer: InputQuantizer | None = None,
    activation: Callable[[], nn.Module] = Sign,
    norm: Callable[[int], nn.Module] = BatchNorm1d,
    head: Callable[[int], nn.Module] | None = ScoreNorm,
    seed: int = 0,
) -> nn.Sequential:
    """quantize, flatten, (fc, norm, act) per hidden width, fc, [head]; 1-bit inputs where no quantizer is given."""
    torch.manual_seed(seed)
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["quantize"] = quantizer or InputQuantizer(1)
    layers["flatten"] = nn.Flatten()
    for index, (columns, rows) in enumerate(zip(widths, widths[1:-1], strict=False), start=1):
        layers[f"fc{index}"] = BinaryLinear(columns, rows)
        layers[f"norm{index}"] = norm(rows)
        layers[f"act{index}"] = activation()
    layers["fc_out"] = BinaryLinear(widths[-2], widths[-1])
    if head is not None:
        layers["head"] = head(widths[-1])
    module = nn.Sequential(layers)
    shake(module, seed)
    return module
