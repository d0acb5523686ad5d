"""Manifests by hand: whatever is changed in one is one line."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from random_conv_networks import Conv, random_conv_network

from xnorflow.boards.loader import load_board
from xnorflow.compiler.folds.solver import fold_for_cycles
from xnorflow.errors import UsageError
from xnorflow.hdl.generate import load_design, write_design
from xnorflow.hdl.manifest import load_manifest, manifest_text


@pytest.fixture(scope="module")
def design(tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = random_conv_network((4, 4, 2), [Conv(3, (2, 2))])
    folder = tmp_path_factory.mktemp("manifest") / "design"
    return write_design(network, fold_for_cycles(network, 1 << 12), folder, board=load_board("icebreaker")).path


@given(st.data())
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_one_thing_changed_is_one_line(design: Path, data: st.DataObject) -> None:
    path = design / "manifest.json"
    plain: dict[str, Any] = json.loads(path.read_text())
    changed = design.parent / "changed.json"
    wrong = data.draw(mutated(plain).filter(lambda wrong: wrong != plain))  # 1.0 for 1, say, is nothing wrong
    changed.write_text(json.dumps(wrong))
    with pytest.raises(UsageError) as caught:
        load_manifest(changed)
    assert "\n" not in str(caught.value) and str(changed) in str(caught.value)


def test_a_manifest_is_read_as_it_was_written(design: Path) -> None:
    path = design / "manifest.json"
    assert manifest_text(load_manifest(path)) == path.read_text()
    pretty = design.parent / "pretty.json"
    pretty.write_text(json.dumps(json.loads(path.read_text()), sort_keys=True))
    assert load_manifest(pretty) == load_manifest(path)


@pytest.mark.parametrize("name", ["network.safetensors", "folding.yaml"])
def test_what_the_design_was_made_of_must_be_there(design: Path, name: str) -> None:
    content = (design / name).read_bytes()
    try:
        (design / name).write_bytes(content + b"\n")
        with pytest.raises(UsageError, match=f"{name} changed since the design was generated: generate it anew"):
            load_design(design)
    finally:
        (design / name).write_bytes(content)
    assert load_design(design).modified == ()
