import json
import struct

import pytest
import torch
from torch import nn

from xnorflow.errors import DataError
from xnorflow.train.layers.modules import BinaryLinear
from xnorflow.train.loop.checkpoint import (
    load_tensors,
    load_weights,
    optimizer_tensors,
    parse,
    random_tensors,
    restore_optimizer,
    restore_random,
    save_tensors,
)
from xnorflow.train.loop.optim import build_optimizer
from xnorflow.train.recipe import InputSpec, OptimizerSpec


@pytest.fixture
def written(tmp_path):
    path = tmp_path / "x.safetensors"
    save_tensors(path, {"a": torch.arange(3.0), "b": torch.tensor(7)}, {"epoch": 3, "text": "é"})
    return path


def test_what_is_saved_is_loaded(written):
    tensors, about = load_tensors(written)
    assert {name: t.tolist() for name, t in tensors.items()} == {"a": [0, 1, 2], "b": 7}
    assert tensors["b"].dtype == torch.int64
    assert about == {"epoch": 3, "text": "é"}


def test_the_same_content_gives_the_same_bytes(written, tmp_path):
    save_tensors(tmp_path / "y", *load_tensors(written))
    assert (tmp_path / "y").read_bytes() == written.read_bytes()


def test_every_flipped_bit_is_refused(written):
    content = written.read_bytes()
    for bit in range(8 * len(content)):
        damaged = bytearray(content)
        damaged[bit // 8] ^= 1 << bit % 8
        written.write_bytes(damaged)
        with pytest.raises(DataError, match="is damaged"):
            load_tensors(written)


def test_every_truncation_is_refused(written):
    content = written.read_bytes()
    for length in range(len(content)):
        written.write_bytes(content[:length])
        with pytest.raises(DataError, match="is damaged"):
            load_tensors(written)


@pytest.mark.parametrize(
    "header", [b"[]", b"{}", b'{"__metadata__": 3}', b'{"__metadata__": {"xnorflow": "[]"}}', b"x"]
)
def test_foreign_files_are_refused(tmp_path, header):
    path = tmp_path / "foreign.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header)
    with pytest.raises(DataError, match="not a file that xnorflow train wrote"):
        load_tensors(path)


def test_a_pickle_is_not_opened(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="not a file that xnorflow train wrote"):
        load_tensors(path)


def test_missing_files_and_full_disks_are_data_errors(tmp_path):
    with pytest.raises(DataError, match="cannot read"):
        load_tensors(tmp_path / "none")
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        save_tensors(tmp_path / "file" / "x", {}, {})


def test_the_digits_of_a_digest_in_the_tensors_do_not_confuse(tmp_path):
    path = tmp_path / "x"
    zeros = torch.full((200,), ord("0"), dtype=torch.uint8)
    save_tensors(path, {"zeros": zeros}, {"sha256": "0" * 64})
    tensors, about = load_tensors(path)
    assert torch.equal(tensors["zeros"], zeros)
    assert about == {"sha256": "0" * 64}


def test_parse_turns_wrong_contents_into_data_errors(tmp_path):
    assert parse(InputSpec, {"bits": 1, "lo": 0, "hi": 1}, tmp_path) == InputSpec(1, 0, 1)
    with pytest.raises(DataError, match="unknown key 'epochs'.*did not write this"):
        parse(InputSpec, {"epochs": 1}, tmp_path)


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(DataError, match="another network"):
        load_weights(nn.Linear(2, 3), {"weight": torch.zeros(3, 3), "bias": torch.zeros(3)}, tmp_path / "x")


@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_an_optimizer_goes_on_where_it_was(kind):
    spec = OptimizerSpec(lr=0.01, schedule="constant", kind=kind)
    torch.manual_seed(0)
    layer = BinaryLinear(5, 4)
    optimizer = build_optimizer(layer, spec)
    twin = BinaryLinear(5, 4)

    def step(model, opt, seed):
        gradient = torch.randn(4, 5, generator=torch.Generator().manual_seed(seed))
        model.weight.grad = gradient
        opt.step()

    for seed in range(3):
        step(layer, optimizer, seed)
    twin.load_state_dict(layer.state_dict())
    other = build_optimizer(twin, spec)
    restore_optimizer(other, {k: v.clone() for k, v in optimizer_tensors(optimizer).items()})
    for seed in range(3, 6):
        step(layer, optimizer, seed)
        step(twin, other, seed)
    assert torch.equal(layer.weight, twin.weight)
    fresh = build_optimizer(BinaryLinear(5, 4), spec)
    assert optimizer_tensors(fresh) == {}
    assert json.dumps(sorted(optimizer_tensors(other))) == json.dumps(sorted(optimizer_tensors(optimizer)))


def test_random_states_come_back():
    device = torch.device("cpu")
    with torch.random.fork_rng(devices=[]):
        states = random_tensors(device)
        first = torch.rand(5)
        restore_random(states, device)
        assert torch.equal(torch.rand(5), first)
