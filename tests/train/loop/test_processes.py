"""Two processes that share each batch against one that takes it whole."""

import hashlib
import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from together import shakespeare_from, train_together

from xnorflow.errors import DataError, UsageError
from xnorflow.train.loop.checkpoint import load_tensors
from xnorflow.train.loop.metrics import read_metrics
from xnorflow.train.loop.processes import ALONE, Group
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.recipe import ConvSpec, OptimizerSpec, WeightSpec, load_recipe, recipe_yaml, with_overrides

SGD = OptimizerSpec(lr=0.01, schedule="constant", kind="sgd")


def weights(run):
    return load_tensors(run / "checkpoint.safetensors")[0]


def difference(one, other):
    """The greatest between two runs' checkpoints, relative to the largest number of each tensor."""
    a, b = weights(one), weights(other)
    assert a.keys() == b.keys()
    return max(float((a[name] - b[name]).abs().max() / b[name].abs().max().clamp(min=1e-3)) for name in a)


def few_steps(quick, **changes):
    """21 steps of an epoch, in float64."""
    return replace(quick, batch=60, epochs=1, precision="float64", optimizer=SGD, **changes)


def test_two_processes_are_one_to_1e_10_whatever_is_drawn(quick, tmp_path):
    """Stochastic weights and activations, dropout and augmentation among it: numbers are drawn by sample."""
    recipe = few_steps(quick)
    train_recipe(recipe, tmp_path / "one")
    assert train_together(recipe, tmp_path / "two") == [0, 0]
    assert difference(tmp_path / "two", tmp_path / "one") < 1e-10
    one, two = (read_metrics(tmp_path / run / "metrics.jsonl")[0] for run in ("one", "two"))
    assert two.loss == pytest.approx(one.loss, rel=1e-12)
    assert (two.train_accuracy, two.val_accuracy) == (one.train_accuracy, one.val_accuracy)
    summaries = [json.loads((tmp_path / run / "summary.json").read_text()) for run in ("one", "two")]
    assert summaries[0]["test_accuracy"] == summaries[1]["test_accuracy"]


@pytest.mark.parametrize("name", ["char-rnn-w4a4", pytest.param("shakespeare-lstm", marks=pytest.mark.slow)])
def test_two_processes_round_the_gradients_of_sequences_as_one_does(name, tmp_path):
    """Streams that are carried, and whole sequences in any order: linear gradients of few bits in every layer."""
    (tmp_path / "input.txt").write_text("to be, or not to be, that is the question:\n" * 250)
    small = ["model.recurrent.hidden=12", "model.recurrent.embed=6", "batch=512", "gradients={kind: linear, bits: 3}"]
    recipe = with_overrides(load_recipe(name), [*small, "precision=float64"], epochs=1)
    recipe = replace(recipe, optimizer=SGD)
    train_recipe(recipe, tmp_path / "one", data_dir=tmp_path)
    assert train_together(recipe, tmp_path / "two", data_dir=tmp_path) == [0, 0]
    assert difference(tmp_path / "two", tmp_path / "one") < 1e-10


def test_convolutions_in_float32_with_adam_stay_close(quick, tmp_path):
    """The tolerance: Adam divides by the root of tiny squares, so that last bits of a gradient move weights visibly."""
    spec = replace(quick.model, convs=(ConvSpec(4, pool=2), ConvSpec(6)), hidden=(12,), weights=WeightSpec("binary"))
    recipe = replace(quick, model=spec, batch=60, epochs=1)
    train_recipe(recipe, tmp_path / "one")
    assert train_together(recipe, tmp_path / "two") == [0, 0]
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for name in (name for name in one if name.startswith("model.") and name.endswith("weight")):
        apart = (one[name] - two[name]).abs()
        assert float(apart.mean()) < 1e-3 * float(one[name].abs().mean()) + 1e-6, name


