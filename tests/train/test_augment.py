import torch

from xnorflow.train.augment import distort
from xnorflow.train.recipe import AugmentSpec


def test_no_distortion_leaves_the_pixels():
    images = torch.randint(0, 256, (5, 8, 8), dtype=torch.uint8)
    torch.testing.assert_close(distort(images, AugmentSpec()), images.float(), rtol=0, atol=1e-3)


def test_shapes_types_and_range():
    images = torch.full((6, 10, 12), 255, dtype=torch.uint8)
    out = distort(images, AugmentSpec(rotate=20, scale=0.2, shear=0.2, shift=2))
    assert out.shape == (6, 10, 12)
    assert out.dtype == torch.float32
    assert float(out.min()) == 0.0  # beyond the edges
    assert float(out.max()) <= 255.001


def test_a_shift_moves_the_centre_of_mass_by_at_most_that_many_pixels():
    torch.manual_seed(0)
    images = torch.zeros(200, 28, 28)
    images[:, 13:15, 13:15] = 1.0
    out = distort(images, AugmentSpec(shift=3))
    place = torch.arange(28.0)
    for profile in (out.sum(1), out.sum(2)):
        moved = (profile * place).sum(1) / profile.sum(1) - 13.5
        assert float(moved.abs().max()) <= 3.001
        assert float(moved.max()) > 2.5  # both directions, and nearly all of the range
        assert float(moved.min()) < -2.5


def test_a_quarter_turn_is_one():
    """rotate bounds the angle: with 90 degrees the extreme draw is a transposition with a flip."""
    images = torch.zeros(1, 9, 9)
    images[0, 4, 8] = 1.0
    seen = set()
    torch.manual_seed(1)
    for _ in range(400):
        out = distort(images, AugmentSpec(rotate=90))
        seen.add(int(out[0].argmax()) // 9)
    assert {0, 8} & seen  # the point at the right edge reaches the top or bottom rows
    assert len(seen) > 4


def test_draws_come_from_torchs_generator():
    images = torch.rand(3, 8, 8)
    spec = AugmentSpec(rotate=9, shift=1)
    outs = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        outs.append(distort(images, spec))
    assert torch.equal(outs[0], outs[1])
    assert not torch.equal(outs[0], outs[2])
