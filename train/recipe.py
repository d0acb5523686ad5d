"""Recipes: everything that decides a training run, as frozen dataclasses read from YAML. No torch here.

A recipe is a name of `list_recipes` or a path to a YAML file. An unknown key is an error that names the nearest
known one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import yaml

from ..config import dump_yaml, from_mapping, load_yaml, nearest, to_mapping
from ..errors import UsageError
from .data.datasets import DATASETS, DatasetInfo
from .models.spec import (
    ActivationSpec,
    BlockSpec,
    ConvSpec,
    GradientSpec,
    LayerSpec,
    ModelSpec,
    NetworkSpec,
    NormSpec,
    PreprocessSpec,
    RecurrentSpec,
    ResidualSpec,
    WeightSpec,
    code_bits,
    fill_by_kind,
    fraction,
    positive,
    unfill_by_kind,
)
from .schedule import ScheduleName, schedule_rate

__all__ = [
    "ActivationSpec",
    "AugmentSpec",
    "BlockSpec",
    "ConvSpec",
    "DuoSpec",
    "FolderSpec",
    "GradientSpec",
    "InputSpec",
    "LayerSpec",
    "ModelSpec",
    "NetworkSpec",
    "NormSpec",
    "OptimizerSpec",
    "PreprocessSpec",
    "Recipe",
    "RecurrentSpec",
    "ResidualSpec",
    "TeacherSpec",
    "WeightSpec",
    "list_recipes",
    "load_recipe",
    "recipe_yaml",
    "with_overrides",
]

_FOLDER = Path(__file__).parent / "recipes"
_MAX_THREADS = 1024  # torch dies without a word where the system refuses it a thread


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Quantization of the raw samples: 2^bits levels over [lo, hi], codes bipolar (odd integers) or unsigned."""

    bits: int
    lo: float
    hi: float
    encoding: Literal["bipolar", "unsigned"] = "bipolar"

    def __post_init__(self) -> None:
        code_bits(self.bits)
        if not self.lo < self.hi:
            raise UsageError(f"lo must be below hi, not {self.lo:g} and {self.hi:g}")


@dataclass(frozen=True, slots=True)
class OptimizerSpec:
    """Adam, SGD with Nesterov momentum, shift-based AdaMax (the paper's or the released code's, `loop.adamax`), or Bop
    (`loop.bop`) for binary weights and Adam for the rest; learning rate from lr to lr_final over the run.

    schedule: `schedule.schedule_rate` has the formulas. every: epochs between drops (step), of a cosine
    (warm-restarts), or without a new best validation accuracy before a drop (plateau). milestones: epochs behind which
    the rate drops. factor: of a drop.
    warmup: so many epochs, fractions too, in which the rate rises linearly from 0 to that of the schedule.
    lr_scale: glorot multiplies a layer's rate by s = 1 / sqrt(1.5 / (n_in + n_out)) (s^2 for SGD, AP2(s) for AdaMax);
    none by 1.
    betas: where they are not given, Adam's 0.9 and 0.999, of adamax the paper's 1 - 2^-3 and 1 - 2^-10.
    flip_rate, flip_threshold: Bop's gamma, which falls as the learning rate does, and threshold.
    weight_decay: of Adam and SGD, so many times each parameter is added to its gradient (latent weights among them).
    clip: gradients whose norm, of all parameters together, is above it are scaled down to it before a step.
    """

    lr: float
    lr_final: float | None = None
    kind: Literal["adam", "sgd", "adamax", "adamax-released", "bop"] = "adam"
    schedule: ScheduleName = "exponential"
    every: int | None = None
    milestones: tuple[int, ...] = ()
    factor: float = 0.1
    warmup: float = 0.0
    lr_scale: Literal["glorot", "none"] = "glorot"
    betas: tuple[float, float] | None = None
    eps: float = 1e-8
    momentum: float = 0.9
    weight_decay: float = 0.0
    clip: float | None = None
    flip_rate: float = 1e-4
    flip_threshold: float = 1e-8

    def __post_init__(self) -> None:
        fill_by_kind(self)
        assert self.betas is not None  # they follow from the kind
        positive(flip_rate=self.flip_rate, flip_threshold=self.flip_threshold)
        positive(lr=self.lr, eps=self.eps, clip=1 if self.clip is None else self.clip)
        fraction(momentum=self.momentum, betas=max(self.betas))
        fraction(betas=min(self.betas))
        positive(factor=self.factor, every=1 if self.every is None else self.every)
        for name, value in (("warmup", self.warmup), ("weight_decay", self.weight_decay)):
            if value < 0:
                raise UsageError(f"{name} must not be negative, not {value:g}")
        if self.weight_decay and self.kind not in ("adam", "sgd"):
            raise UsageError(f"weight_decay goes with kind: adam and sgd, not {self.kind}")
        if bool(self.milestones) != (self.schedule == "milestones"):
            raise UsageError("milestones goes with schedule: milestones, which needs some")
        if any(later <= earlier for earlier, later in pairwise((0, *self.milestones))):
            raise UsageError(f"milestones must be rising numbers of epochs, not {list(self.milestones)}")
        final, every = ("exponential", "cosine", "warm-restarts"), ("step", "warm-restarts", "plateau")
        for name, given, schedules in (("lr_final", self.lr_final, final), ("every", self.every, every)):
            if given is None and self.schedule in schedules:
                raise UsageError(f"schedule {self.schedule} needs {name}")
            if given is not None and self.schedule not in schedules:
                raise UsageError(
                    f"schedule {self.schedule} has no {name} (that goes with {', '.join(schedules)}): leave it out, or "
                    f"{name}: null"
                )
        if self.lr_final is not None and not (
            self.lr_final > 0 or (self.schedule != "exponential" and self.lr_final == 0)
        ):
            raise UsageError(f"lr_final must be positive, not {self.lr_final:g}")

    def rate(self, epoch: float, epochs: int = 1, accuracies: Sequence[float] = ()) -> float:
        """The learning rate where `epoch` epochs (fractions counted in) of the run are done.

        accuracies: on the validation samples, of the epochs that are done.
        """
        every = 1 if self.every is None else self.every
        rate = schedule_rate(
            self.schedule, self.lr, self.lr_final, every, self.factor, epoch, epochs, accuracies, self.milestones
        )
        return rate * min(1.0, epoch / self.warmup) if self.warmup else rate


