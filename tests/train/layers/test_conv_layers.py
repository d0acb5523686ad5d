import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from xnorflow.compiler import compare_with_module, compile_module
from xnorflow.errors import UsageError
from xnorflow.train.layers.modules import ChannelsFirst, QuantConv2d, SumPool2d
from xnorflow.train.layers.norms import BatchNorm2d
from xnorflow.train.layers.quantizers import BinaryWeights
from xnorflow.train.loop.optim import build_optimizer, glorot_scale, parameter_groups
from xnorflow.train.models.build import build_model
from xnorflow.train.recipe import ConvSpec, load_recipe, with_overrides


def test_a_convolution_multiplies_signs_and_pads_with_its_value():
    torch.manual_seed(0)
    layer = QuantConv2d(
        3, 5, (3, 2), weight=BinaryWeights(), stride=(2, 1), padding=(2, 1), dilation=(2, 1), pad_value=-1
    )
    x = torch.randint(0, 2, (4, 3, 7, 6)).float() * 2 - 1
    bordered = torch.full((4, 3, 11, 8), -1.0)
    bordered[:, :, 2:9, 1:7] = x
    expected = F.conv2d(bordered, torch.where(layer.weight >= 0, 1.0, -1.0), None, (2, 1), 0, (2, 1))
    assert torch.equal(layer(x), expected)
    assert layer.fans == (3 * 6, 5 * 6)
    bound = (6 / sum(layer.fans)) ** 0.5
    assert 0.9 * bound < float(layer.weight.detach().abs().max()) <= bound


def test_the_gradient_goes_straight_to_the_latent_weights():
    layer = QuantConv2d(1, 1, 2, weight=BinaryWeights())
    x = torch.arange(9.0).reshape(1, 1, 3, 3)
    layer(x).sum().backward()
    assert layer.weight.grad is not None
    assert layer.weight.grad.flatten().tolist() == [8.0, 12.0, 20.0, 24.0]


def test_groups_see_their_own_channels_and_start_from_their_own_fans():
    torch.manual_seed(0)
    layer = QuantConv2d(60, 120, 3, weight=BinaryWeights(), groups=30)
    x = torch.randint(0, 2, (2, 60, 4, 4)).float() * 2 - 1
    whole = layer(x)
    for group in range(30):
        weight = torch.where(layer.weight[4 * group : 4 * group + 4] >= 0, 1.0, -1.0)
        assert torch.equal(whole[:, 4 * group : 4 * group + 4], F.conv2d(x[:, 2 * group : 2 * group + 2], weight))
    assert layer.fans == (18, 36)
    bound = (6 / 54) ** 0.5
    assert 0.99 * bound < float(layer.weight.detach().abs().max()) <= bound


def test_without_groups_the_start_is_torchs_glorot():
    torch.manual_seed(3)
    layer = QuantConv2d(4, 5, (3, 2), weight=BinaryWeights())
    plain = nn.Conv2d(4, 5, (3, 2), bias=False)
    torch.manual_seed(3)
    nn.init.xavier_uniform_(plain.weight)
    assert torch.equal(layer.weight, plain.weight)


@pytest.mark.parametrize(("kernel", "dilation"), [((2, 3), 1), (4, (1, 2)), (1, 1), ((3, 2), (2, 3))])
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_padding_is_torchs(kernel: int | tuple[int, int], dilation: int | tuple[int, int]):
    layer = QuantConv2d(2, 3, kernel, weight=BinaryWeights(), dilation=dilation, padding="same")
    theirs = nn.Conv2d(2, 3, kernel, dilation=dilation, padding="same", bias=False)
    theirs.weight.data = torch.where(layer.weight >= 0, 1.0, -1.0)
    x = torch.randint(0, 4, (2, 2, 9, 8)).float()
    assert torch.equal(layer(x), theirs(x).round())


