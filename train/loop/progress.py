"""How a training run tells of itself. No torch, so that a progress bar can be written without it."""

from typing import Protocol

from .metrics import EpochRecord

__all__ = ["Progress"]


class Progress(Protocol):
    """What a caller may want to see; the trainer itself prints nothing."""

    def start(self, first_epoch: int, epochs: int, steps: int) -> None:
        """Training begins with epoch `first_epoch` (from 1) of `epochs`, `steps` steps each."""

    def step(self, epoch: int, step: int) -> None:
        """Step `step` (from 1) of that epoch is done."""

    def epoch(self, record: EpochRecord) -> None:
        """An epoch is done and written."""

    def note(self, text: str) -> None:
        """Something worth knowing, in a sentence: what a warm start took, a layer that does not learn."""
