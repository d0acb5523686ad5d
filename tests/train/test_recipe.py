from dataclasses import replace

import pytest
import yaml

from xnorflow.errors import UsageError
from xnorflow.train.recipe import (
    ActivationSpec,
    GradientSpec,
    LayerSpec,
    OptimizerSpec,
    TeacherSpec,
    WeightSpec,
    list_recipes,
    load_recipe,
    recipe_yaml,
    with_overrides,
)

SMALL = """
description: a test
dataset: digits
input: {bits: 1, lo: 0, hi: 16}
model: {hidden: [8]}
optimizer: {lr: 1e-2, schedule: constant}
epochs: 2
"""


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SMALL)
    return path


def write(path, **changes):
    tree = yaml.safe_load(SMALL)
    for key, value in changes.items():
        node = tree
        *parents, last = key.split("__")
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    path.write_text(yaml.safe_dump(tree))
    return path


def test_the_recipes_that_come_with_the_package():
    known = dict(list_recipes())
    assert {"digits", "mnist-tfc", "mnist-sfc", "mnist-lfc", "mnist-bc", "mnist-bc-stochastic"} <= set(known)
    assert all(text and "\n" not in text for text in known.values())
    for name in known:
        recipe = load_recipe(name)
        assert recipe.name == name
    for name, width in (("tfc", 64), ("sfc", 256), ("lfc", 1024)):
        recipe = load_recipe(f"mnist-{name}")
        assert recipe.model.hidden == (width,) * 3
        assert (recipe.input.bits, recipe.model.weights.kind, recipe.model.activation.kind) == (1, "binary", "sign")
    connect = load_recipe("mnist-bc")
    assert (connect.input.bits, connect.model.activation.kind, connect.model.hidden) == (8, "relu", (1024,) * 3)
    assert connect.model.weights.kind == "binary"
    for name in (
        "digits",
        "mnist-sfc",
        "mnist-lfc",
        "cifar10-cnv",
    ):  # of the same layers, for an int8 network beside it
        twin, model = load_recipe(f"{name}-float").model, load_recipe(name).model
        assert (twin.hidden, len(twin.convs)) == (model.hidden, len(model.convs))
        assert all(
            (a.channels, a.kernel, a.pool) == (b.channels, b.kernel, b.pool)
            for a, b in zip(twin.convs, model.convs, strict=True)
        )
        assert (twin.weights.kind, twin.activation.kind) == ("float", "float")


def test_a_file_is_named_after_itself_and_written_back_whole(small, tmp_path):
    recipe = load_recipe(small)
    assert recipe.name == "small"
    again = tmp_path / "again.yaml"
    again.write_text(recipe_yaml(recipe))
    assert load_recipe(again) == recipe


