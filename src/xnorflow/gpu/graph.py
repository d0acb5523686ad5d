"""A computation on a GPU as one CUDA graph: one launch where there were dozens."""

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["Graph"]

WARM_UP = 2  # passes before the capture, in which machine code is loaded and memory found; neither may happen within


class Graph:
    """`forward` of bytes uint8 of that shape and a table uint8 (256,), captured on its first use.

    forward: (bytes, table) to tensors by name, all on the device, with shapes that do not depend on what is in them.
    """

    def __init__(
        self, forward: Callable[[Tensor, Tensor], dict[str, Tensor]], device: torch.device, shape: tuple[int, ...]
    ) -> None:
        self._device = device
        with torch.cuda.device(device), torch.inference_mode():
            self._bytes = torch.zeros(shape, dtype=torch.uint8, device=device)
            self._table = torch.zeros(256, dtype=torch.uint8, device=device)
            current, aside = torch.cuda.current_stream(), torch.cuda.Stream()
            aside.wait_stream(current)
            with torch.cuda.stream(aside):
                for _ in range(WARM_UP):
                    forward(self._bytes, self._table)
            current.wait_stream(aside)
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._found = forward(self._bytes, self._table)

    def replay(self, block: Tensor, table: Tensor) -> dict[str, Tensor]:
        """The tensors for a block of at most as many samples, and rubbish for the rest; good until the next replay."""
        with torch.cuda.device(self._device), torch.inference_mode():
            self._bytes[: len(block)].copy_(block)
            self._table.copy_(table)
            self._graph.replay()
        return self._found

    def again(self) -> None:
        """The same once more, with what is there."""
        with torch.cuda.device(self._device):
            self._graph.replay()
