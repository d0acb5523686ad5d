"""Which component each part of a plan becomes."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from ..compiler.folds.folding import Folding, Memory, Popcount
from ..compiler.ir import IntegerNetwork, Recurrent
from ..compiler.schedule.parts import (
    ActivationPart,
    AddPart,
    ConcatPart,
    ConverterPart,
    EnginePart,
    FifoPart,
    ForkPart,
    InputPart,
    Part,
    PoolPart,
    RecurrentPart,
    ResultPart,
    ScoresPart,
    WindowPart,
)
from .activations.constants import activation_params, requantize_params
from .activations.scores import ScoreUnit
from .activations.unit import StreamActivation, activation_unit
from .domains import score_domain, stream_domain
from .dot.constants import engine_params, popcount_domain, score_params
from .dot.engine import Engine
from .dot.params import ScoreParams
from .maps.line_depths import pool_params, window_params
from .maps.pool import Pool
from .maps.window import SlidingWindow
from .recurrent.layer import RecurrentLayer
from .recurrent.params import recurrent_params
from .streams.axi import InputAdapter, OutputAdapter
from .streams.broadcast import Broadcast
from .streams.buffer import StreamFifo
from .streams.converter import FrameWidthConverter
from .streams.join import StreamAdd, StreamConcat

__all__ = ["COMPONENTS", "Component", "Design", "with_buffers"]

Component: TypeAlias = (
    InputAdapter
    | FrameWidthConverter
    | SlidingWindow
    | Engine
    | Pool
    | StreamActivation
    | StreamAdd
    | StreamConcat
    | Broadcast
    | StreamFifo
    | RecurrentLayer
    | ScoreUnit
    | OutputAdapter
)

_BLOCK_FIFO = 4096  # bits from which on a FIFO of 128 beats and more is worth a block RAM


@dataclass(frozen=True, eq=False)
class Design:
    """What parts are built for.

    with_scores: whether results carry scores. popcount_stages: registers inside each popcount. depths: beats of the
    line buffers and FIFOs, by the part's name.
    """

    network: IntegerNetwork
    folding: Folding
    with_scores: bool
    popcount_stages: int
    depths: Mapping[str, int]

    @property
    def sequences(self) -> bool:
        """Whether frames are steps of sequences, which TLAST ends."""
        return any(isinstance(node, Recurrent) for node in self.network.nodes)

    @property
    def score_params(self) -> ScoreParams:
        """Of the score unit."""
        lanes, writable = self.folding.score_lanes, self.folding.rewritable
        return score_params(score_domain(self.network, self.folding), self.network.scores, lanes, writable=writable)


def _engine(part: EnginePart, design: Design) -> Engine:
    params = engine_params(part.stage, part.fold, design.folding.popcount, design.popcount_stages)
    if part.requantize is not None:
        domain, folds = popcount_domain(part.stage, part.fold), params.neuron_folds
        requantize = requantize_params(part.requantize, domain, name=part.name, pe=part.fold.pe, folds=folds)
        params = replace(params, requantize=requantize)
    return Engine(params)


def _activation(part: ActivationPart, design: Design) -> StreamActivation:
    domain = stream_domain(design.network, design.folding, part.source)
    folds = part.shape.beats // part.shape.pixels
    writable = design.folding.rewritable
    params = activation_params(part.node, domain, pe=part.shape.lanes, folds=folds, writable=writable)
    lut6 = design.folding.popcount is Popcount.LUT6
    return StreamActivation(activation_unit(params, lut6=lut6, writable=writable))


def _recurrent(part: RecurrentPart, design: Design) -> RecurrentLayer:
    return RecurrentLayer(
        recurrent_params(part.node, part.fold, part.interleave, design.folding.popcount, design.popcount_stages)
    )


def _fifo(part: FifoPart, design: Design) -> StreamFifo:
    width, depth = part.shape.lanes * part.shape.bits, design.depths[part.name]
    block = depth >= 128 and depth * width >= _BLOCK_FIFO
    return StreamFifo(width, depth=depth, memory=Memory.BLOCK if block else Memory.LUT)


def _result(part: ResultPart, design: Design) -> OutputAdapter:
    params = design.score_params
    score_bits = params.score_bits if design.with_scores else None
    return OutputAdapter(params.classes, score_bits, sequences=design.sequences)


COMPONENTS: Mapping[type[Part], Callable[[Any, Design], Component]] = {
    InputPart: lambda part, design: InputAdapter(
        part.elements, part.bits, lanes=part.lanes, sequences=design.sequences
    ),
    ConverterPart: lambda part, _: FrameWidthConverter(
        part.elements, part.bits, lanes_in=part.lanes_in, lanes_out=part.lanes_out
    ),
    WindowPart: lambda part, design: SlidingWindow(window_params(part), depth=design.depths[part.name]),
    EnginePart: _engine,
    PoolPart: lambda part, design: Pool(pool_params(part), depth=design.depths.get(part.name)),
    ActivationPart: _activation,
    AddPart: lambda part, _: StreamAdd(part),
    ConcatPart: lambda part, _: StreamConcat(part),
    ForkPart: lambda part, _: Broadcast(part.shape.lanes * part.shape.bits, consumers=part.readers),
    FifoPart: _fifo,
    RecurrentPart: _recurrent,
    ScoresPart: lambda _, design: ScoreUnit(design.score_params, with_scores=design.with_scores),
    ResultPart: _result,
}


def with_buffers(part: Part) -> bool:
    """Whether the depth of a buffer in the part's component depends on all the others."""
    return isinstance(part, WindowPart | FifoPart) or (isinstance(part, PoolPart) and part.window.overlaps)