@dataclass(frozen=True, slots=True)
class AugmentSpec:
    """Random distortion of training images: at most this rotation (degrees), scale, shear, shift (pixels); a crop that
    moves the image by at most so many whole pixels; flip: half of the images are mirrored."""

    rotate: float = 0.0
    scale: float = 0.0
    shear: float = 0.0
    shift: float = 0.0
    crop: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        fraction(scale=self.scale)
        limits = (("rotate", self.rotate), ("shear", self.shear), ("shift", self.shift), ("crop", self.crop))
        for name, value in limits:
            if value < 0:
                raise UsageError(f"{name} must not be negative, not {value:g}")


@dataclass(frozen=True, slots=True)
class FolderSpec:
    """A folder of pictures, `dataset: imagenet`: the side of the square that networks see, and how many classes."""

    size: int = 224
    classes: int = 1000

    def __post_init__(self) -> None:
        positive(size=self.size)
        if self.classes < 2:
            raise UsageError(f"folder.classes must be at least 2, not {self.classes}")


@dataclass(frozen=True, slots=True)
class TeacherSpec:
    """A finished run whose scores the network learns too (Hinton, Vinyals, Dean 2015, 1503.02531).

    The loss is (1 - weight) * loss + weight * temperature^2 * KL(softmax(teacher / temperature) ||
    softmax(scores / temperature)), the mean over the batch.
    """

    run: str
    temperature: float = 4.0
    weight: float = 0.5

    def __post_init__(self) -> None:
        positive(temperature=self.temperature)
        if not 0 < self.weight <= 1:
            raise UsageError(f"weight of the teacher must be above 0 and at most 1, not {self.weight:g}")


@dataclass(frozen=True, slots=True)
class DuoSpec:
    """BinaryDuo's second stage: the decoupled network is fine-tuned by this optimizer for so many epochs.

    baseline: a 1-bit network of as many parameters, to compare with.
    """

    epochs: int
    optimizer: OptimizerSpec
    baseline: ModelSpec | None = None

    def __post_init__(self) -> None:
        positive(epochs=self.epochs)


