import pytest
import torch

from xnorflow.errors import UsageError
from xnorflow.train.layers.activations import LinearQuant
from xnorflow.train.layers.modules import QuantConv2d, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.qnn import TernaryWeights
from xnorflow.train.models.build import build_model
from xnorflow.train.models.residual import ResidualBlock, residual_layers
from xnorflow.train.recipe import BlockSpec, ConvSpec, ModelSpec, NormSpec, ResidualSpec, load_recipe, with_overrides


def block(channels: int = 4, outputs: int = 4, stride: int = 1) -> ResidualBlock:
    torch.manual_seed(0)
    return ResidualBlock(channels, outputs, stride, 4, 0.5, NormSpec())


@pytest.mark.parametrize(("outputs", "stride", "shape"), [(4, 1, (4, 6, 5)), (8, 1, (8, 6, 5)), (8, 2, (8, 3, 3))])
def test_the_stream_stays_on_its_grid(outputs: int, stride: int, shape: tuple[int, ...]):
    layer = block(4, outputs, stride)
    x = torch.randint(-8, 8, (3, 4, 6, 5)).float()
    for mode in (layer.train(), layer.eval()):
        y = mode(x)
        assert y.shape == (3, *shape)
        assert torch.equal(y, y.round()) and y.min() >= -8 and y.max() <= 7


def test_a_shortcut_is_there_where_the_shape_changes_alone():
    assert block().shortcut is None
    assert block(4, 8).shortcut is not None and block(4, 4, 2).shortcut is not None


def test_without_a_branch_the_block_is_the_identity():
    layer = block().eval()
    with torch.no_grad():
        layer.norm.weight.zero_()
        layer.norm.bias.zero_()
    x = torch.randint(-8, 8, (2, 4, 5, 5)).float()
    assert torch.equal(layer(x), x)


def test_a_sum_beyond_the_grid_is_clipped():
    layer = block().eval()
    with torch.no_grad():
        layer.norm.weight.zero_()
        layer.norm.bias.fill_(1.0)  # two steps
    x = torch.full((1, 4, 3, 3), 6.0)
    assert torch.equal(layer(x), torch.full_like(x, 7.0))
    assert torch.equal(layer(x - 7), x - 5)


def test_both_operands_have_the_same_step():
    layer = block(4, 8, 2)
    steps = [
        module.step for name, module in layer.named_modules() if isinstance(module, LinearQuant) and name != "clip"
    ]
    assert steps == [0.5, 0.5] and layer.clip.step == 1.0


def test_the_gradient_reaches_the_first_layer_past_every_block():
    torch.manual_seed(0)
    spec = ResidualSpec(4, (BlockSpec(4), BlockSpec(6, 2), BlockSpec(6)))
    layers = torch.nn.Sequential(residual_layers(spec, 1, NormSpec()))
    out = layers(torch.randint(0, 16, (8, 1, 8, 8)).float())
    (out * torch.randn_like(out)).sum().backward()  # a plain sum does not depend on what a BatchNorm reads
    assert layers.stem.weight.grad is not None and layers.stem.weight.grad.abs().sum() > 0
    assert [name for name, _ in layers.named_children()] == [
        *("stem", "stem_norm", "stem_act", "block1", "block2", "block3"),
        *("pool", "pool_norm", "pool_act"),
    ]


@pytest.mark.parametrize(("name", "count"), [("digits-resnet", 3), ("cifar10-resnet", 6)])
def test_recipes_make_models(name: str, count: int):
    recipe = load_recipe(name)
    model = build_model(recipe).eval()
    shape = (2, 8, 8) if name.startswith("digits") else (2, 32, 32, 3)
    assert model(torch.zeros(shape)).shape == (2, 10)
    assert sum(isinstance(layer, ResidualBlock) for layer in model) == count


def test_hidden_layers_may_stand_behind():
    model = build_model(with_overrides(load_recipe("digits-resnet"), ["model.hidden=[12]"]))
    assert model.fc1.out_features == 12 and model.fc1.in_features == 32


def test_weights_and_signs_are_the_models():
    overrides = ["model.weights.kind=ternary", "model.activation={kind: stochastic, surrogate: reste}"]
    model = build_model(with_overrides(load_recipe("digits-resnet"), overrides))
    layers = [layer for layer in model.modules() if isinstance(layer, QuantConv2d | QuantLinear)]
    signs = [layer for layer in model.modules() if isinstance(layer, Sign)]
    assert len(layers) == 6 and len(signs) == 3  # stem, three blocks, a shortcut, scores
    assert all(isinstance(layer.weight_quantizer, TernaryWeights) for layer in layers)
    assert all((sign.stochastic, sign.surrogate) == (True, "reste") for sign in signs)


def test_blocks_without_a_sign_are_refused_where_hidden_layers_may_have_none():
    recipe = with_overrides(load_recipe("digits-resnet"), ["model.hidden=[12]"])
    with pytest.raises(UsageError, match="must be of kind sign or stochastic, not relu; `layers` has others"):
        build_model(with_overrides(recipe, ["model.activation={kind: relu, bits: 4}"]))
    model = build_model(with_overrides(recipe, ["model.layers.fc1.activation={kind: relu, bits: 4}"]))
    assert isinstance(model.act1, QuantReLU) and isinstance(model.block1.sign, Sign)


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"blocks": ()}, "at least one block"),
        ({"bits": 1}, "at least one block and 2 bits"),
        ({"bits": 9}, "bits must be from 1 to 8"),
        ({"step": 0.0}, "step must be positive"),
        ({"stem": 0}, "stem must be positive"),
    ],
)
def test_specs_that_cannot_be(fields: dict, complaint: str):
    with pytest.raises(UsageError, match=complaint):
        ResidualSpec(**{"stem": 4, "blocks": (BlockSpec(4),)} | fields)


def test_a_model_has_one_front():
    with pytest.raises(UsageError, match="one of convs, residual, recurrent and network, not convs and residual"):
        ModelSpec((), (ConvSpec(4),), ResidualSpec(4, (BlockSpec(4),)))
    with pytest.raises(UsageError, match="channels must be positive"):
        BlockSpec(0)
