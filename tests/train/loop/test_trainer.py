import json
import multiprocessing
import random
import signal
import time
from dataclasses import replace

import pytest
import torch
from together import train_and_die

from xnorflow.errors import DataError, InterruptedRunError, UsageError, XnorflowError
from xnorflow.files import take_folder
from xnorflow.train.data.datasets import load_dataset
from xnorflow.train.loop.checkpoint import load_tensors
from xnorflow.train.loop.evaluate import accuracy
from xnorflow.train.loop.metrics import read_metrics
from xnorflow.train.loop.runs import load_run
from xnorflow.train.loop.state import read_checkpoint
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.recipe import OptimizerSpec, load_recipe

FILES = {
    "lock",
    "recipe.yaml",
    "metrics.jsonl",
    "curves.png",
    "summary.json",
    "best.safetensors",
    "checkpoint.safetensors",
}


class Watcher:
    """Progress that counts, and can stop the run as Ctrl-C would."""

    def __init__(self, stop_at=None):
        self.started, self.steps, self.records, self.notes, self.stop_at = None, [], [], [], stop_at

    def start(self, first_epoch, epochs, steps):
        self.started = (first_epoch, epochs, steps)

    def step(self, epoch, step):
        self.steps.append((epoch, step))
        if (epoch, step) == self.stop_at:
            raise KeyboardInterrupt

    def epoch(self, record):
        self.records.append(record)

    def note(self, text):
        self.notes.append(text)


def tensors_of(run, name="checkpoint.safetensors"):
    return load_tensors(run / name)[0]


