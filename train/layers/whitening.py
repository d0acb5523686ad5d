"""Contrast normalisation and ZCA whitening of raw samples, on the host."""

import math

import torch
from torch import Tensor, nn

from ...errors import UsageError

__all__ = ["GcnZca"]


class GcnZca(nn.Module):
    """Global contrast normalisation, then ZCA whitening: what BinaryConnect (1511.00363, section 3.2) does to CIFAR-10.

    With a sample x of D values, their mean and their variance (divided by D - 1),

        g = (x - mean) / sqrt(gcn_bias + variance),   y = (g - m) W,   W = V diag(1 / sqrt(e + zca_bias)) V^T

    where m is the mean of g over the training samples and V diag(e) V^T their covariance (divided by their number), by
    `fit`. The biases are those of pylearn2's script for CIFAR-10. m and W are buffers, stored with the run. The module
    stands in front of the `InputQuantizer`, so that the network proper sees codes; W is a D x D matrix of floats on the
    host: such a network has no network file of its own.
    """

    mean: Tensor
    matrix: Tensor

    def __init__(self, shape: tuple[int, ...], gcn_bias: float = 10.0, zca_bias: float = 0.1) -> None:
        super().__init__()
        for name, value in (("gcn_bias", gcn_bias), ("zca_bias", zca_bias)):
            if not (math.isfinite(value) and value > 0):
                raise UsageError(f"{name} of GcnZca must be a positive number, not {value!r}")
        size = math.prod(shape)
        if size < 2:
            raise UsageError(f"GcnZca works on samples of two values or more, not of shape {shape}")
        self.shape, self.gcn_bias, self.zca_bias = tuple(shape), float(gcn_bias), float(zca_bias)
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("matrix", torch.eye(size))

    def contrast(self, x: Tensor) -> Tensor:
        """g (B, D) of raw samples (B, *shape), in the type of the buffers."""
        flat = x.detach().reshape(len(x), -1).to(self.mean.dtype)
        centred = flat - flat.mean(1, keepdim=True)
        return centred * torch.rsqrt(self.gcn_bias + centred.square().sum(1, keepdim=True) / (flat.shape[1] - 1))

    def fit(self, samples: Tensor) -> None:
        """Take m and W from the training samples (B, *shape), in float64, a few thousand at a time."""
        size = len(self.mean)
        total = torch.zeros(size, dtype=torch.float64, device=self.mean.device)
        products = torch.zeros(size, size, dtype=torch.float64, device=self.mean.device)
        for part in samples.split(4096):
            g = self.contrast(part).double()
            total += g.sum(0)
            products += g.T @ g
        mean = total / len(samples)
        values, vectors = torch.linalg.eigh(products / len(samples) - torch.outer(mean, mean))
        self.mean.copy_(mean)
        self.matrix.copy_(vectors / torch.sqrt(values.clamp(min=0) + self.zca_bias) @ vectors.T)

    def forward(self, x: Tensor) -> Tensor:
        """Whitened samples, of x's shape, in the type of the buffers; no gradient."""
        return ((self.contrast(x) - self.mean) @ self.matrix).reshape(x.shape)

    def extra_repr(self) -> str:
        """What print(model) shows."""
        return f"shape={self.shape}, gcn_bias={self.gcn_bias:g}, zca_bias={self.zca_bias:g}"
