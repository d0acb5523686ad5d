"""Recipes: everything that decides a training run, as frozen dataclasses read from YAML. No torch here.

A recipe is a name of `list_recipes` or a path to a YAML file. An unknown key is an error that names the nearest
known one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import yaml

from ..config import dump_yaml, from_mapping, load_yaml, nearest, to_mapping
from ..errors import UsageError
from .datasets import DATASETS

__all__ = [
    "ActivationSpec",
    "AugmentSpec",
    "BlockSpec",
    "ConvSpec",
    "InputSpec",
    "ModelSpec",
    "NormSpec",
    "OptimizerSpec",
    "Recipe",
    "RecurrentSpec",
    "ResidualSpec",
    "WeightSpec",
    "list_recipes",
    "load_recipe",
    "recipe_yaml",
    "with_overrides",
]

_FOLDER = Path(__file__).parent / "recipes"
_MAX_WIDTH = 1 << 16  # with 8-bit codes the accumulators of the next layer stay exact in float32, below 2^24
_MAX_THREADS = 1024  # torch dies without a word where the system refuses it a thread


def _positive(**values: float) -> None:
    for name, value in values.items():
        if not value > 0:
            raise UsageError(f"{name} must be positive, not {value:g}")


def _fraction(**values: float) -> None:
    for name, value in values.items():
        if not 0 <= value < 1:
            raise UsageError(f"{name} must be at least 0 and below 1, not {value:g}")


def _code_bits(bits: int) -> None:
    if not 1 <= bits <= 8:
        raise UsageError(f"bits must be from 1 to 8, not {bits}")


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Quantization of the raw samples: 2^bits levels over [lo, hi], codes bipolar (odd integers) or unsigned."""

    bits: int
    lo: float
    hi: float
    encoding: Literal["bipolar", "unsigned"] = "bipolar"

    def __post_init__(self) -> None:
        _code_bits(self.bits)
        if not self.lo < self.hi:
            raise UsageError(f"lo must be below hi, not {self.lo:g} and {self.hi:g}")


@dataclass(frozen=True, slots=True)
class WeightSpec:
    """Weights: binary (deterministic), stochastic (BinaryConnect), ternary, float (no integer form), or of n bits:
    bipolar (odd integers), signed (with a zero), log (powers of two)."""

    kind: Literal["binary", "stochastic", "bipolar", "signed", "log", "ternary", "float"] = "binary"
    bits: int = 1

    def __post_init__(self) -> None:
        _code_bits(self.bits)
        if self.bits != 1 and self.kind not in ("bipolar", "signed", "log"):
            raise UsageError(
                f"bits {self.bits} needs kind: bipolar, signed or log; {self.kind} weights have none to choose"
            )


@dataclass(frozen=True, slots=True)
class ActivationSpec:
    """Activations: sign, stochastic sign, or codes of `bits` bits in steps of `step`: a ReLU, linear with a sign, the
    nearest power of two with a sign (log) or as a ReLU (log_relu)."""

    kind: Literal["sign", "stochastic", "relu", "linear", "log", "log_relu"] = "sign"
    bits: int = 1
    step: float = 1.0

    def __post_init__(self) -> None:
        _code_bits(self.bits)
        _positive(step=self.step)
        if self.bits != 1 and self.kind in ("sign", "stochastic"):
            raise UsageError(f"bits {self.bits} needs kind: relu, linear, log or log_relu; a {self.kind} has one bit")


@dataclass(frozen=True, slots=True)
class NormSpec:
    """BatchNorm: momentum of the running statistics (the papers' alpha), eps, bits of the integer score slopes."""

    momentum: float = 0.1
    eps: float = 1e-4
    score_bits: int = 16

    def __post_init__(self) -> None:
        _positive(momentum=self.momentum, eps=self.eps)
        if self.momentum > 1:
            raise UsageError(f"momentum must be at most 1, not {self.momentum:g}")
        if not 2 <= self.score_bits <= 24:
            raise UsageError(f"score_bits must be from 2 to 24, not {self.score_bits}")


@dataclass(frozen=True, slots=True)
class ConvSpec:
    """A convolution with normalisation and activation; square kernel and padding.

    pad_value: the integer outside the map, a value of the layer's input. pool: side and stride of a max-pool behind
    the activation, 0 for none.
    """

    channels: int
    kernel: int = 3
    stride: int = 1
    padding: int = 0
    pad_value: int = 0
    pool: int = 0

    def __post_init__(self) -> None:
        _positive(channels=self.channels, kernel=self.kernel, stride=self.stride)
        for name, value in (("padding", self.padding), ("pool", self.pool)):
            if value < 0:
                raise UsageError(f"{name} must not be negative, not {value}")


