"""How long the state of a recurrent layer is under way, and what that makes of a step: the bound of its part.

The numbers are those of `hdl.recurrent` and `hdl.engine`, whose tests hold them against this.
"""

from math import lcm

from ..cost.activation_cost import search_is_cheaper
from ..folds.folding import LayerFold
from ..ir import Recurrent
from ..planes import DotForm

__all__ = ["CELL_LATENCY", "loop_latency", "return_cycles", "steps_cycles"]

CELL_LATENCY = 5
"""Of `hdl.lstm_cell`."""


def steps_cycles(node: Recurrent, fold: LayerFold, interleave: int, popcount_stages: int = 1) -> int:
    """Cycles that a step of every slot takes, S steps, one behind the other for ever.

    A step waits for the state of its slot's step before: max(S * NF * SF, NF * SF - SF + loop latency).
    """
    folds, size = fold.passes(_rows(node)), _beats(node, fold)
    return max(interleave * folds * size, (folds - 1) * size + loop_latency(node, fold, popcount_stages))


def loop_latency(node: Recurrent, fold: LayerFold, popcount_stages: int = 1) -> int:
    """Cycles from the issue of a vector's last step in the engine to that of the step that waits for the state."""
    gathers, buffered = fold.pe < node.gates, fold.passes(_rows(node)) > 1
    cell = CELL_LATENCY if node.gates > 1 else 0
    return _engine_latency(node, fold, popcount_stages) + gathers + cell + return_cycles(node, fold) + 1 + buffered


def return_cycles(node: Recurrent, fold: LayerFold) -> int:
    """Cycles that the last elements of h wait in the change from the lanes they come in to SIMD elements a beat."""
    lanes, simd, hidden = max(1, fold.pe // node.gates), fold.simd, node.hidden

    def last(group: int) -> int:
        return -(-(hidden - (-(-hidden // group) - 1) * group) // simd)

    if lanes == simd:
        return 0
    if lanes % simd == 0 or lanes >= hidden:
        return last(min(lanes, hidden)) - 1
    if simd % lanes == 0 or simd >= hidden:
        return 1
    return 1 + last(min(lcm(lanes, simd), hidden))


def _engine_latency(node: Recurrent, fold: LayerFold, popcount_stages: int) -> int:
    """Cycles from the issue of a fold's last step to its beat."""
    form, levels = DotForm.of(node.weights, node.type), int(node.thresholds.shape[1])
    powers = form.powers - form.activation_planes + form.activation_planes // fold.planes_in_time
    compare, rows, interval = 0, _rows(node), _beats(node, fold) * fold.planes_in_time
    if levels > 1:
        bits = (_beats(node, fold) * fold.simd * form.column_max + 1).bit_length()
        searches = search_is_cheaper(levels, bits, fold.pe, fold.neuron_folds(rows), interval, fold.memory)
        at_once = -(-levels // interval)
        compare = 1 + (levels.bit_length() if searches else -(-levels // at_once))
    return 1 + popcount_stages + (powers > 1) + 1 + compare + 1


def _rows(node: Recurrent) -> int:
    return int(node.weights.codes.shape[0])


def _beats(node: Recurrent, fold: LayerFold) -> int:
    """SF: beats of x and beats of h."""
    return -(-node.features // fold.simd) + -(-node.hidden // fold.simd)