def test_parts_add_up_to_the_batch_where_statistics_are_the_same(quick, tmp_path):
    """Of 60 samples in 2 parts by 2 processes: as 2 parts by one process, to 1e-10."""
    recipe = few_steps(quick, accumulate=2)
    train_recipe(recipe, tmp_path / "one")
    assert train_together(recipe, tmp_path / "two") == [0, 0]
    assert difference(tmp_path / "two", tmp_path / "one") < 1e-10
    train_recipe(replace(recipe, accumulate=1), tmp_path / "whole")
    assert difference(tmp_path / "whole", tmp_path / "one") > 1e-6  # BatchNorm takes the statistics of each part


def test_a_run_goes_on_with_another_number_of_processes(quick, tmp_path):
    recipe = replace(few_steps(quick), epochs=2)
    train_recipe(recipe, tmp_path / "one")

    class Stop:
        def start(self, *_): ...
        def epoch(self, _): ...
        def note(self, _): ...
        def step(self, epoch, step):
            if (epoch, step) == (2, 8):
                raise KeyboardInterrupt

    with pytest.raises(Exception, match="interrupted"):
        train_recipe(recipe, tmp_path / "both", checkpoint_seconds=0, progress=Stop())
    assert train_together(recipe, tmp_path / "both", resume=True) == [0, 0]
    assert difference(tmp_path / "both", tmp_path / "one") < 1e-10


def test_all_processes_fail_as_the_first_does(quick, tmp_path):
    train_recipe(quick, tmp_path / "run", epochs=1)
    assert train_together(quick, tmp_path / "run") == [UsageError.exit_code] * 2
    (tmp_path / "file").write_text("")
    assert train_together(quick, tmp_path / "file" / "run") == [DataError.exit_code] * 2
    assert train_together(replace(quick, batch=63), tmp_path / "odd") == [UsageError.exit_code] * 2
    assert not (tmp_path / "odd").exists()


TEXT = b"a rose is a rose is a rose\n" * 200


def test_data_are_downloaded_once_and_not_by_each_process(tmp_path):
    asked = []

    class Slow(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(200)
            self.send_header("Content-Length", str(len(TEXT)))
            self.end_headers()
            for part in (TEXT[:3000], TEXT[3000:]):
                self.wfile.write(part)
                time.sleep(0.5)

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Slow)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    sizes = ["model.recurrent.embed=4", "model.recurrent.hidden=4", "batch=256", "epochs=1"]
    recipe = with_overrides(load_recipe("char-rnn-w4a4"), sizes)
    try:
        address, md5 = f"http://127.0.0.1:{server.server_address[1]}/input.txt", hashlib.md5(TEXT).hexdigest()
        before = partial(shakespeare_from, address, md5, tmp_path)
        assert train_together(recipe, tmp_path / "run", before=before) == [0, 0]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert asked == ["/input.txt"]


def test_torchrun_starts_the_command_and_one_process_speaks(quick, tmp_path):
    (tmp_path / "quick.yaml").write_text(recipe_yaml(replace(quick, epochs=1)))
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "xnorflow"]
    command = [*start, "train", str(tmp_path / "quick.yaml"), "--seeds", "2", "--out", str(tmp_path / "run")]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("best validation") == 1
    assert done.stderr.count("epoch 1/1") == 2
    assert (tmp_path / "run" / "seeds.json").is_file()
    train_recipe(replace(quick, epochs=1, seed=2), tmp_path / "one")
    assert difference(tmp_path / "run" / "seed-2", tmp_path / "one") < 1e-2


def test_alone_nothing_is_sent(quick):
    model = torch.nn.Linear(2, 2)
    assert ALONE.parallel(model) is model
    assert ALONE.sum(torch.tensor([1.5, 2.0])) == [1.5, 2.0]
    ALONE.wait()
    assert not Group(1, 2).first


def test_shares_that_are_too_small_are_said(quick, tmp_path):
    with pytest.raises(UsageError, match="batch must be at least 2 samples in each of 3 equal parts, not 100"):
        replace(quick, accumulate=3)
