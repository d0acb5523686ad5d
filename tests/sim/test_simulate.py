"""A whole accelerator on the bench: right as it is, and every kind of damage found, named and kept as a waveform."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from xnorflow.compiler import golden
from xnorflow.compiler.ir import IntegerNetwork
from xnorflow.errors import DataError, ToolError, UsageError
from xnorflow.hdl.generate import load_design
from xnorflow.sim.session import BenchSession, Run
from xnorflow.sim.simulate import simulate
from xnorflow.sim.verdict import read_log
from xnorflow.sim.verilator import find_verilator

Samples = NDArray[np.uint8]


@pytest.fixture(scope="session")
def built(pristine: Path, samples: Samples) -> Path:
    """The pristine design with both models built (one of them for waveforms)."""
    simulate(pristine, raw_images=samples[:1])
    simulate(pristine, raw_images=samples[:1], waves=True)
    return pristine


@pytest.fixture
def design(built: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(built, tmp_path / "design", symlinks=True))


def test_equals_the_golden_model_at_the_bound(design: Path, samples: Samples, network: IntegerNetwork) -> None:
    result = simulate(design, raw_images=samples)
    assert (result.mismatches, result.first_mismatch, result.waveform) == (0, None, None)
    assert (result.images, result.layers_checked, result.modified) == (len(samples), 3, ())
    assert result.cycles_per_image == result.bound_cycles == 20
    assert result.steady is True
    assert result.latency_cycles is not None and result.latency_cycles > result.bound_cycles
    trace = golden.run(network, samples)
    assert np.array_equal(np.load(result.classes), trace.classes)
    assert np.array_equal(np.load(result.scores), trace.scores)
    stored = json.loads((design / "sim" / "result.json").read_text())
    assert stored["mismatches"] == 0 and stored["scores"] == "sim/scores.npy" and stored["steady"] is True


def test_stalls_change_the_timing_and_nothing_else(design: Path, samples: Samples) -> None:
    free = simulate(design, raw_images=samples)
    scores = np.load(free.scores)
    rates = set()
    for seed in (1, 2):
        result = simulate(design, raw_images=samples, stalls=seed)
        assert (result.mismatches, result.stalls, result.steady) == (0, seed, None)
        assert np.array_equal(np.load(result.scores), scores)
        rates.add(result.cycles_per_image)
    assert len(rates) == 2 and free.cycles_per_image not in rates


def test_results_alone(design: Path, samples: Samples) -> None:
    result = simulate(design, raw_images=samples, layers=False, images=3)
    assert (result.images, result.mismatches, result.layers_checked, result.steady) == (3, 0, 0, None)


def test_waves_of_a_run(design: Path, samples: Samples) -> None:
    result = simulate(design, raw_images=samples[:2], waves=True)
    assert result.waveform == design / "sim" / "waves.vcd"
    assert "act0_payload" in result.waveform.read_text()


def flip_weight(design: Path) -> str:
    path = design / "rtl" / "dense2_weights.hex"  # its counts show every change, thresholds need not
    words = path.read_text().splitlines()
    words[0] = words[0][:-1] + format(int(words[0][-1], 16) ^ 1, "x")
    path.write_text("\n".join(words) + "\n")
    return "scores"


def shift_thresholds(design: Path) -> str:
    path = design / "rtl" / "dense0_thresholds.hex"
    width = len(path.read_text().split()[0])
    path.write_text("".join(f"{0:0{width}x}\n" for _ in path.read_text().split()))
    return "act0"


def change_score(design: Path) -> str:
    path = design / "rtl" / "scores.hex"
    words = path.read_text().split()
    words[0] = format(int(words[0], 16) ^ 1, f"0{len(words[0])}x")
    path.write_text("\n".join(words) + "\n")
    return "result"


@pytest.mark.parametrize("damage", [flip_weight, shift_thresholds, change_score])
def test_a_changed_memory_is_found_and_traced(design: Path, samples: Samples, damage: Callable[[Path], str]) -> None:
    layer = damage(design)
    result = simulate(design, raw_images=samples)
    assert result.mismatches > 0 and result.first_mismatch is not None
    assert (result.first_mismatch.layer, result.first_mismatch.kind) == (layer, "wrong")
    assert result.first_mismatch.got != result.first_mismatch.expected
    assert len(result.modified) == 1
    assert result.waveform == design / "sim" / "first_mismatch.vcd"
    assert "act0_payload" in result.waveform.read_text()


def test_a_window_of_a_long_run_is_traced_alone(design: Path, samples: Samples) -> None:
    with BenchSession(load_design(design), find_verilator(), np.concatenate([samples] * 10)) as session:
        session.run_cocotb(Run(window=(7000, 7100)))
        log = session.log.read_text()
        stamps = [int(stamp) for stamp in re.findall(r"^#(\d+)$", session.trace.read_text(), re.MULTILINE)]
    assert "stop 7101 " in log
    edges = np.diff(stamps)
    assert (edges == 5000).all()  # picoseconds: half a cycle
    assert 2 * 100 <= len(stamps) <= 2 * 104


def test_a_dropped_beat_is_found(design: Path, samples: Samples) -> None:
    path = design / "rtl" / "accelerator.v"
    text = path.read_text()
    # The engine's fifth beat goes nowhere: the engine sees it taken, the next one never sees it.
    engine = ".o__valid(act0_valid)"
    assert text.count(engine) == 1
    lost = (
        "wire act0_offered; reg [7:0] act0_taken = 0; assign act0_valid = act0_offered & (act0_taken != 5);"
        "always @(posedge clk) if (act0_offered & act0_ready) act0_taken <= act0_taken + 1;"
    )
    text = text.replace(engine, ".o__valid(act0_offered)").replace(
        "  wire act0_valid;\n", f"  wire act0_valid; {lost}\n"
    )
    path.write_text(text)
    result = simulate(design, raw_images=samples[:8])
    assert result.mismatches > 0 and result.first_mismatch is not None
    assert result.first_mismatch.layer == "act0" and result.first_mismatch.image <= 1
    assert result.waveform is not None and result.waveform.is_file()
    assert result.modified == ("rtl/accelerator.v",)


def test_an_accelerator_that_hangs_is_given_up(design: Path, samples: Samples) -> None:
    path = design / "rtl" / "accelerator.v"
    text = path.read_text()
    assert text.count(".o__valid(act1_valid)") == 1
    path.write_text(text.replace(".o__valid(act1_valid)", ".o__valid()"))
    result = simulate(design, raw_images=samples[:8])
    assert result.first_mismatch is not None
    assert (result.first_mismatch.layer, result.first_mismatch.kind) == ("act1", "missing")
    assert (result.first_mismatch.image, result.first_mismatch.beat) == (0, 0)
    assert result.mismatches > 8 and result.cycles_per_image is None


@pytest.mark.parametrize(
    ("logic", "ready", "kind"),
    [
        # Results are offered every other cycle, whether they were taken or not.
        ("reg mark = 0; always @(posedge clk) mark <= ~mark; assign m_axis_tvalid = offered & mark;", "mark", "moved"),
        # Every result is delivered twice.
        (
            "reg mark = 0; always @(posedge clk) if (offered & m_axis_tready) mark <= ~mark;"
            "assign m_axis_tvalid = offered;",
            "mark",
            "extra",
        ),
    ],
)
def test_a_broken_output_port_is_found(design: Path, samples: Samples, logic: str, ready: str, kind: str) -> None:
    path = design / "rtl" / "accelerator.v"
    text = path.read_text()
    for old, new in [
        ("wire m_axis_tvalid;", f"wire m_axis_tvalid; wire offered; {logic}"),
        (".m_axis_tvalid(m_axis_tvalid)", ".m_axis_tvalid(offered)"),
        (".o__ready(m_axis_tready)", f".o__ready(m_axis_tready & {ready})"),
    ]:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text)
    with BenchSession(load_design(design), find_verilator(), samples[:1]) as session:
        session.run_cocotb(Run(stalls=3))  # whether it stalls or not, seed 3 does not take the result at once
        log = read_log(session.log, session.interface, images=1, layers=True)
    assert log.first is not None and log.mismatches > 0
    assert (log.first.layer, log.first.kind) == ("result", kind)


def test_verilog_that_does_not_build_is_one_line(design: Path, samples: Samples) -> None:
    path = design / "rtl" / "accelerator.v"
    path.write_text(path.read_text().replace("endmodule", "endmodul", 1))
    with pytest.raises(ToolError, match=r"Verilator failed: Error: .*accelerator\.v:\d+.*log: .*build\.log"):
        simulate(design, raw_images=samples)


def test_a_missing_memory_is_one_line(design: Path, samples: Samples) -> None:
    (design / "rtl" / "dense1_weights.hex").unlink()
    with pytest.raises(UsageError, match=r"lacks rtl/dense1_weights\.hex; generate it anew"):
        simulate(design, raw_images=samples)


@pytest.mark.parametrize(
    ("count", "images", "error", "message"),
    [
        (0, "all", UsageError, "at least one"),
        (5, 6, UsageError, "images must be 1 to 5 or all, not 6"),
        (5, 0, UsageError, "images must be 1 to 5 or all, not 0"),
    ],
)
def test_a_wrong_number_of_images(
    pristine: Path, samples: Samples, count: int, images: "int | str", error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        simulate(pristine, raw_images=samples[:count], images=images)  # type: ignore[arg-type]


def test_samples_of_another_shape(pristine: Path) -> None:
    with pytest.raises(DataError, match=r"takes images of shape \(44,\), not a batch of shape \(5, 43\)"):
        simulate(pristine, raw_images=np.zeros((5, 43), dtype=np.uint8))


def test_a_folder_that_is_no_design(tmp_path: Path, samples: Samples) -> None:
    with pytest.raises(UsageError, match="design folder"):
        simulate(tmp_path, raw_images=samples)
