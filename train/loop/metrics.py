"""What a run records each epoch: one JSON line in metrics.jsonl, and curves at the end. No torch."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import BytesIO
from pathlib import Path

from ...config import from_mapping
from ...errors import DataError, UsageError
from ...files import atomic_write

__all__ = ["EpochRecord", "LayerRecord", "Measured", "append_record", "draw_curves", "read_metrics", "write_metrics"]


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """What an epoch did to a layer's weights.

    flips: the fraction whose code changed; None for float weights. dead: the fraction that stands, to the last bit,
    where it stood when the epoch began: no gradient came, or it stays pinned at the bound it is clipped to. weights:
    their number.
    """

    flips: float | None
    dead: float
    weights: int


@dataclass(frozen=True, slots=True)
class Measured:
    """What a network does on a split: the fraction of samples it classifies right, and for a text of tokens their mean
    negative log-likelihood in nats: exp(loss) is the perplexity, loss / ln 2 the bits a token."""

    accuracy: float
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch (counted from 1): mean loss and accuracy of the training steps, accuracy on the validation samples,
    learning rate of its last step, fraction of weight codes that changed, seconds of training and validation, and what
    became of each layer's weights. val_loss: `Measured.loss` on the validation samples; it then decides which epoch is
    best.
    """

    epoch: int
    loss: float
    train_accuracy: float
    val_accuracy: float
    lr: float
    flip_ratio: float
    seconds: float
    layers: Mapping[str, LayerRecord] = field(default_factory=dict)
    val_loss: float | None = None

    @property
    def merit(self) -> float:
        """The greatest is best: of the losses the least, else the greatest validation accuracy."""
        return self.val_accuracy if self.val_loss is None else -self.val_loss


def _line(record: EpochRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


def append_record(path: Path, record: EpochRecord) -> None:
    """Add one line."""
    with path.open("a", encoding="utf-8") as file:
        file.write(_line(record))


def write_metrics(path: Path, records: Sequence[EpochRecord]) -> None:
    """Replace the file by these records: no gap and no double after a resume."""
    atomic_write(path, "".join(_line(record) for record in records))


def read_metrics(path: Path) -> tuple[EpochRecord, ...]:
    """The records of a metrics.jsonl; DataError if it is missing or damaged."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
        return tuple(from_mapping(EpochRecord, json.loads(line), str(path)) for line in lines)
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, UsageError) as error:
        raise DataError(f"{path} is damaged: {error}") from error


def draw_curves(path: Path, records: Sequence[EpochRecord], title: str) -> None:
    """A PNG with loss and error, or perplexity, per epoch, the best validation epoch marked."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 3.6), layout="constrained")
    FigureCanvasAgg(figure)  # drawn without pyplot: no display, no global state
    left, right = figure.subplots(1, 2)
    epochs = [r.epoch for r in records]
    left.plot(epochs, [r.loss for r in records], color="#1f5fa8")
    left.set(xlabel="epoch", ylabel="training loss", yscale="log", title=title)
    best = max(records, key=lambda r: r.merit)  # the first of equals, as the trainer chooses
    if best.val_loss is None:
        what, unit = "error, %", " %"
        of_training = [100 * (1 - r.train_accuracy) for r in records]
        of_validation = [100 * (1 - r.val_accuracy) for r in records]
    else:
        what, unit = "perplexity", ""
        of_training = [math.exp(r.loss) for r in records]
        of_validation = [math.exp(r.val_loss or 0.0) for r in records]
    right.plot(epochs, of_training, color="#9ab8d8", label="training")
    right.plot(epochs, of_validation, color="#1f5fa8", label="validation")
    least = of_validation[records.index(best)]
    right.plot([best.epoch], [least], "o", color="#c8501e", label=f"best: epoch {best.epoch}, {least:.2f}{unit}")
    right.set(xlabel="epoch", ylabel=what)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.grid(alpha=0.3)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", dpi=120, metadata={"Software": None})
    atomic_write(path, buffer.getvalue())
