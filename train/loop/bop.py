"""Bop, the optimizer that flips binary weights, and several optimizers as one."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, overload

import torch
from torch import Tensor

from ...errors import UsageError
from .parameterwise import ParameterWise

__all__ = ["Bop", "Together"]


class Bop(ParameterWise):
    """Latent Weights Do Not Exist (Helwegen et al. 2019, arXiv 1906.02107), algorithm 1. For a weight w of -1 or +1 and
    its gradient g,

        m = (1 - gamma) m + gamma g,   w = -w where |m| > threshold and sign(m) = sign(w)

    The weights given become their signs (+1 for 0). gamma is the group's learning rate `lr`, so that a schedule moves
    it as the paper does; 1e-4 falling tenfold twice and a threshold of 1e-8 are its values for CIFAR-10. Parameters
    that are not binary are another optimizer's: see `Together`.
    """

    def __init__(self, params: Iterable[Any], lr: float = 1e-4, threshold: float = 1e-8) -> None:
        if not 0 < lr <= 1:
            raise UsageError(f"gamma (lr) of Bop must be above 0 and at most 1, not {lr!r}")
        if not threshold >= 0:
            raise UsageError(f"threshold of Bop must not be negative, not {threshold!r}")
        super().__init__(params, {"lr": lr, "threshold": threshold})
        with torch.no_grad():
            for group in self.param_groups:
                for weight in group["params"]:
                    weight.copy_(torch.where(weight >= 0, 1.0, -1.0))

    def _move(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["exp_avg"] = torch.zeros_like(parameter)
        mean = state["exp_avg"].lerp_(gradient, group["lr"])
        parameter.copy_(torch.where(mean * parameter > group["threshold"], -parameter, parameter))


class Together(torch.optim.Optimizer):
    """Several optimizers, each with parameters of its own, as one: one step, one list of groups, one state."""

    def __init__(self, *optimizers: torch.optim.Optimizer) -> None:
        self.parts = optimizers
        super().__init__([group for part in optimizers for group in part.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Every part works on its share of the groups, and all on one state."""
        first = 0
        for part in self.parts:
            last = first + len(part.param_groups)
            part.param_groups, first = self.param_groups[first:last], last
            part.state = self.state

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """As every optimizer's."""
        super().load_state_dict(dict(state_dict))
        self._share()

    @overload
    def step(self, closure: None = None) -> None: ...

    @overload
    def step(self, closure: Callable[[], float]) -> float: ...

    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """One step of every part, by the gradients of one call of the closure, if there is one."""
        loss = None if closure is None else closure()
        for part in self.parts:
            part.step()
        return loss
