"""Residual blocks with convolutions of signs, as a rule with 1-bit weights, around a stream of wider codes.

The stream of Bi-Real Net (Liu et al., ECCV 2018, arXiv 1808.00278) carries real numbers past each binary convolution;
here it carries codes of n bits on one grid, so that the addition is one of small integers. With s = sign(BN(x)) and q
the clipped rounding to the grid (`LinearQuant`),

    y = q(x' + q(BN(conv3x3(s)))),    x' = x, or q(BN(conv1x1(s))) where the block changes width or size.

Every operand of the sum has been quantized with the same step, and the sum is clipped back to the grid.
"""

from collections import OrderedDict

from torch import Tensor, nn

from ...errors import UsageError
from ..layers.activations import LinearQuant
from ..layers.modules import QuantConv2d, SumPool2d
from ..recipe import ActivationSpec, NormSpec, ResidualSpec, WeightSpec
from .norms import build_norm
from .parts import build_activation, build_weights

__all__ = ["ResidualBlock", "residual_layers"]

_BINARY, _SIGN = WeightSpec(), ActivationSpec()


class ResidualBlock(nn.Module):
    """(B, channels, H, W) integers of n bits to (B, outputs, H / stride, W / stride), on the same grid.

    bits, step: of the grid, as of `LinearQuant`. norm: every BatchNorm in it. weights: of its convolutions. activation:
    the sign in front of them. UsageError if that is none.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        stride: int,
        bits: int,
        step: float,
        norm: NormSpec,
        weights: WeightSpec = _BINARY,
        activation: ActivationSpec = _SIGN,
    ) -> None:
        super().__init__()
        if activation.kind not in ("sign", "stochastic"):
            raise UsageError(
                f"residual blocks have signs: activation must be of kind sign or stochastic, not {activation.kind}; "
                "`layers` has others for fc1, ..."
            )

        def normalise(features: int) -> nn.Module:
            return build_norm(norm, features, maps=True)

        def convolve(kernel: int) -> QuantConv2d:
            weight, padding = build_weights(weights), kernel // 2
            return QuantConv2d(channels, outputs, kernel, weight=weight, stride=stride, padding=padding, pad_value=-1)

        self.sign_norm = normalise(channels)
        self.sign = build_activation(activation)
        self.conv = convolve(3)
        self.norm = normalise(outputs)
        self.act = LinearQuant(bits, step)
        self.shortcut: nn.Sequential | None = None
        if stride != 1 or outputs != channels:
            layers = OrderedDict(conv=convolve(1), norm=normalise(outputs), act=LinearQuant(bits, step))
            self.shortcut = nn.Sequential(layers)
        self.clip = LinearQuant(bits, 1.0)

    def forward(self, x: Tensor) -> Tensor:
        """Integers from -2^(bits-1) to 2^(bits-1) - 1."""
        sign = self.sign(self.sign_norm(x))
        branch = self.act(self.norm(self.conv(sign)))
        past = x if self.shortcut is None else self.shortcut(sign)
        clipped: Tensor = self.clip(past + branch)
        return clipped


def residual_layers(
    spec: ResidualSpec,
    channels: int,
    norm: NormSpec,
    weights: WeightSpec = _BINARY,
    activation: ActivationSpec = _SIGN,
) -> "OrderedDict[str, nn.Module]":
    """(B, channels, H, W) integers to (B, width, 1, 1) codes on the stream's grid.

    stem, stem_norm, stem_act, block_1, block_2, ..., then pool, pool_norm and pool_act: the sum of the whole map.
    weights: of all convolutions. norm, activation: as of `ResidualBlock`.
    """
    weight, padding = build_weights(weights), spec.stem_kernel // 2
    layers: OrderedDict[str, nn.Module] = OrderedDict()
    layers["stem"] = QuantConv2d(
        channels,
        spec.stem,
        spec.stem_kernel,
        weight=weight,
        stride=spec.stem_stride,
        padding=padding,
        pad_value=spec.pad_value,
    )
    layers["stem_norm"] = build_norm(norm, spec.stem, maps=True)
    layers["stem_act"] = LinearQuant(spec.bits, spec.step)
    width = spec.stem
    for index, block in enumerate(spec.blocks, start=1):
        layers[f"block{index}"] = ResidualBlock(
            width, block.channels, block.stride, spec.bits, spec.step, norm, weights, activation
        )
        width = block.channels
    layers["pool"] = SumPool2d()
    layers["pool_norm"] = build_norm(norm, width, maps=True)
    layers["pool_act"] = LinearQuant(spec.bits, spec.step)
    return layers
