"""Random distortions of training images, for each sample by itself. Validation and test never see them."""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from ..layers.randomness import draw_per_sample, uniform
from ..recipe import AugmentSpec

__all__ = ["distort"]

_CPU = torch.device("cpu")  # where the random numbers are drawn: the same on every device


def distort(images: Tensor, spec: AugmentSpec) -> Tensor:
    """Images (B, H, W) or (B, H, W, C) of any real dtype, each distorted anew; 0 beyond the edges.

    First the affine map, if it has any (float32 comes out): with u uniform in [-1, 1], independent per sample and
    factor, rotation by u * rotate degrees, scale 1 + u * scale (each axis), shear u * shear, shift u * shift pixels
    (each axis), bilinear interpolation. Then a crop and a mirror image, which move whole pixels and keep the dtype.
    """
    if spec.rotate or spec.scale or spec.shear or spec.shift:
        images = _affine(images, spec)
    return _moved(images, spec.crop, spec.flip) if spec.crop or spec.flip else images


def _affine(images: Tensor, spec: AugmentSpec) -> Tensor:
    count, height, width = images.shape[:3]
    u = draw_per_sample(uniform(-1, 1, torch.float32, _CPU), (count, 6), _CPU).T.to(images.device)
    angle = u[0] * math.radians(spec.rotate)
    x_scale, y_scale = 1 + u[1] * spec.scale, 1 + u[2] * spec.scale
    cosine, sine = torch.cos(angle), torch.sin(angle)
    rows = [
        torch.stack([x_scale * cosine, u[3] * spec.shear - x_scale * sine, u[4] * spec.shift * 2 / width], 1),
        torch.stack([y_scale * sine, y_scale * cosine, u[5] * spec.shift * 2 / height], 1),
    ]
    planes = images[:, None] if images.dim() == 3 else images.permute(0, 3, 1, 2)
    grid = F.affine_grid(torch.stack(rows, 1), [count, 1, height, width], align_corners=False)
    moved = F.grid_sample(planes.float(), grid, align_corners=False)
    return moved[:, 0] if images.dim() == 3 else moved.permute(0, 2, 3, 1)


def _moved(images: Tensor, crop: int, flip: bool) -> Tensor:
    """Each image shifted by whole pixels, at most `crop` each way, and half of them mirrored if `flip`."""
    count, height, width = images.shape[:3]
    border = (0, 0) * (images.dim() - 3) + (crop,) * 4
    padded = F.pad(images, border) if crop else images
    moves = draw_per_sample(uniform(0, 1, torch.float64, _CPU), (count, 3), _CPU)
    top, left = moves[:, :2].mul(2 * crop + 1).long().T
    rows = top[:, None] + torch.arange(height)
    columns = left[:, None] + torch.arange(width)
    if flip:
        columns = torch.where(moves[:, 2:] < 0.5, columns.flip(1), columns)
    samples = torch.arange(count)[:, None, None]
    return padded[samples.to(images.device), rows[:, :, None].to(images.device), columns[:, None, :].to(images.device)]
