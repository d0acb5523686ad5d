"""A generated folder of JPEGs: read, cropped, trained on, resumed, by two processes."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from together import train_together

from xnorflow.errors import DataError, InterruptedRunError, UsageError
from xnorflow.flow import evaluate_run
from xnorflow.train.data.datasets import load_pictures
from xnorflow.train.data.image_folder import central_crop, list_pictures, random_crop, read_picture
from xnorflow.train.duo.mismatch_report import measure_mismatch
from xnorflow.train.loop.checkpoint import load_tensors
from xnorflow.train.loop.feed import FromFiles
from xnorflow.train.loop.paired import hits
from xnorflow.train.loop.trainer import train_recipe
from xnorflow.train.models.spec import NetworkSpec
from xnorflow.train.recipe import ConvSpec, FolderSpec, InputSpec, ModelSpec, OptimizerSpec, WeightSpec


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three classes of a colour each, 9 training and 4 test pictures of odd sizes; one is grey, one a PNG."""
    root = tmp_path_factory.mktemp("pictures") / "imagenet"
    random = np.random.default_rng(0)
    for split, count in (("train", 9), ("val", 4)):
        for number, name in enumerate(("n01", "n02", "n10")):
            (root / split / name).mkdir(parents=True)
            for i in range(count):
                pixels = random.integers(0, 60, (30 + 3 * i, 50 - 2 * i, 3), np.uint8)
                pixels[..., number] += 150
                picture = Image.fromarray(pixels)
                suffix = "png" if i == 2 else "JPEG"
                (picture.convert("L") if i == 3 else picture).save(root / split / name / f"{i}.{suffix}")
    (root / "train" / "n01" / "notes.txt").write_text("no picture")
    return root


@pytest.fixture
def recipe(quick):
    model = replace(
        quick.model, convs=(ConvSpec(4, pool=2), ConvSpec(6, pool=2)), hidden=(12,), weights=WeightSpec("binary")
    )
    spec = InputSpec(bits=8, lo=0, hi=255)
    return replace(quick, dataset="imagenet", folder=FolderSpec(24, 3), model=model, input=spec, augment=None, batch=8)


def test_classes_are_folders_and_the_last_pictures_of_each_are_held_out(folder):
    train, validation, test = (list_pictures(folder, split, 3) for split in ("train", "validation", "test"))
    assert train.labels.tolist() == [0] * 8 + [1] * 8 + [2] * 8
    assert [p.name for p in validation.paths] == ["8.JPEG"] * 3
    assert test.labels.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    assert not {*train.paths} & {*validation.paths}
    assert all(
        path.parent.name == ("n01", "n02", "n10")[label] for path, label in zip(train.paths, train.labels, strict=True)
    )


def test_a_picture_is_its_middle_in_the_size_asked_for(tmp_path):
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[4:60, 20:76] = 200  # the central 224/256 of the shorter side
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert central_crop(96, 64) == (20, 4, 76, 60)
    picture = read_picture(tmp_path / "a.png", 28)
    assert (picture[1:-1, 1:-1] == 200).all()
    assert (picture[0] < 200).all()  # its border has a share of what stands outside
    assert read_picture(tmp_path / "a.png", 31).shape == (31, 31, 3)


def test_random_crops_stay_inside_and_have_the_papers_area_and_ratio():
    random = np.random.default_rng(3)
    boxes, mirrored = zip(*(random_crop(300, 200, random) for _ in range(2000)), strict=True)
    left, top, right, bottom = np.array(boxes).T
    assert (left >= 0).all() and (top >= 0).all() and (right <= 300).all() and (bottom <= 200).all()
    share, ratio = (right - left) * (bottom - top) / 60_000, (right - left) / (bottom - top)
    assert 0.08 <= share.min() < 0.1
    assert 0.85 < share.max() <= 8 / 9 + 1e-9  # the largest that fits has sides of 4:3
    assert 0.75 <= ratio.min() < 0.77 and 1.3 < ratio.max() <= 4 / 3 + 1e-9
    assert 0.45 < np.mean(mirrored) < 0.55


def test_a_crop_that_cannot_be_is_the_middle():
    class Always:
        def uniform(self, lo, hi):
            return hi

        def integers(self, _):
            return 1

    assert random_crop(100, 10, Always()) == (central_crop(100, 10), True)


