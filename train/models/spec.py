"""What a recipe says about the network: layers, and what weights and activations they have. No torch here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from ...config import nearest
from ...errors import UsageError

if TYPE_CHECKING:
    from ..recipe import OptimizerSpec

__all__ = [
    "ActivationSpec",
    "BlockSpec",
    "ConvSpec",
    "GradientSpec",
    "LayerSpec",
    "ModelSpec",
    "NetworkSpec",
    "NormSpec",
    "PreprocessSpec",
    "RecurrentSpec",
    "ResidualSpec",
    "WeightSpec",
    "code_bits",
    "fill_by_kind",
    "fraction",
    "positive",
    "unfill_by_kind",
]

_MAX_WIDTH = 1 << 16  # with 8-bit codes the accumulators of the next layer stay exact in float32, below 2^24


def positive(**values: float) -> None:
    """UsageError naming the first value that is not above 0."""
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name} must be positive, not {value:g}")


def fraction(**values: float) -> None:
    """UsageError naming the first value that is not from 0 to below 1."""
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UsageError(f"{name} must be at least 0 and below 1, not {value:g}")


def code_bits(bits: int) -> None:
    """UsageError unless the width is one that codes have."""
    if not 1 <= bits <= 8:
        raise UsageError(f"bits must be from 1 to 8, not {bits}")


def _check_bits(kind: str, bits: int, limits: Mapping[str, tuple[int, int]]) -> None:
    """UsageError unless codes of that kind can have so many bits: 1 to 8, where `limits` says nothing else."""
    least, most = limits.get(kind, (1, 8))
    if not least <= bits <= most:
        reason = "; 1 bit is the sign" if bits == 1 else "; powers of two go up to 2^15" if most < 8 else ""
        raise UsageError(f"bits must be from {least} to {most} for kind: {kind}, not {bits}{reason}")


_BY_KIND: Mapping[str, Mapping[str, object]] = {
    "batch": {"momentum": 0.1, "eps": 1e-4},
    "shift": {"momentum": 0.125, "eps": 1e-5},
    "adam": {"betas": (0.9, 0.999)},
    "sgd": {"betas": (0.9, 0.999)},
    "adamax": {"betas": (1 - 2.0**-3, 1 - 2.0**-10)},
    "adamax-released": {"betas": (0.9, 0.999)},
    "bop": {"betas": (0.9, 0.999)},
}
"""What follows from the kind of a normalisation or an optimizer where a recipe does not say it."""


def fill_by_kind(spec: "NormSpec | OptimizerSpec") -> None:
    """Give a new spec what follows from its kind, where it is None; afterwards it is not."""
    for name, value in _BY_KIND[spec.kind].items():
        if getattr(spec, name) is None:
            object.__setattr__(spec, name, value)


def unfill_by_kind(tree: object) -> None:
    """Set to None, in a recipe's plain values, what would follow from a kind: so another kind brings its own."""
    if isinstance(tree, dict):
        for name, value in _BY_KIND.get(str(tree.get("kind")), {}).items():
            if tree.get(name) == (list(value) if isinstance(value, tuple) else value):
                tree[name] = None
        for below in tree.values():
            unfill_by_kind(below)


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """Weights: binary (deterministic), stochastic (BinaryConnect), ternary, float (no integer form), or of n bits:
    bipolar (odd integers), signed (with a zero), log (powers of two)."""

    kind: Literal["binary", "stochastic", "bipolar", "signed", "log", "ternary", "float"] = "binary"
    bits: int = 1

    def __post_init__(self) -> None:
        _check_bits(self.kind, self.bits, {"signed": (2, 8), "log": (1, 5)})
        if self.bits != 1 and self.kind not in ("bipolar", "signed", "log"):
            raise UsageError(
                f"bits {self.bits} needs kind: bipolar, signed or log; {self.kind} weights have none to choose"
            )