@dataclass(frozen=True, slots=True)
class RecurrentSpec:
    """A table of `embed` learned codes for each one-hot sample, and a recurrent layer of `hidden` units behind it.

    bits: of the codes and of the state. gate_bits, cell_bits, cell_point: an LSTM's, see `recurrent.CellSpec`.
    """

    kind: Literal["rnn", "lstm"]
    embed: int
    hidden: int
    bits: int = 4
    gate_bits: int = 4
    cell_bits: int = 10
    cell_point: int = 6

    def __post_init__(self) -> None:
        _positive(embed=self.embed, hidden=self.hidden)
        _code_bits(self.bits)


@dataclass(frozen=True, slots=True)
class BlockSpec:
    """A residual block: how many channels it yields, and by how much it shrinks the map."""

    channels: int
    stride: int = 1

    def __post_init__(self) -> None:
        _positive(channels=self.channels, stride=self.stride)


@dataclass(frozen=True, slots=True)
class ResidualSpec:
    """A convolution of `stem` channels, residual blocks with 1-bit convolutions, the sum of the map (`residual`).

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
        _positive(stem=self.stem, step=self.step, stem_kernel=self.stem_kernel, stem_stride=self.stem_stride)
        _code_bits(self.bits)
        if self.bits == 1 or not self.blocks:
            raise UsageError("residual needs at least one block and 2 bits; with 1 bit it would be a chain of signs")


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Convolutions, residual blocks or a recurrent layer, if any, then a multi-layer perceptron: widths of the hidden
    layers, and what stands in them."""

    hidden: tuple[int, ...]
    convs: tuple[ConvSpec, ...] = ()
    residual: ResidualSpec | None = None
    recurrent: RecurrentSpec | None = None
    weights: WeightSpec = field(default_factory=WeightSpec)
    activation: ActivationSpec = field(default_factory=ActivationSpec)
    norm: NormSpec = field(default_factory=NormSpec)
    dropout_input: float = 0.0
    dropout_hidden: float = 0.0

    def __post_init__(self) -> None:
        for width in self.hidden:
            _positive(hidden=width)
            if width > _MAX_WIDTH:
                raise UsageError(f"hidden must be at most {_MAX_WIDTH}, not {width}")
        _fraction(dropout_input=self.dropout_input, dropout_hidden=self.dropout_hidden)
        fronts = [name for name in ("convs", "residual", "recurrent") if getattr(self, name)]
        if len(fronts) > 1:
            raise UsageError(f"a model has one of convs, residual and recurrent, not {' and '.join(fronts)}")


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """Adam, or SGD with Nesterov momentum; learning rate from lr to lr_final over the run.

    schedule: exponential lr * (lr_final / lr)^t, cosine, or constant, with t from 0 to 1 over all steps.
    lr_scale: glorot multiplies a layer's rate by s = 1 / sqrt(1.5 / (n_in + n_out)) (Adam) or s^2 (SGD); none by 1.
    """

    lr: float
    lr_final: float | None = None
    kind: Literal["adam", "sgd"] = "adam"
    schedule: Literal["exponential", "cosine", "constant"] = "exponential"
    lr_scale: Literal["glorot", "none"] = "glorot"
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    momentum: float = 0.9

    def __post_init__(self) -> None:
        _positive(lr=self.lr, eps=self.eps)
        _fraction(momentum=self.momentum, betas=max(self.betas))
        _fraction(betas=min(self.betas))
        if (self.lr_final is None) != (self.schedule == "constant"):
            raise UsageError("lr_final goes with the schedules exponential and cosine, and they need it")
        if self.lr_final is not None and not (self.lr_final > 0 or (self.schedule == "cosine" and self.lr_final == 0)):
            raise UsageError(f"lr_final must be positive, not {self.lr_final:g}")

    def rate(self, t: float) -> float:
        """The learning rate at the fraction t of the run."""
        if self.lr_final is None:
            return self.lr
        if self.schedule == "cosine":
            return self.lr_final + (self.lr - self.lr_final) * (1 + math.cos(math.pi * t)) / 2
        return self.lr * math.pow(self.lr_final / self.lr, t)


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """Random affine distortion of training images: at most this rotation (degrees), scale, shear, shift (pixels)."""

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0

    def __post_init__(self) -> None:
        _fraction(scale=self.scale)
        for name, value in (("rotate", self.rotate), ("shear", self.shear), ("shift", self.shift)):
            if value < 0:
                raise UsageError(f"{name} must not be negative, not {value:g}")


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run. precision bf16: matrix products of training in bfloat16; evaluation is always float32.

    threads: CPU threads of torch (none: torch's own choice). The same weights come out again only with the same
    number, so the run records it. name: that of the file, where the file does not give one.
    """

    description: str
    dataset: str
    input: InputSpec
    model: ModelSpec
    optimizer: OptimizerSpec
    epochs: int
    augment: AugmentSpec | None = None
    batch: int = 100
    loss: Literal["square-hinge", "cross-entropy"] = "square-hinge"
    label_smoothing: float = 0.0
    seed: int = 1
    precision: Literal["float32", "bf16"] = "float32"
    threads: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        _positive(epochs=self.epochs, batch=self.batch, threads=1 if self.threads is None else self.threads)
        _fraction(label_smoothing=self.label_smoothing)
        if self.batch < 2:
            raise UsageError("batch must be at least 2: BatchNorm needs a variance")
        if self.threads is not None and self.threads > _MAX_THREADS:
            raise UsageError(f"threads must be at most {_MAX_THREADS}, not {self.threads}")
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"seed must be from 0 to 2^63 - 1, not {self.seed}")
        if self.label_smoothing and self.loss != "cross-entropy":
            raise UsageError("label_smoothing needs loss: cross-entropy")
        if self.dataset not in DATASETS:
            near = nearest(self.dataset, DATASETS)
            known = ", ".join(DATASETS)
            raise UsageError(f"dataset: unknown data set {self.dataset!r}; did you mean {near!r}? (known: {known})")
        steps = DATASETS[self.dataset].steps
        if (self.model.recurrent is None) != (steps is None):
            raise UsageError(
                f"{self.dataset} is {'sequences' if steps else 'no sequences'}; model.recurrent goes with them"
            )
        if steps and self.batch % steps:
            raise UsageError(f"batch must be whole sequences, a multiple of {steps}, not {self.batch}")
        if self.augment is not None and len(DATASETS[self.dataset].shape) != 2:
            raise UsageError(f"augment distorts grey images (H, W); {self.dataset} has {DATASETS[self.dataset].shape}")


def list_recipes() -> list[tuple[str, str]]:
    """(name, description in one line) of the recipes that come with the package, by name."""
    return [(path.stem, load_recipe(path).description) for path in sorted(_FOLDER.glob("*.yaml"))]


def load_recipe(name_or_path: str | Path) -> Recipe:
    """The recipe of that name, or of that YAML file; UsageError if there is none or it is wrong."""
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        return _named(from_mapping(Recipe, load_yaml(path), str(path)), path.stem)
    names = [p.stem for p in sorted(_FOLDER.glob("*.yaml"))]
    if str(name_or_path) not in names:
        near = nearest(str(name_or_path), names)
        raise UsageError(
            f"no recipe {str(name_or_path)!r}; did you mean {near!r}? (known: {', '.join(names)}, or a .yaml file)"
        )
    recipe = from_mapping(Recipe, load_yaml(_FOLDER / f"{name_or_path}.yaml"), f"recipe {name_or_path}")
    return _named(recipe, str(name_or_path))


def _named(recipe: Recipe, name: str) -> Recipe:
    return recipe if recipe.name else replace(recipe, name=name)


def recipe_yaml(recipe: Recipe) -> str:
    """The recipe as YAML text with every key, which `load_recipe` takes back."""
    return dump_yaml(to_mapping(recipe))


def with_overrides(
    recipe: Recipe, overrides: Sequence[str] = (), *, epochs: int | None = None, seed: int | None = None
) -> Recipe:
    """The recipe with `a.b=value` texts applied (values read as YAML), then epochs and seed where given."""
    tree = to_mapping(recipe)
    for text in overrides:
        _apply(tree, text)
    changed = from_mapping(Recipe, tree, "--set") if overrides else recipe
    if epochs is not None:
        changed = replace(changed, epochs=epochs)
    return changed if seed is None else replace(changed, seed=seed)


def _apply(tree: dict[str, Any], text: str) -> None:
    """Set one `a.b=value` in the plain values of a recipe; unknown last keys are left to `from_mapping`."""
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UsageError(f"--set takes KEY=VALUE such as optimizer.lr=0.001, not {text!r}")
    *parents, last = path.split(".")
    node: Any = tree
    for key in parents:
        if not isinstance(node, Mapping) or key not in node:
            known = ", ".join(node) if isinstance(node, Mapping) else "nothing below it"
            near = f"; did you mean {nearest(key, node)!r}?" if isinstance(node, Mapping) else ""
            raise UsageError(f"--set: unknown key {key!r} in {path!r}{near} (known: {known})")
        node = node[key]
    if not isinstance(node, dict):
        raise UsageError(f"--set: {'.'.join(parents)} is a value and has no key {last!r}")
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set: the value of {text!r} is not YAML") from error