def test_crops_depend_on_key_and_number_and_not_on_the_workers(folder):
    pictures = list_pictures(folder, "train", 3)
    chosen = [
        torch.tensor([5, 0, 23]),
        torch.tensor([1, 2, 3]),
        torch.tensor([7]),
        torch.tensor([0, 5]),
        torch.tensor([9]),
    ]

    def batches(workers, key):
        return list(FromFiles(pictures, 16, workers, torch.device("cpu")).batches(chosen, key))

    one, three, other, central = batches(1, 4), batches(3, 4), batches(1, 5), batches(2, None)
    assert [labels.tolist() for _, labels in one] == [[0, 0, 2], [0, 0, 0], [0], [0, 0], [1]]
    assert all(torch.equal(a, b) for (a, _), (b, _) in zip(one, three, strict=True))
    assert torch.equal(one[0][0][0], one[3][0][1])  # the same picture in another batch
    assert not torch.equal(one[0][0], other[0][0])
    assert np.array_equal(central[0][0][2].numpy(), read_picture(pictures.paths[23], 16))


def test_whole_splits_are_read_for_evaluation(folder):
    samples = load_pictures(folder, "test", 10, 3, limit=5)
    assert samples.images.shape == (5, 10, 10, 3)
    assert samples.labels.tolist() == [0, 0, 0, 0, 1]
    assert samples.class_names == ("0", "1", "2")


class Stop:
    """Progress that ends a run in front of a step's end."""

    def __init__(self, *place):
        self.place = place

    def start(self, *_): ...
    def epoch(self, _): ...
    def note(self, _): ...

    def step(self, *place):
        if place == self.place:
            raise KeyboardInterrupt


def trains_resumes_and_is_shared(recipe, folder, tmp_path):
    """A run; the same cut in its last epoch and resumed with another number of workers; the same by two processes."""
    recipe = replace(recipe, precision="float64", optimizer=OptimizerSpec(0.01, schedule="constant", kind="sgd"))
    options = {"data_dir": folder.parent, "checkpoint_seconds": 0}
    whole = train_recipe(recipe, tmp_path / "whole", **options)
    assert 0 <= whole.test_accuracy <= 1
    with pytest.raises(InterruptedRunError):
        train_recipe(recipe, tmp_path / "cut", progress=Stop(recipe.epochs, 3), workers=1, **options)
    train_recipe(recipe, tmp_path / "cut", resume=True, **options)
    a, b = (load_tensors(tmp_path / run / "checkpoint.safetensors")[0] for run in ("whole", "cut"))
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert train_together(recipe, tmp_path / "two", **options) == [0, 0]
    two = load_tensors(tmp_path / "two" / "checkpoint.safetensors")[0]
    assert all(torch.allclose(two[name], a[name], rtol=1e-9, atol=1e-9) for name in a)


def test_a_folder_trains_resumes_and_is_shared_by_two_processes(recipe, folder, tmp_path):
    trains_resumes_and_is_shared(replace(recipe, epochs=2), folder, tmp_path)
    run, data = tmp_path / "whole", {"data_dir": folder.parent}
    right = hits(run, "test", **data)
    assert len(right) == 12
    assert evaluate_run(run, **data).accuracy == right.mean()
    assert evaluate_run(run, limit=5, **data).accuracy == right[:5].mean()
    (network,) = measure_mismatch([run], images=3, coordinates=5, **data).networks
    assert {figure.coordinates for figure in network.figures} == {5}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [("alexnet", 67), ("googlenet", 96), ("resnet18", 64)])
def test_the_big_networks_learn_from_a_folder(recipe, folder, tmp_path, name, size):
    """Maps are large enough for channels to vary over the batch: the gradient of a constant one's bias is nothing but
    rounding, whose sign goes into a code, so that two processes would differ from one."""
    model = ModelSpec(hidden=(), weights=WeightSpec("binary"), network=NetworkSpec(name, width=1 / 16))
    big = replace(recipe, model=model, folder=FolderSpec(size, 3), epochs=1)
    trains_resumes_and_is_shared(big, folder, tmp_path)


def test_folders_that_will_not_do_are_said(folder, tmp_path, recipe):
    with pytest.raises(DataError, match=r"there is no .*val; give --data-dir .* train/CLASS and val/CLASS"):
        list_pictures(tmp_path, "test", 3)
    with pytest.raises(DataError, match=r"has folders of 3 classes, the recipe's folder\.classes is 1000"):
        list_pictures(folder, "train", 1000)
    for name in ("a", "b"):
        (tmp_path / "train" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="a has no picture for train"):
        list_pictures(tmp_path, "train", 2)
    (tmp_path / "broken.jpeg").write_bytes(b"\xff\xd8 no picture")
    with pytest.raises(DataError, match=r"broken\.jpeg cannot be read as a picture"):
        read_picture(tmp_path / "broken.jpeg", 8)
    with pytest.raises(UsageError, match="folder goes with dataset: imagenet, not digits"):
        replace(recipe, dataset="digits")
    with pytest.raises(UsageError, match="workers must be at least 1, not 0"):
        train_recipe(recipe, tmp_path / "run", data_dir=folder, workers=0)
    assert replace(recipe, folder=None).info.shape == (224, 224, 3)
