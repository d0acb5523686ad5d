from collections.abc import Callable

import pytest
import torch
from modules import mlp, shake
from torch import Tensor, nn
from torch.nn import functional as F

from xnorflow.compiler.lowering.roles import Role
from xnorflow.compiler.lowering.trace import trace
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.modules import BinaryLinear, InputQuantizer, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm
from xnorflow.train.layers.quantizers import FloatWeights


class Block(nn.Module):
    """A user's own module: traced through, not a leaf."""

    def __init__(self, columns: int, rows: int) -> None:
        super().__init__()
        self.Linear = BinaryLinear(columns, rows)
        self.norm = nn.BatchNorm1d(rows)
        self.act = Sign()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.norm(self.Linear(x)))


class Wrapped(nn.Module):
    """forward is any function of the module and the input."""

    def __init__(self, forward: Callable[["Wrapped", Tensor], Tensor]) -> None:
        super().__init__()
        self.quantize = InputQuantizer(1)
        self.fc = BinaryLinear(8, 4)
        self.norm = BatchNorm1d(4)
        self.act = Sign()
        self.out = BinaryLinear(4, 3)
        self.scale = nn.Parameter(torch.tensor(0.5))
        self.run = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x)


def names(module: nn.Module) -> list[tuple[str, str]]:
    """Each dot product and the site behind it."""
    sites = trace(module).sites
    return [(site.name, sites[index + 1].name) for index, site in enumerate(sites) if site.role is Role.DOT]


def test_names_follow_the_qualified_paths():
    module = nn.Sequential(
        InputQuantizer(1), nn.Flatten(), Block(8, 4), nn.Sequential(Block(4, 4), nn.Identity()), BinaryLinear(4, 3)
    )
    assert names(module) == [
        ("fc2_linear", "act2_act"),
        ("fc3_0_linear", "act3_0_act"),
        ("fc4", "scores"),
    ]


def test_a_layer_used_twice_gets_two_names():
    block = Block(8, 8)
    module = nn.Sequential(InputQuantizer(1), block, block, BinaryLinear(8, 2))
    assert names(module) == [("fc1_linear", "act1_act"), ("fc1_linear_2", "act1_act_2"), ("fc3", "scores")]


def test_names_that_verilog_reserves_are_changed():
    module = nn.Sequential()
    module.add_module("input", BinaryLinear(4, 4))
    module.add_module("reg", Sign())
    module.add_module("scores", BinaryLinear(4, 2))
    assert names(module) == [("fc_input", "act_reg"), ("scores_2", "scores")]


@pytest.mark.parametrize(
    "flatten",
    [
        lambda m, x: torch.flatten(x, 1),
        lambda m, x: x.flatten(1),
        lambda m, x: x.view(x.shape[0], -1),
        lambda m, x: x.reshape(x.size(0), -1),
        lambda m, x: torch.reshape(x, (x.shape[0], 8)),
        lambda m, x: x.contiguous().view(-1, 8),
    ],
)
def test_every_way_of_flattening(flatten: Callable[[Wrapped, Tensor], Tensor]):
    module = Wrapped(lambda m, x: m.out(m.act(m.norm(m.fc(flatten(m, m.quantize(x)))))))
    assert [name for name, _ in names(module)] == ["fc", "out"]


def test_all_unsupported_operations_are_listed_at_once():
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 1, 1)
            self.inner = nn.Sequential(nn.Linear(8, 8), nn.Tanh())
            self.floats = QuantLinear(8, 8, weight=FloatWeights())
            self.norm = nn.BatchNorm1d(8, track_running_stats=False)
            self.act = Sign()
            self.out = BinaryLinear(8, 3)

        def forward(self, x: Tensor) -> Tensor:
            x = self.floats(torch.sign(self.inner(self.conv(x).flatten(1)).cos()))
            return F.softmax(self.out(self.act(self.norm(x))), dim=1)

    with pytest.raises(UnsupportedLayerError) as caught:
        trace(Odd())
    text = str(caught.value)
    for complaint in (
        "no integer form for 8 of the operations",
        "conv (Conv2d) has float weights; use QuantConv2d",
        "inner.0 (Linear) has float weights; use QuantLinear",
        "inner.1 (Tanh) has no integer form",
        "cos in forward has no integer form",
        "sign in forward is 0 at 0; use the Sign layer",
        "floats (QuantLinear) has FloatWeights, which are no integers",
        "norm (BatchNorm1d) has no running statistics",
        "softmax in forward does not change the class",
    ):
        assert complaint in text
    assert "\n" not in text


def test_a_function_is_named_with_the_module_it_stands_in():
    module = nn.Sequential(nn.Sequential(Wrapped(lambda m, x: torch.tanh(m.quantize(x)))))
    with pytest.raises(UnsupportedLayerError, match=r"tanh in 0\.0 has no integer form"):
        trace(module)


