"""AdaMax whose every product is a shift: the optimizer of Binarized Neural Networks."""

from collections.abc import Iterable
from typing import Any, Literal

import torch
from torch import Tensor

from ...errors import UsageError
from ..layers.ap2 import ap2
from .parameterwise import ParameterWise

__all__ = ["ShiftAdaMax", "Variant"]

Variant = Literal["paper", "released"]

_LEAST = 2.0**-27  # the released code's epsilon


class ShiftAdaMax(ParameterWise):
    """Shift-based AdaMax (Courbariaux, Hubara et al. 2016, arXiv 1602.02830, algorithm 4). At step t, for a gradient g,

        m = b1 m + (1 - b1) g,   v = max(b2 v, |g|)
        paper:      w = w - lr AP2(1 / (1 - b1^t)) m AP2(1 / v)
        released:   v = AP2(v) + 2^-27, kept so,   w = w - AP2(lr / (1 - b1^t)) m / v

    and w stays where v is 0, as it is before the first gradient that is not. The paper's constants are lr = 2^-10,
    1 - b1 = 2^-3 and 1 - b2 = 2^-10, the defaults; the released Torch code's are b1 = 0.9 and b2 = 0.999.
    In the paper's form every product is a shift as long as lr is a power of two.
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2.0**-10,
        betas: tuple[float, float] = (1 - 2.0**-3, 1 - 2.0**-10),
        variant: Variant = "paper",
    ) -> None:
        if not lr > 0:
            raise UsageError(f"lr of ShiftAdaMax must be positive, not {lr!r}")
        if not all(0 <= beta < 1 for beta in betas):
            raise UsageError(f"betas of ShiftAdaMax must be at least 0 and below 1, not {betas!r}")
        if variant not in ("paper", "released"):
            raise UsageError(f"variant of ShiftAdaMax must be paper or released, not {variant!r}")
        super().__init__(params, {"lr": lr, "betas": betas, "variant": variant})

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state, (b1, b2), lr = self.state[parameter], group["betas"], group["lr"]
        if not state:
            state["step"] = torch.zeros(())
            state["exp_avg"], state["exp_inf"] = torch.zeros_like(parameter), torch.zeros_like(parameter)
        state["step"] += 1
        mean, largest = state["exp_avg"], state["exp_inf"]
        mean.mul_(b1).add_(gradient, alpha=1 - b1)
        torch.maximum(largest.mul_(b2), gradient.abs(), out=largest)
        correction = torch.tensor(1 / (1 - b1 ** float(state["step"])), dtype=torch.float64)
        if group["variant"] == "released":
            largest.copy_(ap2(largest)).add_(_LEAST)
            parameter.addcdiv_(mean, largest, value=-float(ap2(lr * correction)))
        else:
            tiny = torch.finfo(largest.dtype).tiny  # below it, 1 / v would be infinite
            inverse = ap2(largest.reciprocal()).masked_fill_(largest < tiny, 0)
            parameter.addcmul_(mean, inverse, value=-lr * float(ap2(correction)))
