"""Whole accelerators side by side in one build, each against the golden model."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from farm import Farm
from numpy.typing import NDArray

from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding
from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.streams.axi import OutputAdapter
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.sim.component import run_bench

__all__ = ["accelerator_case", "run_farm"]


def accelerator_case(
    network: IntegerNetwork, folds: Folding, codes: NDArray[np.uint8], trace: golden.Trace, *, warm_up: int
) -> dict[str, object]:
    """What `bench_streams` sends and expects: input codes, and what the golden model made of them."""
    accelerator = Accelerator(network, folds)
    output = OutputAdapter(len(network.class_names), accelerator.score_params.score_bits)
    lanes, bits = accelerator.input_part.lanes, accelerator.input_part.bits
    answers = zip(trace.classes.tolist(), trace.scores.tolist(), strict=True)
    return {
        "sources": {"s_axis": [pack_frame(frame.ravel().tolist(), lanes, bits) for frame in codes]},
        "sinks": {"m_axis": [output.reference(winner, scores) for winner, scores in answers]},
        "frame_beats": 1,
        "bound": initiation_interval(network, folds),
        "warm_up": warm_up,
    }


def run_farm(
    designs: Mapping[str, tuple[IntegerNetwork, Folding]], cases: Mapping[str, object], folder: Path
) -> Mapping[str, str]:
    """Run the cases of the designs, under stalls and without; HardwareError if anything differs. The memory files."""
    file = folder / "cases.json"
    file.write_text(json.dumps(cases))
    parts = {name: _prefixed(name, *design) for name, design in designs.items()}
    memories = {name: text for part in parts.values() for name, text in part.memories.items()}
    parameters = {"cases": str(file)}
    run_bench(Farm(parts), "bench_streams", build_dir=folder, name="farm", parameters=parameters, memories=memories)
    return memories


def _prefixed(prefix: str, network: IntegerNetwork, folds: Folding) -> Accelerator:
    """The accelerator with `prefix_` before every name: the memory files of a farm lie in one folder."""
    nodes = tuple(
        replace(node, name=f"{prefix}_{node.name}", inputs=tuple(f"{prefix}_{name}" for name in node.inputs))
        for node in network.nodes
    )
    layers = {f"{prefix}_{name}": fold for name, fold in folds.layers.items()}
    return Accelerator(IntegerNetwork(nodes, network.class_names), Folding(layers, folds.score_lanes))
