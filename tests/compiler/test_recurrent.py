"""Recurrent nodes: the golden model against plain loops, rules, and the network file."""

from dataclasses import replace
from math import tanh
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from random_recurrent import random_lstm, random_rnn, recurrent_network

from xnorflow.compiler import golden
from xnorflow.compiler.fast import backend
from xnorflow.compiler.fast.layers import Method
from xnorflow.compiler.ir import Recurrent
from xnorflow.compiler.recurrent import Lstm, initial_code
from xnorflow.compiler.storage.network_file import load_network, save_network
from xnorflow.compiler.types import CodeType, Encoding
from xnorflow.compiler.verify import problems
from xnorflow.errors import UsageError

NODES = {"rnn": random_rnn(5, 7, 2, 3), "lstm": random_lstm(6, 5, 4, 4), "narrow": random_lstm(4, 6, 3, 2, (2, 4, 1))}


def step_by_step(node: Recurrent, codes: np.ndarray, last: np.ndarray, slots: int) -> list[list[int]]:
    """The formulas of docs/architecture.md, a unit at a time, in Python's integers."""
    weights, levels, n = node.weights.values().tolist(), node.thresholds.tolist(), node.type.bits
    top = (1 << n) - 1
    fresh = ([initial_code(node.type)] * node.hidden, [0] * node.hidden)
    kept = [fresh] * slots
    states = []
    for sample, (x, ends) in enumerate(zip(codes.tolist(), last.tolist(), strict=True)):
        h, c = kept[sample % slots]
        values = [2 * code - top for code in x + h]
        rows = []
        for row, thresholds, down in zip(weights, levels, node.descending, strict=True):
            acc = sum(w * v for w, v in zip(row, values, strict=True))
            rows.append(sum(acc <= t if down else acc >= t for t in thresholds))
        if isinstance(node, Lstm):
            s, half, limit = node.cell.shift, 1 << node.cell.shift - 1, 1 << node.cell.bits - 1
            after, h = [], []
            for unit in range(node.hidden):
                i, f, o, g = rows[4 * unit : 4 * unit + 4]
                raw = (f * c[unit] + (i * (g - half) << node.cell.point - s + 1) + half) >> s
                after.append(max(-limit, min(limit - 1, raw)))
                t = sum(after[-1] >= threshold for threshold in node.cell.tanh.tolist()) - half
                h.append(min(top, (o * t >> 2 * s - n) + (1 << n - 1)))
            c = after
        else:
            h = rows
        states.append(h)
        kept[sample % slots] = fresh if ends else (h, c)
    return states


@given(st.sampled_from(sorted(NODES)), st.integers(1, 5), st.floats(0, 0.5), st.integers(0, 2**32))
def test_golden_model_equals_plain_loops(name: str, slots: int, share: float, seed: int) -> None:
    node, rng = NODES[name], np.random.default_rng(seed)
    codes = rng.integers(0, node.type.max_code + 1, (37, node.features), dtype=np.uint8)
    last = rng.random(37) < share
    trace = golden.run(recurrent_network(node), codes, last=last, interleave=slots)
    assert trace["steps"].tolist() == step_by_step(node, codes, last, slots)


def test_states_go_on_from_batch_to_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    node, rng = NODES["lstm"], np.random.default_rng(1)
    codes, last = rng.integers(0, 16, (50, 6), dtype=np.uint8), rng.random(50) < 0.1
    whole = golden.run(recurrent_network(node), codes, last=last, interleave=3)
    monkeypatch.setattr(golden, "RECURRENT_BATCH", 7)
    assert (golden.run(recurrent_network(node), codes, last=last, interleave=3)["steps"] == whole["steps"]).all()
    assert len(np.unique(whole["steps"], axis=0)) > 25


def test_without_sequences_the_state_is_kept_for_ever() -> None:
    node = NODES["rnn"]
    codes = np.zeros((9, 5), np.uint8)
    network = recurrent_network(node)
    assert (
        golden.run(network, codes)["steps"] == golden.run(network, codes, last=np.zeros(9, np.bool_))["steps"]
    ).all()


