"""What differs in training on a text of tokens: streams, and losses instead of accuracies alone."""

import torch
from torch import Tensor, nn

from ..layers.sequences import streaming
from .losses import cross_entropy
from .metrics import Measured

__all__ = ["stream_order", "text_metrics"]

_STEPS = 50  # of each stream at a time


def stream_order(samples: int, steps: int, streams: int) -> Tensor:
    """The order (samples used,) in which `streams` equal pieces of a text are read side by side.

    A batch is a sequence of `steps` samples of each stream, stream behind stream; the next batch goes on. What does
    not fill the last batch is not used.
    """
    length = samples // streams
    order = torch.arange(streams)[:, None] * length + torch.arange(length // steps * steps)
    return order.view(streams, -1, steps).transpose(0, 1).flatten()


@torch.inference_mode()
def text_metrics(model: nn.Module, tokens: Tensor, labels: Tensor, length: int) -> Measured:
    """Of a text in streams of `length` samples one behind the other, each from an empty state to its end.

    tokens (B, 1), labels (B,). Eval mode on the model's device; the model comes back as it was.
    """
    training, streams = model.training, len(labels) // length
    model.eval()
    loss = torch.zeros((), dtype=torch.float64, device=labels.device)
    hits = torch.zeros((), dtype=torch.int64, device=labels.device)
    begin = torch.arange(streams, device=labels.device)[:, None] * length
    try:
        with streaming(model) as take:
            for start in range(0, length, _STEPS):
                steps = min(_STEPS, length - start)
                take(steps)
                chosen = (begin + torch.arange(start, start + steps, device=labels.device)).flatten()
                scores = model(tokens[chosen])
                loss += cross_entropy(scores, labels[chosen]) * len(chosen)
                hits += (scores.argmax(1) == labels[chosen]).sum()
    finally:
        model.train(training)
    return Measured(int(hits) / len(labels), float(loss) / len(labels))