@dataclass(frozen=True, slots=True)
class Recipe:
    """A training run. precision bf16: matrix products of training in bfloat16, evaluation in float32; float64: all of
    training and its evaluation, for comparisons. duo: what `xnorflow train-duo` does behind it.

    accumulate: a step's batch goes through the network in so many parts, whose gradients add up: the same as in one,
    but that BatchNorm takes each part's statistics. Under torchrun each part is shared out among the processes, whose
    statistics are those of the whole part.
    init: a run whose best weights this one begins with, those of equal name and shape. teacher: distillation.
    gradients: quantized ones. folder: of a data set imagenet that is not ImageNet, or of another size.
    preprocess: what is done to samples on the host.
    evaluation: the weights of validation and test: the quantized ones, or the real ones as after stochastic
    training (BinaryConnect, section 2.6); the quantized ones are what a compiled network has in any case.

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
    duo: DuoSpec | None = None
    batch: int = 100
    loss: Literal["square-hinge", "cross-entropy"] = "square-hinge"
    label_smoothing: float = 0.0
    seed: int = 1
    precision: Literal["float32", "bf16", "float64"] = "float32"
    threads: int | None = None
    accumulate: int = 1
    init: str | None = None
    teacher: TeacherSpec | None = None
    folder: FolderSpec | None = None
    gradients: GradientSpec | None = None
    preprocess: PreprocessSpec | None = None
    evaluation: Literal["binary", "real"] = "binary"
    name: str = ""

    def __post_init__(self) -> None:
        positive(epochs=self.epochs, batch=self.batch, threads=1 if self.threads is None else self.threads)
        positive(accumulate=self.accumulate)
        fraction(label_smoothing=self.label_smoothing)
        if self.batch % self.accumulate or self.batch < 2 * self.accumulate:
            raise UsageError(
                f"batch must be at least 2 samples in each of {self.accumulate} equal parts, not {self.batch}: "
                "BatchNorm needs a variance"
            )
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
        if self.folder is not None and self.dataset != "imagenet":
            raise UsageError(f"folder goes with dataset: imagenet, not {self.dataset}")
        steps = self.info.steps
        if (self.model.recurrent is None) != (steps is None):
            raise UsageError(
                f"{self.dataset} is {'sequences' if steps else 'no sequences'}; model.recurrent goes with them"
            )
        recurrent = self.model.recurrent
        if self.gradients is not None and recurrent is not None and recurrent.arithmetic == "float":
            raise UsageError(
                "gradients: those of a float recurrent layer are torch's own; take model.recurrent.arithmetic: "
                "integer, or leave gradients out"
            )
        if self.preprocess is not None and self.model.recurrent is not None:
            raise UsageError(f"preprocess whitens pictures; {self.dataset} has none")
        if steps and self.batch % (steps * self.accumulate):
            raise UsageError(
                f"batch must be whole sequences, a multiple of {steps * self.accumulate}, not {self.batch}"
            )
        if self.augment is not None and len(self.info.shape) not in (2, 3):
            raise UsageError(f"augment distorts images (H, W) or (H, W, C); {self.dataset} has {self.info.shape}")

    @property
    def info(self) -> DatasetInfo:
        """What is known of the data set: shape, classes, sequences."""
        info = DATASETS[self.dataset]
        if self.folder is None:
            return info
        size, classes = self.folder.size, self.folder.classes
        return replace(info, shape=(size, size, 3), class_names=tuple(map(str, range(classes))))


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
    """The recipe with `a.b=value` texts applied (values read as YAML), then epochs and seed where given.

    What follows from the kind of the optimizer or normalisation (betas, ...) goes along when that changes.
    """
    tree = to_mapping(recipe)
    unfill_by_kind(tree)
    for text in overrides:
        _apply(tree, text)
    changed = from_mapping(Recipe, tree, "--set") if overrides else recipe
    if epochs is not None:
        changed = replace(changed, epochs=epochs)
    return changed if seed is None else replace(changed, seed=seed)


def _apply(tree: dict[str, Any], text: str) -> None:
    """Set one `a.b=value` in the plain values of a recipe.

    What is not set on the way (gradients, teacher, a layer of `layers`, ...) begins empty; `from_mapping` has the last
    word on all keys.
    """
    path, equals, value = text.partition("=")
    if not equals or not path:
        raise UsageError(f"--set takes KEY=VALUE such as optimizer.lr=0.001, not {text!r}")
    *parents, last = path.split(".")
    node = tree
    for depth, key in enumerate(parents, start=1):
        if node.get(key) is None:
            node[key] = {}
        node = node[key]
        if not isinstance(node, dict):
            raise UsageError(f"--set: {'.'.join(parents[:depth])} is a value and has no key {path.split('.')[depth]!r}")
    try:
        node[last] = yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise UsageError(f"--set: the value of {text!r} is not YAML") from error
