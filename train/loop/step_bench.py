"""What a binary training step costs against the same step of the same network in float, alternating in one run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ...errors import UsageError
from ..layers.modules import BinaryLinear, Sign
from ..layers.norms import BatchNorm1d
from ..recipe import OptimizerSpec
from .losses import square_hinge
from .optim import build_optimizer

__all__ = ["StepRatio", "step_ratio"]

_SPEC = OptimizerSpec(lr=1e-3, schedule="constant")


@dataclass(frozen=True, slots=True)
class StepRatio:
    """Median seconds of one training step, float and binary, and binary / float; what was measured and how."""

    binary_s: float
    float_s: float
    ratio: float
    widths: tuple[int, ...]
    batch: int
    steps: int
    threads: int


def step_ratio(
    widths: tuple[int, ...] = (784, 512, 512, 512, 10),
    *,
    batch: int = 128,
    steps: int = 200,
    threads: int | None = None,
) -> StepRatio:
    """Time training steps of an MLP in float (Linear, BatchNorm, ReLU) and binary (BinaryLinear, BatchNorm, Sign).

    A step is forward, square hinge, backward, fused Adam, and for the binary network the clipping of its weights. The
    two take turns, step by step, so that whatever else the machine does weighs on both; medians of `steps` steps.
    threads: torch's, None for its present choice.
    """
    if len(widths) < 2 or min(widths) < 1 or batch < 2 or steps < 1:
        raise UsageError("the step bench needs two or more positive widths, a batch of at least 2 and a step")
    if threads is not None and threads < 1:
        raise UsageError(f"the number of threads must be positive, not {threads}")
    earlier = torch.get_num_threads()
    try:
        torch.set_num_threads(threads or earlier)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            twins = (_stepper(widths, batch, binary=True), _stepper(widths, batch, binary=False))
            times: tuple[list[float], list[float]] = ([], [])
            for turn in range(steps + steps // 10 + 1):
                for step, seconds in zip(twins, times, strict=True):
                    began = time.perf_counter()
                    step()
                    if turn > steps // 10:  # the first tenth warms caches and the allocator up
                        seconds.append(time.perf_counter() - began)
            used = torch.get_num_threads()
    finally:
        torch.set_num_threads(earlier)
    binary_s, float_s = (statistics.median(seconds) for seconds in times)
    return StepRatio(binary_s, float_s, binary_s / float_s, widths, batch, steps, used)


def _stepper(widths: tuple[int, ...], batch: int, *, binary: bool) -> Callable[[], None]:
    """One training step of a fresh network on fixed random -1/+1 inputs."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        layers.append(BinaryLinear(n_in, n_out) if binary else nn.Linear(n_in, n_out, bias=False))
        layers.append(BatchNorm1d(n_out))
        if i < len(widths) - 2:
            layers.append(Sign() if binary else nn.ReLU())
    model = nn.Sequential(*layers)
    optimizer = build_optimizer(model, _SPEC)
    inputs = torch.randint(0, 2, (batch, widths[0])).float().mul_(2).sub_(1)
    labels = torch.randint(0, widths[-1], (batch,))

    def step() -> None:
        loss = square_hinge(model(inputs), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step
