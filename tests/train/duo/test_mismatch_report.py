import json
from dataclasses import replace

import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.duo.mismatch_report import measure_mismatch, sample_loss, write_mismatch
from xnorflow.train.loop.losses import build_loss
from xnorflow.train.recipe import load_recipe


@pytest.mark.parametrize(("name", "smoothing"), [("square-hinge", 0.0), ("cross-entropy", 0.0), ("cross-entropy", 0.1)])
def test_the_mean_of_the_samples_losses_is_the_recipes(name, smoothing):
    recipe = replace(load_recipe("digits"), loss=name, label_smoothing=smoothing)
    torch.manual_seed(0)
    scores, labels = torch.randn(20, 10), torch.randint(0, 10, (20,))
    each = sample_loss(recipe)(scores, labels)
    assert each.shape == (20,)
    torch.testing.assert_close(each.mean(), build_loss(name, smoothing)(scores, labels))


def test_a_report_of_recipes_is_written_and_drawn(tmp_path):
    report = measure_mismatch(["digits-vgg", "digits"], coordinates=20, images=8, surrogates=["identity"])
    assert [network.activation for network in report.networks] == ["ternary", "sign 1-bit"]
    first, second = (network.figures for network in report.networks)
    assert [f.layer for f in first] == ["conv_act1", "conv_act2", "conv_act3", "conv_act4", "act1"]
    assert {f.backward for f in second} == {"own", "identity"} and not report.networks[0].trained
    data, plot = write_mismatch(report, tmp_path / "out")
    assert json.loads(data.read_text())["networks"][1]["figures"][0]["layer"] == "act1"
    assert plot.read_bytes().startswith(b"\x89PNG")
    with pytest.raises(UsageError, match="images must be at least 1, not 0"):
        measure_mismatch(["digits"], images=0)


def test_random_state_stays(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    measure_mismatch(["digits"], coordinates=4, images=2)
    assert torch.equal(torch.rand(3), expected)