@dataclass(frozen=True, slots=True)
class ActivationSpec:
    """Activations: sign, stochastic sign, or codes of `bits` bits in steps of `step`: a ReLU, linear with a sign, the
    nearest power of two with a sign (log) or as a ReLU (log_relu); or float: a ReLU without codes, for `--int8`.

    BinaryDuo's on [0, step]: ternary, the codes 0, 1, 2 with thresholds at step / 4 and 3 step / 4; decoupled, two
    1-bit activations with those thresholds, each with a BatchNorm of its own, so that the channels are twice as many.

    surrogate: what stands for the slope of a sign backward (`layers.surrogates`).
    """

    kind: Literal["sign", "stochastic", "relu", "linear", "log", "log_relu", "float", "ternary", "decoupled"] = "sign"
    bits: int = 1
    step: float = 1.0
    surrogate: Literal["clipped", "identity", "approx-sign", "swish-sign", "reste"] = "clipped"

    def __post_init__(self) -> None:
        _check_bits(self.kind, self.bits, {"linear": (2, 8), "log": (1, 5), "log_relu": (1, 4)})
        positive(step=self.step)
        if self.surrogate != "clipped" and self.kind not in ("sign", "stochastic"):
            raise UsageError(f"surrogate {self.surrogate} stands for the slope of a sign; {self.kind} has its own")
        if self.bits != 1 and self.kind in ("sign", "stochastic", "float", "ternary", "decoupled"):
            raise UsageError(
                f"bits {self.bits} needs kind: relu, linear, log or log_relu; {self.kind} has none to choose"
            )


@dataclass(frozen=True, slots=True)
class GradientSpec:
    """Gradients of `bits` bits in the backward pass of every dense layer, convolution and recurrent layer, on a linear
    grid or powers of two (log): `layers.gradients`."""

    kind: Literal["linear", "log"] = "linear"
    bits: int = 6

    def __post_init__(self) -> None:
        code_bits(self.bits)
        if self.kind == "log" and self.bits == 1:
            raise UsageError("bits of log gradients must be from 2 to 8: a sign and an exponent")


@dataclass(frozen=True, slots=True)
class PreprocessSpec:
    """Contrast normalisation and ZCA whitening of the raw samples, on the host (`layers.whitening`), fitted on the
    training samples. The model's input then quantizes what that yields, some -5 to 5. No network file holds it."""

    gcn_bias: float = 10.0
    zca_bias: float = 0.1

    def __post_init__(self) -> None:
        positive(gcn_bias=self.gcn_bias, zca_bias=self.zca_bias)


@dataclass(frozen=True, slots=True)
class NormSpec:
    """BatchNorm, or BNN's shift-based one (kind: shift, `layers.shift_norms`): momentum of the running statistics (the
    papers' alpha), eps, bits of the integer score slopes.

    momentum, eps: where they are not given, 0.1 and 1e-4, of shift the released code's 1/8 and 1e-5.
    """

    kind: Literal["batch", "shift"] = "batch"
    momentum: float | None = None
    eps: float | None = None
    score_bits: int = 16

    def __post_init__(self) -> None:
        fill_by_kind(self)
        assert self.momentum is not None and self.eps is not None  # they follow from the kind
        positive(momentum=self.momentum, eps=self.eps)
        if self.momentum > 1:
            raise UsageError(f"momentum must be at most 1, not {self.momentum:g}")
        if not 2 <= self.score_bits <= 24:
            raise UsageError(f"score_bits must be from 2 to 24, not {self.score_bits}")


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """A convolution with normalisation and activation; square kernel and padding.

    pad_value: the integer outside the map, a value of the layer's input. pool: side and stride of a max-pool, 0 for
    none; behind the activation, or in front of the normalisation as in BinaryConnect and BinaryDuo (pool_first).
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0
    pad_value: int = 0
    pool: int = 0
    pool_first: bool = False

    def __post_init__(self) -> None:
        positive(channels=self.channels, kernel=self.kernel, stride=self.stride)
        for name, value in (("padding", self.padding), ("pool", self.pool)):
            if value < 0:
                raise UsageError(f"{name} must not be negative, not {value}")


@dataclass(frozen=True, slots=True)
class LayerSpec:
    """What a layer has of its own: its weights, the activation behind it. None: the model's."""

    weights: WeightSpec | None = None
    activation: ActivationSpec | None = None


@dataclass(frozen=True, slots=True)
class RecurrentSpec:
    """A table of `embed` learned codes for each one-hot sample, and a recurrent layer of `hidden` units behind it.

    bits: of the codes and of the state. gate_bits, cell_bits, cell_point: an LSTM's, see `recurrent.CellSpec`.
    arithmetic: float is torch's layer and a table of floats, the twin that has no integer form.
    """

    kind: Literal["rnn", "lstm"]
    embed: int
    hidden: int
    bits: int = 4
    gate_bits: int = 4
    cell_bits: int = 10
    cell_point: int = 6
    arithmetic: Literal["integer", "float"] = "integer"

    def __post_init__(self) -> None:
        positive(embed=self.embed, hidden=self.hidden)
        code_bits(self.bits)


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """A residual block: how many channels it yields, and by how much it shrinks the map."""

    channels: int
    stride: int = 1

    def __post_init__(self) -> None:
        positive(channels=self.channels, stride=self.stride)


