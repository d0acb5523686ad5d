"""Parameters of a recurrent layer: one frozen object, shared by hardware and Python reference."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...compiler.folds.folding import LayerFold, Popcount
from ...compiler.ir import Dense, Recurrent, Stage, Threshold
from ...compiler.ranges import acc_type
from ...compiler.recurrent import Cell, Lstm, RecurrentRun, initial_code
from ...compiler.schedule.recurrent_cycles import return_cycles
from ...compiler.types import CodeType, Weights
from ...errors import HardwareError
from ..dot.constants import engine_params
from ..dot.params import EngineParams
from ..streams.stream import frame_beats

__all__ = ["RecurrentParams", "recurrent_params"]


@dataclass(frozen=True, eq=False)
class RecurrentParams:
    """A recurrent layer: an engine on [x, h], an LSTM's cell behind it, and the way of the state back.

    node: what it computes. engine: on vectors of whole beats, first those of x, then those of h; pad columns count
    nothing. interleave: slots, each with a state of its own, that samples belong to in turn.
    """

    node: Recurrent
    engine: EngineParams
    interleave: int

    @property
    def name(self) -> str:
        """The node's."""
        return self.node.name

    @property
    def cell(self) -> Cell | None:
        """The LSTM's cell; None for an RNN."""
        return self.node.cell if isinstance(self.node, Lstm) else None

    @property
    def bits(self) -> int:
        """Bits of an element of x and h."""
        return self.node.type.bits

    @property
    def hidden(self) -> int:
        """H."""
        return self.node.hidden

    @property
    def initial(self) -> int:
        """The code of a state before the first sample."""
        return initial_code(self.node.type)

    @property
    def lanes(self) -> int:
        """Elements of h a beat."""
        return max(1, self.engine.fold.pe // self.node.gates)

    @property
    def output_beats(self) -> int:
        """Beats of h a step."""
        return frame_beats(self.hidden, self.lanes)

    @property
    def input_beats(self) -> int:
        """Beats of x a step."""
        return frame_beats(self.node.features, self.engine.fold.simd)

    @property
    def state_beats(self) -> int:
        """Beats a step in which h goes into the engine."""
        return frame_beats(self.hidden, self.engine.fold.simd)

    @property
    def gathers(self) -> bool:
        """Whether the engine yields less than a unit's gates a beat."""
        return self.engine.fold.pe < self.node.gates

    @property
    def return_cycles(self) -> int:
        """Cycles that the last elements of h wait in the change from `lanes` to SIMD elements a beat."""
        return return_cycles(self.node, self.engine.fold)

    def reference(self, codes: NDArray[np.uint8], last: NDArray[np.bool_]) -> NDArray[np.uint8]:
        """States (B, H) after samples (B, D), from reset on; last (B,): which of them end their sequences."""
        return RecurrentRun(self.node, self.interleave)(codes, last)


def recurrent_params(
    node: Recurrent,
    fold: LayerFold,
    interleave: int = 1,
    popcount: Popcount = Popcount.ADDERS,
    popcount_stages: int = 1,
) -> RecurrentParams:
    """The parameters of a node. HardwareError where PE does not take whole units."""
    if fold.pe % node.gates and node.gates % fold.pe:
        raise HardwareError(
            f"{node.name}: PE {fold.pe} splits the {node.gates} gates of a unit; 1, 2 or a multiple of 4 fits"
        )
    kind = replace(node.type, shape=(node.weights.codes.shape[1],))
    weights, thresholds = _in_whole_beats(node, kind, fold.simd)
    padded = replace(kind, shape=(weights.codes.shape[1],))
    dot = Dense(node.name, node.inputs, acc_type(weights, padded), weights)
    sink = Threshold(node.name, (node.name,), node.type, thresholds, node.descending)
    engine = engine_params(Stage(dot, sink, padded), fold, popcount, popcount_stages)
    return RecurrentParams(node, engine, interleave)


def _in_whole_beats(node: Recurrent, kind: CodeType, simd: int) -> tuple[Weights, NDArray[np.int64]]:
    """Weights with pad columns behind x and behind h, and the thresholds that go with them.

    Whatever a code 0 stands for, a pad column adds the same to every accumulator, and to every threshold.
    """
    codes = node.weights.codes
    of_inputs, of_state = codes[:, : node.features], codes[:, node.features :]
    parts = []
    for part in (of_inputs, of_state):
        pad = -part.shape[1] % simd
        parts += [part, np.full((len(codes), pad), node.weights.type.max_code, np.uint8)]
    weights = replace(node.weights, codes=np.concatenate(parts, axis=1))
    pads = weights.codes.shape[1] - codes.shape[1]
    highest = int(node.weights.type.values(np.array(node.weights.type.max_code)))
    return weights, node.thresholds + pads * highest * int(kind.values(np.array(0)))
