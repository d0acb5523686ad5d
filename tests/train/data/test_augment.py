import torch

from xnorflow.train.data.augment import distort
from xnorflow.train.recipe import AugmentSpec


def test_no_distortion_leaves_the_pixels():
    images = torch.randint(0, 256, (5, 8, 8), dtype=torch.uint8)
    assert torch.equal(distort(images, AugmentSpec()), images)
    nearly = distort(images, AugmentSpec(shift=1e-6))
    torch.testing.assert_close(nearly, images.float(), rtol=0, atol=1e-2)


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


def test_a_crop_moves_whole_pixels_and_a_flip_mirrors():
    """Every output is one of the images that shifting and mirroring by hand gives, and many of them turn up."""
    torch.manual_seed(0)
    image = torch.randint(1, 256, (5, 4, 3), dtype=torch.uint8)
    padded = torch.zeros(9, 8, 3, dtype=torch.uint8)
    padded[2:7, 2:6] = image
    expected = {
        (top, left, mirrored): (window.flip(1) if mirrored else window)
        for top in range(5)
        for left in range(5)
        for window in [padded[top : top + 5, left : left + 4]]
        for mirrored in (False, True)
    }
    out = distort(image.expand(400, 5, 4, 3), AugmentSpec(crop=2, flip=True))
    assert out.dtype == torch.uint8
    seen = {key for moved in out for key, window in expected.items() if torch.equal(moved, window)}
    assert all(any(torch.equal(moved, window) for window in expected.values()) for moved in out)
    assert len(seen) == len(expected)


def test_colour_planes_move_together():
    torch.manual_seed(0)
    grey = torch.randint(0, 256, (6, 8, 8), dtype=torch.uint8)
    spec = AugmentSpec(rotate=20, scale=0.1, shear=0.1, shift=1, crop=1, flip=True)
    torch.manual_seed(3)
    alone = distort(grey, spec)
    torch.manual_seed(3)
    colour = distort(grey[..., None].expand(6, 8, 8, 3), spec)
    assert colour.shape == (6, 8, 8, 3)
    for channel in range(3):
        assert torch.equal(colour[..., channel], alone)