def test_an_unknown_recipe_names_the_nearest():
    with pytest.raises(UsageError, match=r"no recipe 'mnist-lcf'; did you mean 'mnist-lfc'\?"):
        load_recipe("mnist-lcf")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(UsageError, match=r"cannot read .*none\.yaml"):
        load_recipe(tmp_path / "none.yaml")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"epoch": 3}, r"unknown key 'epoch'; did you mean 'epochs'\?"),
        ({"model__hiden": [3]}, r"model: unknown key 'hiden'; did you mean 'hidden'\?"),
        ({"dataset": "minst"}, r"unknown data set 'minst'; did you mean 'mnist'\?"),
        ({"epochs": 0}, "epochs must be positive"),
        ({"epochs": "ten"}, "epochs must be a whole number"),
        ({"batch": 1}, "batch must be at least 2"),
        ({"seed": -1}, "seed must be from 0"),
        ({"threads": 0}, "threads must be positive"),
        ({"threads": 1025}, "threads must be at most 1024, not 1025"),
        ({"loss": "hinge"}, "loss must be one of square-hinge, cross-entropy"),
        ({"label_smoothing": 0.1}, "label_smoothing needs loss: cross-entropy"),
        ({"loss": "cross-entropy", "label_smoothing": 1.0}, "label_smoothing must be at least 0 and below 1"),
        ({"input__bits": 9}, "bits must be from 1 to 8"),
        ({"model__weights": {"kind": "signed"}}, "from 2 to 8 for kind: signed, not 1; 1 bit is the sign"),
        (
            {"model__activation": {"kind": "log", "bits": 6}},
            "from 1 to 5 for kind: log, not 6; powers of two",
        ),
        ({"input__lo": 16}, "lo must be below hi"),
        ({"input__encoding": "ternary"}, "encoding must be one of"),
        ({"model__hidden": [8, 0]}, "hidden must be positive"),
        ({"model__hidden": [65537]}, "hidden must be at most 65536, not 65537"),
        ({"model__dropout_input": 1.0}, "dropout_input must be at least 0 and below 1"),
        ({"model__weights__bits": 2}, "bits 2 needs kind: bipolar"),
        ({"model__weights": {"kind": "ternary", "bits": 2}}, "bits 2 needs kind: bipolar, signed or log; ternary"),
        ({"model__activation__bits": 2}, "bits 2 needs kind: relu"),
        ({"model__layers": {"fc4": {}}}, r"layers: no layer 'fc4'; did you mean 'fc2'\? \(known: fc1, fc2\)"),
        ({"model__layers": {"fc1": {"weight": 1}}}, r"unknown key 'weight'; did you mean 'weights'\?"),
        ({"model__activation": {"kind": "relu", "step": 0.0}}, "step must be positive"),
        ({"model__norm__momentum": 1.5}, "momentum must be at most 1"),
        ({"model__norm__score_bits": 1}, "score_bits must be from 2 to 24"),
        ({"optimizer__lr": 0.0}, "lr must be positive"),
        ({"optimizer__schedule": "cosine"}, "schedule cosine needs lr_final"),
        ({"optimizer__lr_final": 1e-3}, "schedule constant has no lr_final"),
        ({"optimizer": {"lr": 1e-2, "lr_final": 0.0}}, "lr_final must be positive"),
        ({"optimizer__betas": [0.9, 1.0]}, "betas must be at least 0 and below 1"),
        ({"augment": {"shift": -1.0}}, "shift must not be negative"),
        ({"augment": {"scale": 1.0}}, "scale must be at least 0 and below 1"),
    ],
)
def test_a_wrong_recipe_is_one_line_that_says_what_would_do(tmp_path, changes, message):
    path = write(tmp_path / "wrong.yaml", **changes)
    with pytest.raises(UsageError, match=message) as caught:
        load_recipe(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_overrides_are_read_as_yaml(small):
    recipe = with_overrides(
        load_recipe(small),
        ["optimizer.lr=1e-3", "model.hidden=[4, 5]", "augment={shift: 2}", "model.activation.kind=stochastic"],
        epochs=7,
        seed=9,
    )
    assert recipe.optimizer == OptimizerSpec(lr=1e-3, schedule="constant")
    assert recipe.model.hidden == (4, 5)
    assert recipe.augment is not None and recipe.augment.shift == 2
    assert recipe.model.activation.kind == "stochastic"
    assert (recipe.epochs, recipe.seed, recipe.name) == (7, 9, "small")
    assert with_overrides(recipe) == recipe


def test_overrides_reach_into_what_is_not_set(small):
    recipe = with_overrides(
        load_recipe(small),
        [
            "gradients.bits=4",
            "teacher.run=runs/float",
            "model.layers.fc1.weights.kind=ternary",
            "model.layers.fc2.weights={kind: log, bits: 3}",
            "model.layers.fc1.activation.kind=stochastic",
        ],
    )
    assert recipe.gradients == GradientSpec("linear", 4)
    assert recipe.teacher == TeacherSpec("runs/float")
    assert recipe.model.layers == {
        "fc1": LayerSpec(WeightSpec("ternary"), ActivationSpec("stochastic")),
        "fc2": LayerSpec(WeightSpec("log", 3)),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model.layers.fc9.weights.kind=float", r"layers: no layer 'fc9'; did you mean 'fc\d'\?"),
        ("model.layer.fc1.weights.kind=float", r"model: unknown key 'layer'; did you mean 'layers'\?"),
        ("threads.x=1", "threads must be a whole number"),
        ("teacher.weight=1", "teacher: missing run"),
        ("optimizer.rl=1", r"optimizer: unknown key 'rl'; did you mean 'lr'\?"),
        ("optimiser.lr=1", r"unknown key 'optimiser'; did you mean 'optimizer'\?"),
        ("epoch=1", r"unknown key 'epoch'; did you mean 'epochs'\?"),
        ("epochs", "--set takes KEY=VALUE"),
        ("=3", "--set takes KEY=VALUE"),
        ("epochs.x=3", "epochs is a value and has no key 'x'"),
        ("epochs.x.y=3", "epochs is a value and has no key 'x'"),
        ("epochs=[", "is not YAML"),
        ("epochs=many", "epochs must be a whole number"),
        ("epochs=0", "epochs must be positive"),
    ],
)
def test_wrong_overrides_are_one_line(small, text, message):
    with pytest.raises(UsageError, match=message) as caught:
        with_overrides(load_recipe(small), [text])
    assert "\n" not in str(caught.value)


def test_recipes_are_frozen(small):
    recipe = load_recipe(small)
    with pytest.raises(AttributeError):
        recipe.epochs = 3
    assert replace(recipe, epochs=3) != recipe
