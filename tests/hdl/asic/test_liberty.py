import itertools
from pathlib import Path

import numpy as np
import pytest
from small_library import write_library

from xnorflow.errors import UsageError
from xnorflow.hdl.asic.liberty import EnergyTable, load_liberty, truth_table, verilog_of


def test_what_a_library_says(tmp_path: Path) -> None:
    library = load_liberty(write_library(tmp_path))
    assert (library.name, library.volts, library.farads) == ("small", 2.0, 1e-12)
    assert set(library.cells) == {"INV", "BUF", "NAND", "XOR2", "FA", "DFF"}  # neither latch nor reset
    flip_flop = library.cells["DFF"]
    assert (flip_flop.clock, flip_flop.data, flip_flop.area) == ("CK", "D", 8)
    assert flip_flop.pins["CK"].transition_energy(0, 0.1) == 0.25  # the mean of rising and falling
    assert flip_flop.pins["D"].transition_energy(0, 0.1) == 0
    nand = library.cells["NAND"]
    assert (nand.inputs, nand.outputs, nand.pins["A"].capacitance) == (("A", "B"), ("Y",), 0.5)
    adder = library.full_adder()
    assert adder is not None
    assert (adder[0].name, adder[1], adder[2]) == ("FA", "S", "CO")


def test_energies_lie_on_lines_between_points_and_end_where_the_table_ends(tmp_path: Path) -> None:
    pin = load_liberty(write_library(tmp_path)).cells["INV"].pins["Y"]
    assert [pin.transition_energy(load, 0.1) for load in (-1, 0, 0.5, 1, 9)] == [0.25, 0.25, 0.5, 0.75, 0.75]
    points = (np.array([0.0, 2.0, 6.0]), np.array([1.0, 3.0]))
    table = EnergyTable(((True, points[0]), (False, points[1])), np.array([[0.0, 2.0], [4.0, 6.0], [12.0, 14.0]]))
    for load, slew in itertools.product((0, 1, 2, 5, 6), (1, 1.5, 3)):
        assert table.at(load, slew) == pytest.approx(2 * load + slew - 1, rel=1e-12)


@pytest.mark.parametrize(
    ("function", "python"),
    [
        ("!A", lambda a, b, c: not a),
        ("A'", lambda a, b, c: not a),
        ("(A B)'", lambda a, b, c: not (a and b)),
        ("A B + C", lambda a, b, c: (a and b) or c),
        ("A*(B+C)", lambda a, b, c: a and (b or c)),
        ("!A B", lambda a, b, c: not a and b),
        ("A & B | C'", lambda a, b, c: (a and b) or not c),
        ("A B ^ C", lambda a, b, c: a and (b != c)),  # XOR binds tighter than AND
        ("((A^B)^C)", lambda a, b, c: (a != b) != c),
        ("(!((A B)+(!C A)))", lambda a, b, c: not ((a and b) or (not c and a))),
        ("A + 1", lambda a, b, c: True),
    ],
)
def test_functions(function: str, python: object) -> None:
    assert callable(python)
    expected = [int(bool(python(k & 1, k >> 1 & 1, k >> 2 & 1))) for k in range(8)]
    assert list(truth_table(function, ("A", "B", "C"))) == expected


@pytest.mark.parametrize("function", ["", "A +", "(A B", "A B)", "D", "A # B", "()"])
def test_functions_that_cannot_be_read(function: str) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        verilog_of(function, {"A": "a", "B": "b"})


def test_files_that_are_no_library(tmp_path: Path) -> None:
    file = tmp_path / "x.lib"
    with pytest.raises(UsageError, match="cannot read"):
        load_liberty(file)
    whole = write_library(tmp_path).read_text()
    for text in ("", "nonsense", whole[: len(whole) // 2], whole.replace("capacitive_load_unit", "other")):
        file.write_text(text)
        with pytest.raises(UsageError, match="not a liberty file"):
            load_liberty(file)
    file.write_text(whole.replace("ff (IQ", "other (IQ"))
    with pytest.raises(UsageError, match="needs flip-flops"):
        load_liberty(file)
