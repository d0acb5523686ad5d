"""The training section: accuracy and loss by epoch."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..train.loop.metrics import EpochRecord
from .charts import Series, line_chart

__all__ = ["Training", "training_charts"]


@dataclass(frozen=True, slots=True)
class Training:
    """The training section: a sentence and two charts."""

    text: str
    accuracy: str
    loss: str


def training_charts(records: Sequence[EpochRecord]) -> Training:
    """Accuracy and loss by epoch, the best validation epoch marked."""
    best = max(records, key=lambda r: r.merit)  # the first of equals, as the trainer chooses
    marker = (best.epoch, f"best: epoch {best.epoch}, {best.val_accuracy:.2%}")
    accuracy = line_chart(
        [
            Series("validation", "--one", [(r.epoch, 100 * r.val_accuracy) for r in records]),
            Series("training", "--three", [(r.epoch, 100 * r.train_accuracy) for r in records]),
        ],
        x_label="epoch",
        y_label="accuracy, %",
        marker=marker,
    )
    loss = line_chart(
        [Series("training loss", "--two", [(r.epoch, r.loss) for r in records])], x_label="epoch", y_label="loss"
    )
    seconds = sum(r.seconds for r in records)
    text = (
        f"{len(records)} epochs in {seconds:,.0f} s. The weights of epoch {best.epoch} are kept: the best on the "
        f"validation images, {best.val_accuracy:.2%}. The test images were read once, with these weights."
    )
    return Training(text, accuracy, loss)