def assert_same_run(one, other):
    """Weights, optimizer and random states bit for bit, and records but for the seconds."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        a, b = tensors_of(one, name), tensors_of(other, name)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[key], b[key]) for key in a)
    records = [[replace(r, seconds=0) for r in read_metrics(run / "metrics.jsonl")] for run in (one, other)]
    assert records[0] == records[1]


@pytest.fixture
def finished(quick, tmp_path):
    train_recipe(quick, tmp_path / "run")
    return tmp_path / "run"


def test_a_run_leaves_its_files_and_says_what_it_reached(quick, tmp_path):
    watcher = Watcher()
    result = train_recipe(quick, tmp_path / "run", progress=watcher)
    assert {p.name for p in (tmp_path / "run").iterdir()} == FILES
    assert watcher.started == (1, 4, 12)
    assert watcher.steps == [(e, s) for e in range(1, 5) for s in range(1, 13)]
    assert tuple(watcher.records) == read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert load_recipe(tmp_path / "run" / "recipe.yaml") == quick
    best = max(watcher.records, key=lambda r: r.val_accuracy)
    assert (result.best_epoch, result.val_accuracy) == (best.epoch, best.val_accuracy)
    assert (result.epochs, result.seed, result.threads, result.device) == (4, 1, 1, "cpu")
    assert result.recipe == "quick"
    assert json.loads((tmp_path / "run" / "summary.json").read_text())["test_accuracy"] == result.test_accuracy


def test_the_loaded_run_is_the_best_network(finished, quick):
    run = load_run(finished)
    assert run.recipe == quick
    assert (run.input_shape, run.class_names[3]) == ((8, 8), "3")
    assert not run.model.training
    for split in ("validation", "test"):
        samples = load_dataset("digits", split)
        reached = accuracy(run.model, torch.from_numpy(samples.images.copy()), torch.from_numpy(samples.labels))
        assert reached == run.summary[f"{'val' if split == 'validation' else 'test'}_accuracy"]


def test_the_same_seed_repeats_bit_for_bit_and_another_does_not(finished, quick, tmp_path):
    torch.rand(3)  # what the caller drew before does not matter
    train_recipe(quick, tmp_path / "again")
    assert_same_run(finished, tmp_path / "again")
    train_recipe(quick, tmp_path / "other", seed=2)
    assert not torch.equal(tensors_of(finished)["model.fc1.weight"], tensors_of(tmp_path / "other")["model.fc1.weight"])


def test_training_learns(tmp_path, quick):
    spec = replace(quick.model, hidden=(48,), dropout_input=0.0, dropout_hidden=0.0)
    result = train_recipe(replace(quick, model=spec, augment=None), tmp_path / "run", epochs=12)
    assert result.test_accuracy > 0.7  # chance is 0.1
    records = read_metrics(tmp_path / "run" / "metrics.jsonl")
    assert records[-1].loss < records[0].loss / 2
    assert 0 < records[-1].flip_ratio < records[0].flip_ratio < 1
    assert records[0].lr > records[-1].lr


@pytest.mark.parametrize("stop", [(1, 1), (2, 12), (3, 5)])
def test_an_interrupted_run_resumes_to_the_same_weights(finished, quick, tmp_path, stop):
    run = tmp_path / "stopped"
    with pytest.raises(InterruptedRunError, match=r"interrupted; .* --resume goes on in"):
        train_recipe(quick, run, progress=Watcher(stop))
    assert not (run / "summary.json").exists()
    watcher = Watcher()
    train_recipe(quick, run, resume=True, progress=watcher)
    assert watcher.started is not None and watcher.started[0] == stop[0]
    assert_same_run(finished, run)


@pytest.mark.slow
def test_a_run_killed_at_twenty_moments_resumes_to_the_same_weights(quick, tmp_path):
    """SIGKILL to real processes at random moments, most of them within an epoch, four in the middle of a save."""
    quick = replace(quick, epochs=24)
    run = tmp_path / "killed"
    context = multiprocessing.get_context("forkserver")  # torch is imported once, not by each child
    context.set_forkserver_preload(["xnorflow.train.loop.trainer", "sklearn.datasets"])

    def start(saves=None):
        child = context.Process(target=train_and_die, args=(quick, run, saves))
        child.start()
        return child

    moments, places = random.Random(1), []
    for kill in range(20):
        if kill % 5 == 4:
            child = start(saves=moments.randint(1, 9))
        else:
            child = start()
            before = _place(run)
            while child.is_alive() and _place(run) == before:
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.06))
            child.kill()
        child.join()
        assert child.exitcode == -signal.SIGKILL
        places.append(_place(run))
        (run / ".best.safetensors.abandoned").write_bytes(b"what a kill in a write leaves")
    assert places == sorted(places)
    assert places[-1][0] < 24
    assert sum(step > 0 for _, step in places) >= 10
    child = start()
    child.join()
    assert child.exitcode == 0
    train_recipe(quick, tmp_path / "whole")
    assert_same_run(tmp_path / "whole", run)
    assert {p.name for p in run.iterdir()} == FILES


def _place(run):
    """Epochs and steps of the next that the checkpoint holds."""
    try:
        about = read_checkpoint(run / "checkpoint.safetensors").about
    except DataError:
        return (0, 0)
    return (len(about.records), about.step)


@pytest.mark.parametrize("stop", [(1, 2), (2, 12), (3, 5)])
def test_a_checkpoint_within_an_epoch_loses_a_step_at_most(finished, quick, tmp_path, stop):
    """Whatever was drawn before the cut is not drawn again, and what comes behind is as it was."""
    run = tmp_path / "stopped"
    with pytest.raises(InterruptedRunError, match="the last checkpoint is kept"):
        train_recipe(quick, run, progress=Watcher(stop), checkpoint_seconds=0)
    epoch, step = stop
    assert _place(run) == (epoch - 1, step - 1)
    watcher = Watcher()
    train_recipe(quick, run, resume=True, progress=watcher, checkpoint_seconds=0)
    assert watcher.steps[0] == (epoch, step)
    assert_same_run(finished, run)


def test_kills_between_the_writes_of_an_epochs_end_do_not_show(finished, quick, tmp_path, monkeypatch):
    """Stop after each single write in turn: best weights, metrics line, checkpoint; curves and summary at the end."""
    from xnorflow.train.loop import checkpoint, metrics, results, state

    places = [
        (state, "append_record", metrics.append_record),
        (state, "save_tensors", checkpoint.save_tensors),
        (results, "draw_curves", metrics.draw_curves),
    ]
    for number, (module, name, function) in enumerate(places):
        for before in (True, False):
            run = tmp_path / f"{number}{before}"

            def stop(*arguments, before=before, function=function):
                if not before:
                    function(*arguments)
                raise KeyboardInterrupt

            with monkeypatch.context() as patch:
                patch.setattr(module, name, stop)
                with pytest.raises(InterruptedRunError):
                    train_recipe(quick, run)
            train_recipe(quick, run, resume=True)
            assert_same_run(finished, run)


def test_the_thread_count_of_the_beginning_is_kept_on_resume(quick, tmp_path):
    earlier = torch.get_num_threads()
    free = replace(quick, threads=None)
    try:
        torch.set_num_threads(2)
        with pytest.raises(InterruptedRunError):
            train_recipe(free, tmp_path / "run", progress=Watcher((2, 3)))
        torch.set_num_threads(1)
        assert train_recipe(free, tmp_path / "run", resume=True).threads == 2
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(earlier)


def test_a_run_in_the_way_is_not_touched(finished, quick):
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    with pytest.raises(UsageError, match="holds a run already; --resume goes on with it, another --out starts anew"):
        train_recipe(quick, finished)
    differences = r"was started with optimizer\.lr = 0\.01 \(now 0\.02\), seed = 1 \(now 5\); resume with the same"
    with pytest.raises(UsageError, match=differences):
        train_recipe(quick, finished, resume=True, seed=5, overrides=["optimizer.lr=0.02"])
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before


def test_a_folder_in_which_another_process_trains_is_left_alone(quick, tmp_path):
    with (
        take_folder(tmp_path / "run", "busy"),
        pytest.raises(UsageError, match="another training is at work in .*run; wait for it, or stop it"),
    ):
        train_recipe(quick, tmp_path / "run", resume=True)
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


def test_resuming_a_finished_run_returns_its_result(finished, quick, tmp_path):
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    result = train_recipe(quick, finished, resume=True, data_dir=tmp_path / "not needed")
    assert result.test_accuracy == json.loads((finished / "summary.json").read_text())["test_accuracy"]
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before


def test_damaged_run_files_are_one_line(finished, quick):
    def damaged(name, content):
        path = finished / name
        earlier = path.read_bytes()
        path.write_bytes(content(earlier))
        return path, earlier

    (finished / "summary.json").unlink()
    for content in (lambda b: b[:-1], lambda b: b[:200] + bytes([b[200] ^ 1]) + b[201:], lambda b: b""):
        path, earlier = damaged("checkpoint.safetensors", content)
        with pytest.raises(DataError, match=r"checkpoint\.safetensors is damaged"):
            train_recipe(quick, finished, resume=True)
        path.write_bytes(earlier)
        path, earlier = damaged("best.safetensors", content)
        with pytest.raises(DataError, match=r"best\.safetensors is damaged"):
            load_run(finished)
        path.write_bytes(earlier)
    (finished / "checkpoint.safetensors").write_bytes((finished / "best.safetensors").read_bytes())
    with pytest.raises(DataError, match="did not write this"):
        train_recipe(quick, finished, resume=True)
    for text in ("{", "[]", '"x"'):
        (finished / "summary.json").write_text(text)
        with pytest.raises(DataError, match="is damaged"):
            load_run(finished)
    with pytest.raises(DataError, match="holds no trained network"):
        load_run(finished.parent)


def test_an_unfinished_run_loads_with_its_best_so_far(quick, tmp_path):
    with pytest.raises(InterruptedRunError):
        train_recipe(quick, tmp_path / "run", progress=Watcher((3, 1)))
    run = load_run(tmp_path / "run")
    assert run.summary == {}
    assert torch.equal(run.model.fc1.weight, tensors_of(tmp_path / "run", "best.safetensors")["fc1.weight"])


def test_a_diverging_run_stops_and_keeps_what_was_good(quick, tmp_path):
    wild = replace(quick, optimizer=OptimizerSpec(lr=1e38, schedule="constant", kind="sgd"))
    with pytest.raises(
        UsageError, match=r"training diverged: the loss of epoch 1, step 2 is inf; try a smaller optimizer\.lr"
    ):
        train_recipe(wild, tmp_path / "run")
    assert not (tmp_path / "run" / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("init=nowhere", "init: nowhere holds no trained network"),
        ("teacher.run=nowhere", "nowhere holds no trained network"),
        ("model={hidden: [], convs: [{channels: 2, kernel: 9}]}", "the convolutions do not fit"),
    ],
)
def test_what_a_run_cannot_begin_with_leaves_none_behind(quick, tmp_path, override, message):
    state = torch.random.get_rng_state()
    with pytest.raises(XnorflowError, match=message):
        train_recipe(quick, tmp_path / "run", overrides=[override])
    assert not (tmp_path / "run").exists()
    assert torch.equal(torch.random.get_rng_state(), state)
    train_recipe(quick, tmp_path / "run", epochs=1)


def test_torchs_settings_and_random_state_are_as_before(quick, tmp_path):
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(987)  # a state that no run ends in
        state = torch.get_rng_state()
        train_recipe(quick, tmp_path / "run", epochs=1)
        assert torch.equal(torch.get_rng_state(), state)
    assert torch.get_num_threads() == threads
    assert not torch.are_deterministic_algorithms_enabled()
    assert torch.utils.deterministic.fill_uninitialized_memory


def test_bfloat16_training_is_evaluated_exactly(quick, tmp_path):
    result = train_recipe(replace(quick, precision="bf16"), tmp_path / "run", epochs=2)
    assert load_run(tmp_path / "run").summary["test_accuracy"] == result.test_accuracy
    train_recipe(quick, tmp_path / "full", epochs=2)
    assert not torch.equal(
        tensors_of(tmp_path / "run")["model.fc1.weight"], tensors_of(tmp_path / "full")["model.fc1.weight"]
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"device": "tpu"}, "device must be cpu or cuda, not 'tpu'"),
        ({"overrides": ["batch=5000"]}, "batch 5000 is larger than the 1260 training samples"),
        ({"overrides": ["epoch=5"]}, "did you mean 'epochs'"),
    ],
)
def test_wrong_options_are_usage_errors(quick, tmp_path, arguments, message):
    with pytest.raises(UsageError, match=message):
        train_recipe(quick, tmp_path / "run", **arguments)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_cuda_without_a_device_is_said(quick, tmp_path):
    with pytest.raises(UsageError, match="sees no CUDA device"):
        train_recipe(quick, tmp_path / "run", device="cuda")


def test_a_folder_that_cannot_be_written_is_a_data_error(quick, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        train_recipe(quick, tmp_path / "file" / "run")
