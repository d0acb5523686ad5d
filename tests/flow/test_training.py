import numpy as np
from PIL import Image

from xnorflow import flow
from xnorflow.train.recipe import load_recipe, recipe_yaml


class Notes:
    def __init__(self):
        self.notes = []

    def start(self, *_): ...
    def step(self, *_): ...
    def epoch(self, *_): ...

    def note(self, text):
        self.notes.append(text)


def told(tmp_path, *overrides):
    notes = Notes()
    (tmp_path / "small.yaml").write_text(recipe_yaml(load_recipe("digits")))
    changes = ("epochs=1", "model.hidden=[8]", *overrides)
    flow.train(tmp_path / "small.yaml", tmp_path / "run", overrides=changes, progress=notes)
    return notes.notes


def test_a_network_that_will_reach_hardware_gets_no_note(tmp_path):
    assert told(tmp_path) == []


def test_a_network_without_an_integer_form_is_told_before_it_trains(tmp_path):
    first, *rest = told(tmp_path, "model.weights.kind=float")
    assert "this network trains, but will not reach hardware: no integer form for 2 of the operations" in first
    assert "FloatWeights" in first
    assert not rest


def test_a_network_with_many_such_operations_is_told_in_a_few_lines(tmp_path):
    note, *_ = told(tmp_path, "model.network={name: resnet20, width: 0.25}", "model.hidden=[]")
    assert "no integer form for" in note and len(note) <= 400 and note.endswith(" ...")


def test_what_compiling_would_refuse_for_other_reasons_is_told_too(tmp_path):
    note, *_ = told(tmp_path, "model.convs=[{channels: 2}, {channels: 2, padding: 1}]")
    assert "will not reach hardware: conv2: pads with 0, which is no value of its 1-bit bipolar input" in note


def test_a_network_for_a_folder_of_pictures_is_compiled_and_evaluated(tmp_path):
    random = np.random.default_rng(0)
    for split, count in (("train", 6), ("val", 3)):
        for number, name in enumerate(("dark", "light")):
            (tmp_path / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 100, (20, 30, 3), np.uint8) + 150 * number
                Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / split / name / f"{i}.jpg")
    (tmp_path / "pictures.yaml").write_text(recipe_yaml(load_recipe("digits")))
    changes = ("dataset=imagenet", "folder={size: 8, classes: 2}", "model.hidden=[8]", "input.hi=255", "augment=null")
    changes += ("batch=10", "epochs=2")
    flow.train(tmp_path / "pictures.yaml", tmp_path / "run", data_dir=tmp_path, overrides=changes)
    network = flow.compile_run(tmp_path / "run").path
    done = flow.evaluate(network, against=tmp_path / "run", data_dir=tmp_path, limit=5)
    assert (done.data, done.images, done.disagreements) == ("imagenet", 5, 0)
    assert done.compared > 0
