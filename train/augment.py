"""Random affine distortions of training images, drawn from torch's generator. Validation and test never see them."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from .recipe import AugmentSpec

__all__ = ["distort"]


def distort(images: Tensor, spec: AugmentSpec) -> Tensor:
    """Images (B, H, W) of any real dtype, each turned, scaled, sheared and shifted anew; float32, 0 beyond the edges.

    With u uniform in [-1, 1], independent per sample and factor: rotation by u * rotate degrees, scale 1 + u * scale
    (each axis), shear u * shear, shift u * shift pixels (each axis); bilinear interpolation.
    """
    count, height, width = images.shape
    u = torch.empty(6, count).uniform_(-1, 1).to(images.device)  # drawn on the CPU: the same on every device
    angle = u[0] * math.radians(spec.rotate)
    x_scale, y_scale = 1 + u[1] * spec.scale, 1 + u[2] * spec.scale
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([x_scale * cosine, u[3] * spec.shear - x_scale * sine, u[4] * spec.shift * 2 / width], 1),
        torch.stack([y_scale * sine, y_scale * cosine, u[5] * spec.shift * 2 / height], 1),
    ]
    grid = F.affine_grid(torch.stack(rows, 1), [count, 1, height, width], align_corners=False)
    return F.grid_sample(images[:, None].float(), grid, align_corners=False)[:, 0]
