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