@pytest.mark.parametrize("last", [np.zeros(3, np.bool_), np.zeros(9, np.uint8)])
def test_flags_are_one_a_sample(last: np.ndarray) -> None:
    with pytest.raises(UsageError, match=r"last must be bool \(9,\)"):
        golden.run(recurrent_network(NODES["rnn"]), np.zeros((9, 5), np.uint8), last=last)


@pytest.mark.parametrize("name", sorted(NODES))
def test_network_file_gives_the_node_back(name: str, tmp_path: Path) -> None:
    network = recurrent_network(NODES[name])
    save_network(network, tmp_path / "network.safetensors")
    found, wanted = load_network(tmp_path / "network.safetensors").node("steps"), NODES[name]
    assert isinstance(found, type(wanted)) and found.type == wanted.type
    for field in ("thresholds", "descending"):
        assert (getattr(found, field) == getattr(wanted, field)).all()
    assert (found.weights.codes == wanted.weights.codes).all()
    if isinstance(found, Lstm) and isinstance(wanted, Lstm):
        assert (found.cell.tanh == wanted.cell.tanh).all()
        assert (found.cell.shift, found.cell.bits, found.cell.point) == (
            wanted.cell.shift,
            wanted.cell.bits,
            wanted.cell.point,
        )


def changed(name: str, **fields: object) -> list[str]:
    return problems(recurrent_network(replace(NODES[name], **fields)))


def test_rules_name_what_does_not_fit() -> None:
    assert not changed("lstm") and not changed("rnn")
    lstm, rnn = NODES["lstm"], NODES["rnn"]
    assert isinstance(lstm, Lstm)
    source, *others = recurrent_network(lstm).nodes
    other_grid = replace(source, type=CodeType((6,), 4, Encoding.UNSIGNED))
    assert "one grid" in problems(replace(recurrent_network(lstm), nodes=(other_grid, *others)))[0]
    assert "weights, thresholds" in changed("rnn", thresholds=rnn.thresholds[:, :-1])[0]
    assert "not in order" in changed("rnn", descending=~rnn.descending)[0]
    assert "leave [" in changed("rnn", thresholds=rnn.thresholds * 1000)[0]
    assert "table of tanh" in changed("lstm", cell=replace(lstm.cell, tanh=lstm.cell.tanh[::-1]))[0]
    assert "leaves -256..256" in changed("lstm", cell=replace(lstm.cell, tanh=lstm.cell.tanh * 100))[0]
    assert "not possible" in changed("lstm", cell=replace(lstm.cell, point=1))[0]
    assert "make up to 2" in changed("lstm", cell=replace(lstm.cell, shift=1))[0]
    assert "int64 with 1 axes" in changed("lstm", cell=replace(lstm.cell, tanh=lstm.cell.tanh[None]))[0]


def test_a_state_begins_at_the_least_value_from_zero_up() -> None:
    assert [initial_code(CodeType((1,), bits, Encoding.BIPOLAR)) for bits in (1, 2, 4)] == [1, 2, 8]
    assert initial_code(CodeType((1,), 4, Encoding.UNSIGNED)) == 0


def test_the_table_is_that_of_tanh() -> None:
    cell = NODES["lstm"].cell
    for value in range(-256, 256):
        code = int(np.searchsorted(cell.tanh, value, side="right"))
        assert code == int(4 * tanh(value / 32) + 4.5)


@pytest.mark.parametrize("name", sorted(NODES))
def test_the_fast_backend_keeps_states_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node, rng = NODES[name], np.random.default_rng(2)
    network = recurrent_network(node)
    codes, last = rng.integers(0, node.type.max_code + 1, (90, node.features), dtype=np.uint8), rng.random(90) < 0.1
    expected = golden.run(network, codes, last=last, interleave=2)
    monkeypatch.setattr(backend, "BATCH", 32)
    runner = backend.Backend(network, method=Method.FLOAT)
    for _ in range(2):  # a run begins anew
        found = runner.run(codes, last=last, interleave=2, keep=["steps"])
        assert (found.scores == expected.scores).all() and (found.codes["steps"] == expected["steps"]).all()
