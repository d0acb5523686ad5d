from dataclasses import replace

import numpy as np
import pytest
import torch

from xnorflow.errors import DataError, UsageError
from xnorflow.train.data.datasets import load_dataset
from xnorflow.train.loop.losses import square_hinge
from xnorflow.train.loop.objective import Objective, distance_from_teacher
from xnorflow.train.loop.runs import load_run
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.recipe import TeacherSpec

CPU = torch.device("cpu")


def softmax(x):
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def test_the_distance_is_the_papers():
    scores, teacher = torch.randn(7, 5, dtype=torch.float64), torch.randn(7, 5, dtype=torch.float64)
    for temperature in (1.0, 4.0):
        p, q = softmax(teacher.numpy() / temperature), softmax(scores.numpy() / temperature)
        expected = (p * np.log(p / q)).sum(1).mean() * temperature**2
        assert float(distance_from_teacher(scores, teacher, temperature)) == pytest.approx(expected, rel=1e-12)
    assert float(distance_from_teacher(scores, scores, 3.0)) == pytest.approx(0, abs=1e-12)


def test_a_high_temperature_matches_logits():
    """1503.02531, section 2.1: the gradient becomes (z - v) / (N T^2) of zero-mean logits, times T^2."""
    scores = torch.randn(3, 6, dtype=torch.float64, requires_grad=True)
    teacher = torch.randn(3, 6, dtype=torch.float64)
    distance_from_teacher(scores, teacher, 1e4).backward()
    z, v = (x - x.mean(1, keepdim=True) for x in (scores.detach(), teacher))
    torch.testing.assert_close(scores.grad, (z - v) / 6 / 3, rtol=1e-3, atol=1e-6)


def test_a_run_learns_from_its_teacher(quick, tmp_path):
    train_recipe(quick, tmp_path / "teacher", epochs=2)
    spec = TeacherSpec(str(tmp_path / "teacher"), temperature=2.0, weight=0.25)
    pupil = replace(quick, epochs=1, teacher=spec)
    samples = load_dataset("digits", "test")
    images, labels = torch.from_numpy(samples.images[:9].copy()), torch.from_numpy(samples.labels[:9])
    scores = torch.randn(9, 10)
    taught = load_run(tmp_path / "teacher").model(images)
    expected = 0.75 * square_hinge(scores, labels) + 0.25 * distance_from_teacher(scores, taught, 2.0)
    assert torch.equal(Objective(pupil, CPU)(images, scores, labels), expected)
    assert torch.equal(Objective(quick, CPU)(images, scores, labels), square_hinge(scores, labels))
    train_recipe(pupil, tmp_path / "pupil")
    train_recipe(replace(quick, epochs=1), tmp_path / "alone")
    weights = [load_run(tmp_path / run).model.fc1.weight for run in ("pupil", "alone")]
    assert not torch.equal(*weights)


def test_a_teacher_that_will_not_do_is_said(quick, tmp_path):
    with pytest.raises(DataError, match="holds no trained network"):
        Objective(replace(quick, teacher=TeacherSpec(str(tmp_path))), CPU)
    with pytest.raises(UsageError, match="weight of the teacher must be above 0 and at most 1, not 0"):
        TeacherSpec("run", weight=0.0)
    with pytest.raises(UsageError, match="temperature must be positive"):
        TeacherSpec("run", temperature=0.0)
    train_recipe(quick, tmp_path / "digits", epochs=1)
    other = replace(quick, dataset="mnist", teacher=TeacherSpec(str(tmp_path / "digits")))
    with pytest.raises(UsageError, match="has learnt digits, not mnist"):
        Objective(other, CPU)
