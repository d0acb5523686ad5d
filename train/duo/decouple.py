"""From a coupled network to the decoupled one that computes the same (BinaryDuo, section 4.2).

Activations are integers here: a ternary one has the codes 0, 1, 2, twice the paper's 0, 1/2, 1, and is the sum of its
two binary ones. So the next layer's weights are W on both halves of its input, where the paper, whose activations go to
1, has W/2; its accumulators are the very same integers, the BatchNorm behind stays as it is, and weights of -1 and +1
stay what they are. In the paper's convention that BatchNorm's mean, deviation and root of eps would be half as large.
"""

from collections.abc import Mapping

from torch import Tensor, nn

from ...errors import UsageError
from .twins import Twins

__all__ = ["decouple", "decoupled_tensors", "fits_coupled"]


def fits_coupled(decoupled: nn.Module, tensors: Mapping[str, Tensor]) -> bool:
    """Whether a model has pairs of normalisations where those tensors have single ones."""
    twins = [name for name, module in decoupled.named_modules() if isinstance(module, Twins)]
    return bool(twins) and all(f"{name}.weight" in tensors for name in twins)


def decoupled_tensors(source: Mapping[str, Tensor], decoupled: nn.Module) -> dict[str, Tensor]:
    """The state of `decoupled` with which it computes what the network of state `source` does; both stay as they are.

    Modules correspond by their names, `Twins` to the BatchNorm of theirs. Both halves get its scale and statistics and
    its bias plus and minus the shift; a weight whose inputs are twice as many gets both halves alike; the rest is
    copied. UsageError where the two networks do not correspond.
    """
    wanted = decoupled.state_dict()
    twins = {name: module for name, module in decoupled.named_modules() if isinstance(module, Twins)}
    found: dict[str, Tensor] = {}
    for name, target in wanted.items():
        owner = next((twin for twin in twins if name.startswith(f"{twin}.")), None)
        half, sign, key = None, 0, name
        if owner is not None:
            half, _, rest = name.removeprefix(f"{owner}.").split(".", 2)
            sign, key = (1 if half == "low" else -1), f"{owner}.{rest}"
        if key not in source:
            raise UsageError(f"the networks do not correspond: the coupled one has no {key}")
        tensor = source[key]
        if owner is not None and key.endswith(".bias"):
            tensor = tensor + sign * twins[owner].shift
        if tensor.shape != target.shape:
            tensor = tensor.repeat(1, 2, *[1] * (tensor.dim() - 2)) if tensor.dim() > 1 else tensor
        if tensor.shape != target.shape:
            raise UsageError(
                f"the networks do not correspond: {name} is {tuple(target.shape)}, {key} {tuple(source[key].shape)}"
            )
        found[name] = tensor.clone()
    return found


def decouple(coupled: nn.Module, decoupled: nn.Module) -> nn.Module:
    """Give `decoupled` the state with which it computes what `coupled` does, and its mode; it is returned."""
    decoupled.load_state_dict(decoupled_tensors(coupled.state_dict(), decoupled))
    return decoupled.train(coupled.training)
