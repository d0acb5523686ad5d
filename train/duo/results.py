"""What the stages of BinaryDuo came to: accuracies over seeds, and differences pair by pair."""

from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ..data.datasets import Split
from ..loop.paired import Paired, hits, paired
from ..loop.runs import RunFolder
from .stages import STAGES, Stage

__all__ = ["DuoResults", "Gain", "duo_results"]

_GAINS: tuple[tuple[Stage, Stage], ...] = (
    ("baseline", "tuned"),
    ("baseline", "decoupled"),
    ("tuned", "decoupled"),
    ("coupled", "decoupled"),
)


@dataclass(frozen=True, slots=True)
class Gain:
    """What a stage is better than another, over the seeds that have both."""

    stage: Stage
    over: Stage
    seeds: tuple[str, ...]
    paired: Paired


@dataclass(frozen=True, slots=True)
class DuoResults:
    """accuracies: of each stage that is finished, seed by seed, on the split."""

    split: Split
    accuracies: dict[Stage, dict[str, float]]
    gains: tuple[Gain, ...]


def duo_results(folder: Path | str, split: Split = "validation", data_dir: Path | str | None = None) -> DuoResults:
    """The finished runs in a folder that `train_duo` filled; DataError if there is none."""
    root = Path(folder)
    found = {
        stage: {
            path.parent.name: hits(path, split, data_dir)
            for path in sorted(root.glob(f"seed*/{stage}"), key=lambda path: int(path.parent.name[4:]))
            if RunFolder(path).summary.exists()
        }
        for stage in STAGES
    }
    if not any(found.values()):
        raise DataError(f"{root} holds no finished stage of train-duo")
    gains = []
    for over, stage in _GAINS:
        seeds = tuple(seed for seed in found[stage] if seed in found[over])
        if seeds:
            both = paired([found[over][seed] for seed in seeds], [found[stage][seed] for seed in seeds])
            gains.append(Gain(stage, over, seeds, both))
    accuracies = {
        stage: {seed: float(right.mean()) for seed, right in runs.items()} for stage, runs in found.items() if runs
    }
    return DuoResults(split, accuracies, tuple(gains))
