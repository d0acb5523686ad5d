"""The normalisations that a recipe asks for."""

from torch import nn

from ..layers.norms import BatchNorm1d, BatchNorm2d, ScoreNorm
from ..layers.shift_norms import ShiftBatchNorm1d, ShiftBatchNorm2d, ShiftScoreNorm
from ..recipe import NormSpec

__all__ = ["build_norm", "build_score_norm"]


def build_norm(spec: NormSpec, features: int, *, maps: bool = False) -> nn.BatchNorm1d | nn.BatchNorm2d:
    """Of vectors (B, features), or of maps (B, features, H, W)."""
    kinds: tuple[type[nn.BatchNorm1d | nn.BatchNorm2d], type[nn.BatchNorm1d | nn.BatchNorm2d]]
    kinds = (ShiftBatchNorm1d, ShiftBatchNorm2d) if spec.kind == "shift" else (BatchNorm1d, BatchNorm2d)
    return kinds[maps](features, *_constants(spec))


def build_score_norm(spec: NormSpec, classes: int) -> ScoreNorm:
    """Of the outputs (B, classes)."""
    kind = ShiftScoreNorm if spec.kind == "shift" else ScoreNorm
    return kind(classes, *_constants(spec), score_bits=spec.score_bits)


def _constants(spec: NormSpec) -> tuple[float, float]:
    """eps and momentum."""
    assert spec.eps is not None and spec.momentum is not None  # NormSpec fills them in
    return spec.eps, spec.momentum
