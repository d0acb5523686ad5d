"""What docs/training.md shows works as it stands there."""

import ast
import subprocess
import sys
from pathlib import Path

import yaml

from xnorflow.compiler import golden
from xnorflow.compiler.storage.network_file import load_network
from xnorflow.train.data.datasets import load_dataset
from xnorflow.train.recipe import TeacherSpec, load_recipe, with_overrides

TEXT = (Path(__file__).resolve().parent.parent / "docs" / "training.md").read_text()
CODE, MORE = (part.split("```")[0] for part in TEXT.split("```python\n")[1:])
CHECK = """
from xnorflow.compiler.lowering.compare import compare_with_module
test = load_dataset("digits", "test")
print(compare_with_module(network, model.eval(), test.images).disagreements)
print(max(float(layer.weight.detach().abs().max()) for layer in (model.first, model.second, model.last)) == 1)
"""


def test_a_module_and_a_loop_of_ones_own_reach_an_exact_network(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CODE + CHECK], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "0\nTrue\n"), done.stderr
    network, test = load_network(tmp_path / "mine.safetensors"), load_dataset("digits", "test")
    classes = golden.run(network, network.input_codes(test.images), keep=()).classes
    assert (classes == test.labels).mean() >= 0.9


def test_what_recipes_do_serves_a_loop_of_ones_own(tmp_path):
    short = CODE.replace("range(30)", "range(1)")
    done = subprocess.run(
        [sys.executable, "-c", short + MORE], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    layers, real = done.stdout.splitlines()
    figures = ast.literal_eval(layers)
    assert list(figures) == ["first", "second", "last"]
    assert all(0 < flips < 1 and 0 <= dead < 1 for flips, dead in figures.values())
    assert 0 < float(real) < 1


def test_the_keys_shown_are_keys_of_recipes():
    digits = load_recipe("digits")
    teacher = TEXT.split("`teacher: ")[1].split("`")[0]
    folder = TEXT.split("`folder: ")[1].split("`")[0]
    assert with_overrides(digits, [f"teacher={teacher}"]).teacher == TeacherSpec(**yaml.safe_load(teacher))
    assert with_overrides(digits, ["init=runs/float", "accumulate=2"]).init == "runs/float"
    assert with_overrides(load_recipe("cifar10-cnv"), ["dataset=imagenet", f"folder={folder}"]).info.shape == (
        64,
        64,
        3,
    )