MISPLACED: list[tuple[Callable[[], nn.Module], str]] = [
    (
        lambda: nn.Sequential(BinaryLinear(8, 4), BinaryLinear(4, 2)),
        r"1 \(BinaryLinear\) follows a dot product",
    ),
    (lambda: nn.Sequential(BatchNorm1d(8), BinaryLinear(8, 2)), r"1 \(BinaryLinear\) follows a dot product or a sum"),
    (lambda: nn.Sequential(BinaryLinear(8, 2), Sign()), r"1 \(Sign\) ends the module"),
    (lambda: nn.Sequential(InputQuantizer(1)), r"0 \(InputQuantizer\) ends the module"),
    (lambda: nn.Sequential(nn.Flatten()), r"0 \(Flatten\) ends the module"),
    (
        lambda: nn.Sequential(BinaryLinear(8, 2), Sign(), InputQuantizer(1), BinaryLinear(2, 2)),
        r"2 \(InputQuantizer\) stands behind other layers",
    ),
    (
        lambda: nn.Sequential(InputQuantizer(1), InputQuantizer(1), BinaryLinear(2, 2)),
        r"1 \(InputQuantizer\) stands behind other layers",
    ),
    (
        lambda: Wrapped(lambda m, x: m.out(m.act(m.fc(x) + m.fc(x)))),
        "add in forward adds numbers that are no codes; put an activation",
    ),
    (lambda: Wrapped(lambda m, x: (m.out(m.act(m.fc(x))), x)), "output output is not the result of the last layer"),
    (
        lambda: Wrapped(lambda m, x: m.out(m.act(m.fc(x) * x.shape[0]))),
        "mul in forward computes with the shape of a tensor",
    ),
]


@pytest.mark.parametrize(("module", "complaint"), MISPLACED, ids=[complaint for _, complaint in MISPLACED])
def test_misplaced_operations_are_named(module: Callable[[], nn.Module], complaint: str):
    with pytest.raises(UnsupportedLayerError, match=complaint):
        trace(module())


def test_a_second_input_is_named():
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc = BinaryLinear(8, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            return self.fc(x)

    with pytest.raises(UnsupportedLayerError, match="placeholder y is a second input"):
        trace(Two())


@pytest.mark.parametrize(
    "forward",
    [
        lambda m, x: m.out(x) if x.sum() > 0 else m.fc(x),
        lambda m, x: m.missing(x),
        lambda m, x: m.out(torch.zeros(x.shape[0], 4)),
    ],
)
def test_what_fx_cannot_trace_is_one_line(forward: Callable[[Wrapped, Tensor], Tensor]):
    with pytest.raises(UsageError, match="Wrapped cannot be copied and traced|not the result|ends the") as caught:
        trace(Wrapped(forward))
    assert "\n" not in str(caught.value)


def test_only_modules_are_traced():
    with pytest.raises(UsageError, match=r"a torch\.nn\.Module can be compiled, not function"):
        trace(lambda x: x)


def test_the_callers_module_stays_as_it_was():
    module = mlp((8, 6, 3)).double().train()
    module.head.eval()
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    traced = trace(module)
    assert module.training and module.fc1.training and not module.head.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())
    assert module.norm1.weight.dtype == torch.float64
    dot = traced.dot(next(site for site in traced.sites if site.role is Role.DOT))
    assert not dot.training and dot.weight.dtype == torch.float32


def test_score_norm_is_seen_only_where_it_alone_makes_the_outputs():
    assert trace(mlp((8, 6, 3))).score_norm is not None
    assert trace(mlp((8, 6, 3), head=nn.BatchNorm1d)).score_norm is None
    assert trace(mlp((8, 6, 3), head=None)).score_norm is None
    behind = nn.Sequential(BinaryLinear(8, 3), ScoreNorm(3), nn.Dropout(), nn.Identity())
    assert trace(shake(behind, 0)).score_norm is not None
    assert trace(nn.Sequential(BinaryLinear(8, 3), BatchNorm1d(3), ScoreNorm(3))).score_norm is None
    biased = nn.Sequential(QuantLinear(8, 3, weight=BinaryLinear(1, 1).weight_quantizer, bias=True), ScoreNorm(3))
    assert trace(biased).score_norm is None


def test_the_path_ends_with_the_activation():
    traced = trace(
        nn.Sequential(BinaryLinear(8, 4), BatchNorm1d(4), QuantReLU(2, 1.0), nn.Flatten(), BinaryLinear(4, 2))
    )
    act, out, scores = traced.sites[2:]
    assert [str(node.target) for node in act.path] == ["1", "2"] and act.value.target == "2"
    assert [str(node.target) for node in out.path] == ["3"] and scores.path == () and scores.value is out.operation
