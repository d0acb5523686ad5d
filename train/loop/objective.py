"""What a step makes smaller: the recipe's loss, and with a teacher the distance from its scores."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ...errors import UsageError
from ..recipe import Recipe, TeacherSpec
from .losses import build_loss
from .runs import load_run

__all__ = ["Objective", "distance_from_teacher"]


def distance_from_teacher(scores: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    """T^2 * mean over the batch of KL(softmax(teacher / T) || softmax(scores / T)) (1503.02531, section 2).

    T^2 keeps the gradient as large whatever the temperature. Scores (B, C), of both; a scalar in float32 or wider.
    """
    wide = scores if scores.dtype == torch.float64 else scores.float()
    ours, theirs = (F.log_softmax(x / temperature, 1) for x in (wide, teacher.to(wide.dtype)))
    return F.kl_div(ours, theirs, reduction="batchmean", log_target=True) * temperature**2


class Objective:
    """The loss of scores for raw samples and labels; the teacher is read once and stays in eval mode."""

    def __init__(self, recipe: Recipe, device: torch.device) -> None:
        self._loss = build_loss(recipe.loss, recipe.label_smoothing)
        self._spec = recipe.teacher
        self._teacher = _read_teacher(recipe, recipe.teacher).to(device) if recipe.teacher else None

    def __call__(self, images: Tensor, scores: Tensor, labels: Tensor) -> Tensor:
        """A scalar. images: raw samples (B, *shape); scores (B, C); labels (B,)."""
        loss = self._loss(scores, labels)
        if self._teacher is None or self._spec is None:
            return loss
        with torch.no_grad():
            taught = self._teacher(images)
        distance = distance_from_teacher(scores, taught, self._spec.temperature)
        return (1 - self._spec.weight) * loss + self._spec.weight * distance


def _read_teacher(recipe: Recipe, spec: TeacherSpec) -> nn.Module:
    run = load_run(Path(spec.run))
    if run.recipe.dataset != recipe.dataset:
        raise UsageError(f"the teacher {spec.run} has learnt {run.recipe.dataset}, not {recipe.dataset}")
    return run.model
