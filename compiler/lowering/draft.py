"""What `compile_module` would refuse, told before a network is trained for hours."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..ir import Node, Scores, Threshold
from ..types import AccType, CodeType
from .canonical import Canonical
from .module import Builder, check_example
from .trace import Site, trace

__all__ = ["check_module"]


def check_module(module: torch.nn.Module, example_input: Tensor | NDArray[np.generic]) -> None:
    """Raise the UnsupportedLayerError or UsageError of `compile_module` (parameters as there) for all that shows
    without a search for thresholds: layers without an integer form, shapes, paddings that are no codes, branches of
    different codes, accumulators that float32 does not hold, which are those of the present weights."""
    example = example_input if isinstance(example_input, Tensor) else torch.tensor(np.asarray(example_input))
    traced = trace(module)
    canonical = Canonical(traced)
    check_example(traced, canonical, example)
    builder = _Draft(traced, canonical)
    for site in traced.sites:
        builder.node(site, example)


class _Draft(Builder):
    """Nodes as far as the next ones ask for them: types, and weights; thresholds and scores are left open."""

    def threshold(self, site: Site, before: Node) -> Threshold:
        """The kind of the codes alone."""
        kind = CodeType(before.type.shape, *self.traced.code_kind(site))
        neurons = kind.shape[-1]
        return Threshold(site.name, (before.name,), kind, np.zeros((neurons, 0), np.int64), np.zeros(neurons, np.bool_))

    def scores(self, site: Site, before: Node) -> Scores:
        """Their number alone."""
        classes = before.type.size
        empty = np.zeros(classes, np.int64)
        return Scores(site.name, (before.name,), AccType((classes,), 0, 0), empty, empty)