def test_a_sum_pool_is_an_average_pool_without_its_divisor():
    x = torch.randint(-3, 4, (2, 3, 6, 5)).float()
    assert torch.equal(SumPool2d(2)(x), (F.avg_pool2d(x, 2) * 4).round())
    assert torch.equal(SumPool2d((3, 2), (2, 1))(x), (F.avg_pool2d(x, (3, 2), (2, 1)) * 6).round())
    assert torch.equal(SumPool2d()(x), x.sum((2, 3), keepdim=True))
    assert repr(SumPool2d()) == "SumPool2d(global)" and "stride=2" in repr(SumPool2d(2))
    with pytest.raises(UsageError, match="kernel_size of SumPool2d must be positive whole numbers, not 0"):
        SumPool2d(0)
    with pytest.raises(UsageError, match="leave out the stride"):
        SumPool2d(stride=2)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"kernel_size": 0}, "kernel_size must be positive whole numbers, not 0"),
        ({"stride": (1, 0)}, r"stride must be positive whole numbers, not \(1, 0\)"),
        ({"padding": -1}, "padding must be whole numbers from 0 up or 'same', not -1"),
        ({"padding": (1, 0, 1)}, r"padding must be whole numbers from 0 up or 'same', not \(1, 0, 1\)"),
        ({"padding": "same", "stride": 2}, r"padding 'same' takes stride 1, not \(2, 2\)"),
        ({"groups": 0}, "groups must be positive whole numbers, not 0"),
        ({"groups": 2}, "groups must divide 1 channels and 1 outputs, not 2"),
        ({"weight": None}, "weight must be a WeightQuantizer"),
    ],
)
def test_wrong_arguments_are_named(options: dict, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        QuantConv2d(1, 1, **({"kernel_size": 3, "weight": BinaryWeights()} | options))


def test_batch_norm_is_a_product_and_a_sum_in_eval_and_torchs_own_in_training():
    torch.manual_seed(1)
    ours, theirs = BatchNorm2d(4), nn.BatchNorm2d(4)
    x = 5 * torch.randn(6, 4, 3, 2) + 1
    assert torch.equal(ours(x), theirs(x))
    ours.eval()
    alpha = 1 / torch.sqrt(ours.running_var.double() + ours.eps)
    beta = -ours.running_mean.double() * alpha
    expected = x * alpha.float()[:, None, None] + beta.float()[:, None, None]
    assert torch.equal(ours(x), expected)
    assert torch.equal(ours(x.contiguous(memory_format=torch.channels_last)), expected)
    torch.testing.assert_close(ours(x), theirs.eval()(x))


def test_channels_first():
    x = torch.arange(24).reshape(1, 2, 3, 4)
    assert torch.equal(ChannelsFirst()(x), x.permute(0, 3, 1, 2))
    assert torch.equal(ChannelsFirst()(x[..., 0]), x[..., :1].permute(0, 3, 1, 2))
    with pytest.raises(UsageError, match="takes images"):
        ChannelsFirst()(x.flatten(1))


def test_learning_rates_and_clipping_reach_convolutions():
    recipe = load_recipe("cifar10-cnv")
    model = nn.Sequential(QuantConv2d(2, 3, 2, weight=BinaryWeights()))
    (group,) = parameter_groups(model, recipe.optimizer)
    assert group["lr_scale"] == glorot_scale(8, 12)
    optimizer = build_optimizer(model, recipe.optimizer)
    model[0].weight.data.fill_(1.5)
    model[0].weight.grad = torch.zeros_like(model[0].weight)
    optimizer.step()
    assert float(model[0].weight.detach().abs().max()) == 1.0


def test_the_cifar10_recipe_is_finns_topology_learns_a_step_and_compiles_exactly():
    recipe = load_recipe("cifar10-cnv")
    torch.manual_seed(recipe.seed)
    model = build_model(recipe)
    shapes = [tuple(m.weight.shape) for m in model.modules() if hasattr(m, "weight_quantizer")]
    assert shapes[:2] == [(64, 3, 3, 3), (64, 64, 3, 3)]
    assert shapes[-3:] == [(512, 256), (512, 512), (10, 512)]
    optimizer = build_optimizer(model, recipe.optimizer)
    raw = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3)).astype(np.uint8)
    labels = torch.arange(8) % 10
    before = [p.detach().clone() for p in model.parameters()]
    F.cross_entropy(model(torch.from_numpy(raw)), labels).backward()
    optimizer.step()
    assert all(not torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))
    network = compile_module(model, raw[:1])
    assert [node.name for node in network.nodes[:7]] == [
        "inputs",
        "conv1",
        "conv_act1",
        "conv2",
        "conv_act2",
        "pool2",
        "conv3",
    ]
    comparison = compare_with_module(network, model.eval(), raw)
    assert (comparison.disagreements, comparison.plain_differences) == (0, 0)


def test_recipes_refuse_what_does_not_fit():
    with pytest.raises(UsageError, match="augment distorts images"):
        with_overrides(load_recipe("shakespeare-lstm"), ["augment={rotate: 5}"])
    with pytest.raises(UsageError, match="padding must not be negative"):
        ConvSpec(3, padding=-1)
    tall = with_overrides(load_recipe("cifar10-cnv"), ["model.convs=[{channels: 4, kernel: 40}]"])
    with pytest.raises(UsageError, match=r"model: the convolutions do not fit images of shape \(32, 32, 3\)"):
        build_model(tall)
