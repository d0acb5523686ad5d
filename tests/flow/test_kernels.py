"""Unique kernels of a trained run and of the network that it compiles to."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from xnorflow import flow
from xnorflow.cli import main
from xnorflow.compiler.cost.kernels import unique_kernels
from xnorflow.compiler.storage.network_file import load_network


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two convolutions for digits with 1-bit weights, one epoch."""
    folder = tmp_path_factory.mktemp("runs") / "kernels"
    convolutions = "[{channels: 6, padding: 1}, {channels: 5, pool: 2}]"
    flow.train("digits", folder, overrides=("epochs=1", "model.hidden=[8]", f"model.convs={convolutions}"))
    return folder


def test_a_run_has_the_kernels_of_its_network(run: Path) -> None:
    own = unique_kernels(load_network(flow.compile_run(run).path))
    found = flow.run_kernels(run)
    assert [replace(row, layer="") for row in found] == [replace(row, layer="") for row in own]
    assert [row.kernels for row in found] == [6, 30, 36]


def test_inspect_of_a_run_prints_them(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["inspect", str(run)]) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("total")
    assert main(["inspect", str(run), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["kernels"][-1]["kernels"] == 36
