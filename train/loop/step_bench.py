"""What a training step of each method costs against the same step of the same network in float, in one run."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from ...errors import UsageError
from ..layers.activations import LinearQuant, LogQuant
from ..layers.gradients import GradientQuantizer
from ..layers.modules import QuantLinear, Sign
from ..layers.norms import BatchNorm1d
from ..layers.qnn import LogWeights, SignedWeights
from ..layers.quantizers import BinaryWeights, FloatWeights, WeightQuantizer
from ..recipe import OptimizerSpec
from .losses import square_hinge
from .optim import build_optimizer

__all__ = ["METHODS", "MethodStep", "StepRatios", "step_ratios"]

_SPEC = OptimizerSpec(lr=1e-3, schedule="constant")


@dataclass(frozen=True, slots=True)
class _Method:
    """What stands in each layer; gradients: bits of the quantized ones."""

    weight: Callable[[], WeightQuantizer]
    activation: Callable[[], nn.Module]
    gradients: int | None = None


METHODS: dict[str, _Method] = {
    "float": _Method(FloatWeights, nn.ReLU),
    "binary": _Method(BinaryWeights, Sign),
    "linear 4 bits": _Method(lambda: SignedWeights(4), lambda: LinearQuant(4, 0.25)),
    "log 4 bits": _Method(lambda: LogWeights(4), lambda: LogQuant(4, 2.0**-8)),
    "stochastic": _Method(lambda: BinaryWeights(stochastic=True), Sign),
    "gradients of 6 bits": _Method(BinaryWeights, Sign, gradients=6),
}
"""The first is what the others are compared with: Linear, BatchNorm, ReLU."""


@dataclass(frozen=True, slots=True)
class MethodStep:
    """Median seconds of a step, and the median of its ratio to the float step of the same turn."""

    name: str
    seconds: float
    ratio: float


@dataclass(frozen=True, slots=True)
class StepRatios:
    """What was measured and how."""

    float_s: float
    methods: tuple[MethodStep, ...]
    widths: tuple[int, ...]
    batch: int
    steps: int
    threads: int


def step_ratios(
    widths: tuple[int, ...] = (784, 512, 512, 512, 10),
    *,
    batch: int = 128,
    steps: int = 200,
    threads: int | None = None,
) -> StepRatios:
    """Time training steps of an MLP by every one of `METHODS`.

    A step is forward, square hinge, backward, fused Adam, and the clipping of latent weights. The methods take turns,
    step by step, so that whatever else the machine does weighs on all; medians of `steps` turns.
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
            steppers = [_stepper(method, widths, batch) for method in METHODS.values()]
            times: list[list[float]] = [[] for _ in steppers]
            for turn in range(steps + steps // 10 + 1):
                for step, seconds in zip(steppers, times, strict=True):
                    began = time.perf_counter()
                    step()
                    if turn > steps // 10:  # the first tenth warms caches and the allocator up
                        seconds.append(time.perf_counter() - began)
            used = torch.get_num_threads()
    finally:
        torch.set_num_threads(earlier)
    measured = [
        MethodStep(name, statistics.median(own), statistics.median(a / b for a, b in zip(own, times[0], strict=True)))
        for name, own in zip(METHODS, times, strict=True)
    ]
    return StepRatios(measured[0].seconds, tuple(measured[1:]), widths, batch, steps, used)


def _stepper(method: _Method, widths: tuple[int, ...], batch: int) -> Callable[[], None]:
    """One training step of a fresh network on fixed random -1/+1 inputs."""
    layers: list[nn.Module] = []
    for i, (n_in, n_out) in enumerate(zip(widths, widths[1:], strict=False)):
        layer = QuantLinear(n_in, n_out, weight=method.weight())
        if method.gradients is not None:
            layer.gradient_quantizer = GradientQuantizer(method.gradients)
        layers += [layer, BatchNorm1d(n_out)]
        if i < len(widths) - 2:
            layers.append(method.activation())
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
