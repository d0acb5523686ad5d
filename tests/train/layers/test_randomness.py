import pytest
import torch

from xnorflow.train.layers.dropout import Dropout
from xnorflow.train.layers.modules import Sign
from xnorflow.train.layers.quantizers import BinaryWeights
from xnorflow.train.layers.randomness import draw_per_sample, draw_shared, hashed, keyed, uniform

CPU = torch.device("cpu")
UNIFORM = uniform(0, 1, torch.float32, CPU)


def draws(*key, part=0, parts=1, rows=6):
    with keyed(*key, part=part, parts=parts):
        return [
            draw_shared(UNIFORM, (4,), CPU),
            draw_per_sample(UNIFORM, (rows // parts, 3), CPU),
            draw_shared(UNIFORM, (4,), CPU),
            draw_per_sample(UNIFORM, (rows // parts, 2, 2), CPU),
        ]


def test_the_key_decides_and_nothing_else():
    torch.rand(3)
    first = draws(1, 2)
    torch.rand(5)
    assert all(torch.equal(a, b) for a, b in zip(first, draws(1, 2), strict=True))
    for other in ((1, 3), (2, 2), (12,), (1, 2, 0)):
        assert not any(torch.equal(a, b) for a, b in zip(first, draws(*other), strict=True))
    assert not torch.equal(first[0], first[2])  # every draw of a step is another


@pytest.mark.parametrize("parts", [2, 3, 6])
def test_parts_share_what_is_shared_and_have_the_rows_of_their_samples(parts):
    whole = draws(5, 7)
    cut = [draws(5, 7, part=part, parts=parts) for part in range(parts)]
    for place in (0, 2):
        assert all(torch.equal(part[place], whole[place]) for part in cut)
    for place in (1, 3):
        assert torch.equal(torch.cat([part[place] for part in cut]), whole[place])


def test_layers_draw_by_the_key():
    x, weight = torch.linspace(-1, 1, 240).view(12, 20), torch.linspace(-1, 1, 50)
    layers = (Sign(stochastic=True), Dropout(0.3))
    with keyed(3, 1):
        whole = [layer(x) for layer in layers]
        weights = BinaryWeights(stochastic=True)(weight)
    for part in range(3):
        with keyed(3, 1, part=part, parts=3):
            rows = slice(4 * part, 4 * part + 4)
            assert all(torch.equal(layer(x[rows]), out[rows]) for layer, out in zip(layers, whole, strict=True))
            assert torch.equal(BinaryWeights(stochastic=True)(weight), weights)
    with keyed(3, 2):
        assert not torch.equal(layers[0](x), whole[0])


def test_layers_of_others_draw_anew_in_every_part_and_alike_in_every_run():
    def others(part):
        with keyed(1, 1, part=part, parts=2):
            return torch.rand(5)

    assert torch.equal(others(0), others(0))
    assert not torch.equal(others(0), others(1))


def test_outside_of_a_block_numbers_come_from_torchs_generator():
    torch.manual_seed(4)
    expected = torch.rand(8)
    torch.manual_seed(4)
    assert torch.equal(draw_shared(UNIFORM, (8,), CPU), expected)
    torch.manual_seed(4)
    assert torch.equal(draw_per_sample(UNIFORM, (8,), CPU), expected)


def test_blocks_nest_and_end_with_an_error():
    with keyed(1, 1):
        before = draw_shared(UNIFORM, (2,), CPU)
        with pytest.raises(ZeroDivisionError), keyed(2, 2):
            raise ZeroDivisionError
        after = draw_shared(UNIFORM, (2,), CPU)
    with keyed(1, 1):
        assert torch.equal(draw_shared(UNIFORM, (4,), CPU), torch.cat([before, after]))
    torch.manual_seed(4)
    expected = torch.rand(2)
    torch.manual_seed(4)
    assert torch.equal(draw_shared(UNIFORM, (2,), CPU), expected)


def test_dropout_keeps_the_mean_and_zeroes_its_share():
    torch.manual_seed(0)
    x = torch.ones(400, 50)
    out = Dropout(0.25)(x)
    assert set(out.unique().tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
    assert abs(float((out == 0).float().mean()) - 0.25) < 0.015
    assert torch.equal(Dropout(0.25).eval()(x), x)
    assert torch.equal(Dropout(0.0)(x), x)
    assert torch.equal(Dropout(1.0)(x), torch.zeros_like(x))


def test_keys_are_mixed():
    seeds = {hashed("shared", seed, step) & 0xFFFFFFFF for seed in range(8) for step in range(500)}
    assert len(seeds) > 3990  # 32 bits are what torch's CPU generator takes
    assert all(0 <= hashed(i) < 2**63 for i in range(100))
