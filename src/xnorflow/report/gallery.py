"""The gallery: images with the scores that the hardware gave them, and PyTorch's beside them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ..compiler import golden
from .charts import image_uri

if TYPE_CHECKING:
    from ..compiler.ir import IntegerNetwork
    from ..train.data.datasets import Samples

__all__ = ["Sample", "Score", "pick_samples", "sample_cards"]

SHOWN = 12
_BEST = 10
"""Of more than `SHOWN` classes a card lists so many, those with the highest scores."""


@dataclass(frozen=True, slots=True)
class Score:
    """One class of one sample. module: PyTorch's score as text, None without a training run."""

    name: str
    hardware: str
    module: str | None
    share: float
    winner: bool


@dataclass(frozen=True, slots=True)
class Sample:
    """One image with the scores that the hardware gave it. uri: None where samples are no images but vectors."""

    index: int
    uri: str | None
    label: str
    hardware: str
    module: str | None
    wrong: bool
    scores: tuple[Score, ...]


def pick_samples(classes: NDArray[np.integer], labels: NDArray[np.integer]) -> list[int]:
    """Which images to show: the first right one of each class in order, then the first wrong ones, up to twelve."""
    right = [int(np.flatnonzero((labels == c) & (classes == c))[0]) for c in np.unique(labels[classes == labels])]
    wrong = [int(i) for i in np.flatnonzero(classes != labels)]
    room = max(SHOWN - len(wrong[:4]), 0)
    return right[:room] + wrong[: SHOWN - len(right[:room])]


def sample_cards(
    network: "IntegerNetwork",
    samples: "Samples",
    chosen: Sequence[int],
    hardware_scores: NDArray[np.integer] | None,
    hardware_classes: NDArray[np.integer],
    run_dir: Path | None,
) -> tuple[Sample, ...]:
    """The chosen images with their scores; the golden model's where the hardware sends the class alone (None)."""
    images = samples.images[list(chosen)]
    if hardware_scores is None:
        scores = golden.run(network, network.input_codes(images), keep=()).scores
    else:
        scores = hardware_scores[list(chosen)].astype(np.int64)
    module = _module_scores(run_dir, images) if run_dir is not None else None
    names = [name if name.strip() else repr(name) for name in network.class_names]  # a blank is a class of text
    cards = []
    for k, index in enumerate(chosen):
        low, high = scores[k].min(), scores[k].max()
        winner = int(hardware_classes[index])
        listed = list(range(len(network.class_names)))
        if len(listed) > SHOWN:
            listed = sorted(np.argsort(-scores[k], kind="stable")[:_BEST].tolist())
        rows = tuple(
            Score(
                name=names[c],
                hardware=f"{int(scores[k, c]):,}",
                module=None if module is None else f"{module[k, c]:.4f}",
                share=round(100 * float(scores[k, c] - low) / max(float(high - low), 1.0), 1),
                winner=c == winner,
            )
            for c in listed
        )
        label = int(samples.labels[index])
        cards.append(
            Sample(
                index=index,
                uri=image_uri(images[k]) if images[k].ndim > 1 else None,
                label=names[label],
                hardware=names[winner],
                module=None if module is None else names[int(module[k].argmax())],
                wrong=winner != label,
                scores=rows,
            )
        )
    return tuple(cards)


def _module_scores(run_dir: Path, images: NDArray[np.generic]) -> NDArray[np.float64]:
    """PyTorch's outputs for raw images, in eval mode on the CPU."""
    import torch

    from ..train.loop.runs import load_run

    run = load_run(run_dir)
    with torch.no_grad():
        outputs = run.model(torch.from_numpy(images.reshape(-1, *run.input_shape)))
    values: NDArray[np.float64] = outputs.double().numpy()
    return values