@dataclass(frozen=True, slots=True)
class ResidualSpec:
    """A convolution of `stem` channels, residual blocks with convolutions of signs, the sum of the map (`residual`).

    bits, step: the grid of the codes that pass the blocks. pad_value: what stands outside the input's map, a value of
    the model's input.
    """

    stem: int
    blocks: tuple[BlockSpec, ...]
    bits: int = 4
    step: float = 0.5
    stem_kernel: int = 3
    stem_stride: int = 1
    pad_value: int = 0

    def __post_init__(self) -> None:
        positive(stem=self.stem, step=self.step, stem_kernel=self.stem_kernel, stem_stride=self.stem_stride)
        code_bits(self.bits)
        if self.bits == 1 or not self.blocks:
            raise UsageError("residual needs at least one block and 2 bits; with 1 bit it would be a chain of signs")


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """A network of the papers by its name, see `models.networks`.

    width: what all channels are multiplied by. widths: instead, the channels one by one (`networks.WIDTHS` has the
    usual ones). ends: the weights of the first and last layer and of a residual network's shortcuts. float, and
    ReLU in front of the last layer, is how XNOR-Net, Bi-Real Net and BinaryDuo have it.
    """

    name: Literal["alexnet", "googlenet", "resnet18", "resnet20"]
    width: float = 1.0
    widths: tuple[int, ...] = ()
    ends: WeightSpec = field(default_factory=lambda: WeightSpec("float"))

    def __post_init__(self) -> None:
        positive(width=self.width)
        for width in self.widths:
            positive(widths=width)
        if self.widths and self.width != 1.0:
            raise UsageError("network has width or widths, not both")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Convolutions, residual blocks or a recurrent layer, if any, then a multi-layer perceptron: widths of the hidden
    layers, and what stands in them. Or a network by its name, whose hidden is empty.

    weights, activation: of all layers; layers: of single ones (conv1, ..., fc1, ...) instead, for mixed precision.
    """

    hidden: tuple[int, ...]
    convs: tuple[ConvSpec, ...] = ()
    residual: ResidualSpec | None = None
    recurrent: RecurrentSpec | None = None
    network: NetworkSpec | None = None
    weights: WeightSpec = field(default_factory=WeightSpec)
    activation: ActivationSpec = field(default_factory=ActivationSpec)
    layers: Mapping[str, LayerSpec] = field(default_factory=dict)
    norm: NormSpec = field(default_factory=NormSpec)
    dropout_input: float = 0.0
    dropout_hidden: float = 0.0

    def __post_init__(self) -> None:
        for width in self.hidden:
            positive(hidden=width)
            if width > _MAX_WIDTH:
                raise UsageError(f"hidden must be at most {_MAX_WIDTH}, not {width}")
        fraction(dropout_input=self.dropout_input, dropout_hidden=self.dropout_hidden)
        fronts = [name for name in ("convs", "residual", "recurrent", "network") if getattr(self, name)]
        if len(fronts) > 1:
            raise UsageError(f"a model has one of convs, residual, recurrent and network, not {' and '.join(fronts)}")
        if self.network is not None and (self.hidden or self.layers or self.dropout_input):
            raise UsageError(f"a model with network {self.network.name} has no hidden, layers or dropout_input")
        names = [f"conv{i}" for i, _ in enumerate(self.convs, start=1)]
        names += [f"fc{i}" for i in range(1, len(self.hidden) + 2)]
        for name, layer in self.layers.items():
            if name not in names:
                raise UsageError(
                    f"layers: no layer {name!r}; did you mean {nearest(name, names)!r}? (known: {', '.join(names)})"
                )
            if name == names[-1] and layer.activation is not None:
                raise UsageError(f"layers: {name} yields the scores; no activation stands behind it")

    def weights_of(self, layer: str) -> WeightSpec:
        """Of a convolution or dense layer, by its name."""
        own = self.layers.get(layer, LayerSpec()).weights
        return self.weights if own is None else own

    def activation_of(self, layer: str) -> ActivationSpec:
        """Behind a convolution or dense layer, by its name."""
        own = self.layers.get(layer, LayerSpec()).activation
        return self.activation if own is None else own
