import pytest
from hypothesis import given
from hypothesis import strategies as st

from xnorflow.compiler.names import MAX_LENGTH, identifier, name_problem


@pytest.mark.parametrize("name", ["fc1", "act1", "fc_out", "scores", "a", "block_2_act"])
def test_plain_names_are_legal(name: str):
    assert name_problem(name) is None
    assert identifier(name, "fc", set()) == name


@pytest.mark.parametrize(
    "name",
    ["", "1fc", "Fc1", "fc__1", "fc1_", "_fc1", "fc-1", "fc.1", "fc1\n", "é", "module", "logic", "fc1_valid", "a" * 49],
)
def test_names_that_would_break_verilog_or_files_are_refused(name: str):
    assert name_problem(name) is not None


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("features.3", "features_3"),
        ("3", "fc3"),
        ("fc", "fc"),
        ("Encoder.FC1", "encoder_fc1"),
        ("reg", "fc_reg"),
        ("_private__layer_", "private_layer"),
        ("x.valid", "fc_x_valid_node"),
        ("", "fc"),
    ],
)
def test_qualified_paths_become_names(path: str, name: str):
    assert identifier(path, "fc", set()) == name


@given(st.text(max_size=80), st.lists(st.text(max_size=3), max_size=4))
def test_every_text_becomes_a_legal_name_of_its_own(text: str, others: list[str]):
    taken: set[str] = set()
    for path in [text, *others, text]:
        name = identifier(path, "act", taken)
        assert name_problem(name) is None and len(name) <= MAX_LENGTH
        assert name not in taken
        taken.add(name)
