import copy
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from modules import mlp, shake
from torch import Tensor, nn

from xnorflow.compiler import golden
from xnorflow.compiler.ir import CodeType, Encoding, InputTransform, IntegerNetwork, Threshold
from xnorflow.compiler.lowering.module import compile_module
from xnorflow.compiler.ranges import row_ranges
from xnorflow.compiler.storage.network_file import network_bytes
from xnorflow.errors import UnsupportedLayerError, UsageError
from xnorflow.train.layers.modules import BinaryLinear, InputQuantizer, QuantLinear, QuantReLU, Sign
from xnorflow.train.layers.norms import BatchNorm1d, ScoreNorm
from xnorflow.train.layers.quantizers import BinaryWeights, BipolarWeights


def every_input(columns: int, levels: int) -> np.ndarray:
    return np.array(list(product(range(levels), repeat=columns)), np.uint8)


def tapped(module: nn.Module, raw: Tensor) -> tuple[dict[str, Tensor], Tensor]:
    """What each named layer of the module yields in a plain call, and the outputs."""
    seen: dict[str, Tensor] = {}
    handles = [
        layer.register_forward_hook(lambda _, __, result, name=name: seen.update({name: result}))
        for name, layer in module.named_children()
    ]
    with torch.no_grad():
        outputs = module(raw)
    for handle in handles:
        handle.remove()
    return seen, outputs


def assert_equal(network: IntegerNetwork, module: nn.Module, raw: np.ndarray) -> None:
    """Golden model against a plain call of the module with hooks: every accumulator, code and class."""
    seen, outputs = tapped(module, torch.from_numpy(raw))
    trace = golden.run(network, network.input_codes(raw))
    for stage in network.stages():
        assert np.array_equal(trace[stage.dot.name], seen[stage.dot.name].numpy())
        if isinstance(stage.sink, Threshold):
            assert np.array_equal(stage.sink.type.values(trace[stage.sink.name]), seen[stage.sink.name].numpy())
    assert np.array_equal(trace.classes, outputs.numpy().argmax(axis=1))


NORMS = st.sampled_from([BatchNorm1d, nn.BatchNorm1d])
ACTIVATIONS = st.one_of(
    st.just(Sign()),
    st.builds(QuantReLU, st.integers(1, 4), st.sampled_from([0.05, 0.25, 1.0, 3.0])),
)
QUANTIZERS = st.builds(
    InputQuantizer, st.integers(1, 3), st.sampled_from(["bipolar", "unsigned"]), st.just(0.0), st.just(7.0)
)


HEADS = st.sampled_from([ScoreNorm, BatchNorm1d, nn.BatchNorm1d, None])
SEEDS = st.integers(0, 9999)


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 4), st.lists(st.integers(1, 7), max_size=3), QUANTIZERS, ACTIVATIONS, NORMS, HEADS, SEEDS)
def test_network_equals_module_on_every_input(columns, hidden, quantizer, activation, norm, head, seed):
    module = mlp((columns, *hidden, 3), quantizer, lambda: copy.deepcopy(activation), norm, head, seed)
    raw = every_input(columns, 8)
    network = compile_module(module, raw[:1])
    assert_equal(network, module, raw)


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 90), ACTIVATIONS, NORMS, st.sampled_from(["bipolar", "unsigned"]), st.integers(0, 9999))
def test_thresholds_equal_the_module_on_every_reachable_accumulator(columns, activation, norm, encoding, seed):
    module = mlp((columns, 16, 2), InputQuantizer(2, encoding, 0, 3), lambda: activation, norm, seed=seed)
    network = compile_module(module, np.zeros((1, columns), np.uint8))
    stage = next(network.stages())
    ranges = row_ranges(stage.dot.weights, stage.input_type)
    positions = np.minimum(np.arange(ranges.counts.max())[:, None], ranges.counts - 1)
    acc = ranges.lo + ranges.step * positions
    with torch.no_grad():
        expected = module.act1(module.norm1(torch.from_numpy(acc).float())).numpy()
    assert isinstance(stage.sink, Threshold)
    assert np.array_equal(stage.sink.type.values(golden.threshold(stage.sink, acc)), expected)


def test_score_norm_gives_the_modules_scores_up_to_one_factor():
    module = mlp((30, 12, 5), seed=3)
    raw = np.random.default_rng(0).integers(0, 256, (200, 30), dtype=np.uint8)
    network = compile_module(module, raw[:1])
    with torch.no_grad():
        outputs = module(torch.from_numpy(raw)).numpy()
    scores = golden.run(network, network.input_codes(raw)).scores
    multiplier, _, exponent = module.head.integer_affine()
    biggest = int(np.abs(network.scores.multiplier).argmax())
    factor = int(multiplier[biggest]) // int(network.scores.multiplier[biggest])
    assert np.array_equal(np.ldexp(outputs, exponent), scores * factor)
    everything = np.concatenate([network.scores.multiplier, network.scores.offset])
    assert np.gcd.reduce(everything) == 1


def test_scores_have_no_common_divisor():
    module = mlp((6, 4, 3))
    with torch.no_grad():
        module.head.weight.fill_(0.5)
        module.head.bias.zero_()
        module.head.running_mean.copy_(torch.tensor([0.0, 2.0, -2.0]))
        module.head.running_var.fill_(1.0)
        module.head.eps = 0.0
    multiplier, offset, _ = module.head.integer_affine()
    assert multiplier[0] > 1
    scores = compile_module(module, np.zeros((1, 6), np.uint8)).scores
    assert scores.multiplier.tolist() == [1, 1, 1] and scores.offset.tolist() == [0, -2, 2]


def test_scores_keep_ties_between_classes():
    module = mlp((6, 4, 3), head=nn.BatchNorm1d, seed=1)
    with torch.no_grad():
        module.fc_out.weight[2] = module.fc_out.weight[1]  # classes 1 and 2 are the same
        for tensor in (module.head.weight, module.head.bias, module.head.running_mean, module.head.running_var):
            tensor[2] = tensor[1]
        module.head.bias += torch.tensor([-50.0, 0, 0])
    raw = every_input(6, 2) * 255
    network = compile_module(module, raw[:1])
    trace = golden.run(network, network.input_codes(raw))
    assert np.array_equal(trace.scores[:, 1], trace.scores[:, 2])
    assert set(trace.classes.tolist()) == {1}
    assert_equal(network, module, raw)


def test_slope_zero_is_never_or_always():
    module = mlp((6, 2, 2))
    with torch.no_grad():
        module.norm1.weight.zero_()
        module.norm1.bias.copy_(torch.tensor([0.5, -0.5]))
    threshold = compile_module(module, np.zeros((1, 6), np.uint8)).node("act1")
    assert threshold.thresholds.tolist() == [[-6], [7]]
    assert not threshold.descending.any()


@pytest.mark.parametrize("bits", [2, 3, 8])
def test_wider_weights(bits: int):
    torch.manual_seed(bits)
    layers = [InputQuantizer(2, "unsigned", 0, 3)]
    for name, columns, rows in (("a", 4, 6), ("b", 6, 3)):
        layers += [QuantLinear(columns, rows, weight=BipolarWeights(bits)), BatchNorm1d(rows)]
        layers += [Sign()] if name == "a" else []
    module = shake(nn.Sequential(*layers), bits)
    network = compile_module(module, np.zeros((1, 4), np.uint8))
    raw = every_input(4, 4)
    seen, outputs = tapped(module, torch.from_numpy(raw))
    trace = golden.run(network, network.input_codes(raw))
    assert network.node("fc1").weights.bits == bits
    assert np.array_equal(trace["fc4"], seen["4"].numpy())
    assert np.array_equal(trace.classes, outputs.numpy().argmax(axis=1))


class Scaled(nn.Module):
    """Biases, scalar factors and constants between dot product and activation."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc1 = QuantLinear(6, 8, weight=BinaryWeights(), bias=True)
        self.act1 = QuantReLU(3, 0.3)
        self.fc2 = QuantLinear(8, 3, weight=BinaryWeights(), bias=True)
        self.gain = nn.Parameter(torch.randn(8))
        self.scale = nn.Parameter(torch.tensor(0.125))
        with torch.no_grad():  # eighths: exact in whichever order torch's fused kernel adds them
            for bias in (self.fc1.bias, self.fc2.bias):
                bias.copy_(torch.round(8 * torch.randn(len(bias))) / 8)

    def forward(self, x: Tensor) -> Tensor:
        samples, scale = x.shape[0], self.scale + 0
        x = self.fc1(x).view(samples, -1)
        x = self.act1((x * self.gain - 0.7).div(scale + 1) * 2)
        return self.fc2(x) * scale + 3


def test_biases_and_constant_factors_are_folded():
    module = Scaled().eval()
    raw = every_input(6, 2).astype(np.float32) * 2 - 1
    network = compile_module(module, raw)
    seen, outputs = tapped(module, torch.from_numpy(raw))
    trace = golden.run(network, network.input_codes(raw))
    assert np.array_equal(trace["act1"], seen["act1"].numpy())
    assert np.array_equal(trace.classes, outputs.numpy().argmax(axis=1))


def test_outputs_without_norm_are_the_accumulators():
    scores = compile_module(mlp((6, 4, 3), head=None), np.zeros((1, 6), np.uint8)).scores
    assert scores.multiplier.tolist() == [1, 1, 1] and scores.offset.tolist() == [0, 0, 0]


def headless() -> nn.Module:
    return nn.Sequential(nn.Flatten(), BinaryLinear(8, 4), Sign(), BinaryLinear(4, 2))


def test_the_input_quantizer_is_the_transform():
    network = compile_module(mlp((8, 4, 2), InputQuantizer(3, "unsigned", -1, 6)), np.zeros((1, 2, 2, 2)))
    assert network.input.type == CodeType((2, 2, 2), 3, Encoding.UNSIGNED)
    assert network.input.transform == InputTransform(-1.0, 6.0)


def test_without_a_quantizer_uint8_is_an_eight_bit_input():
    network = compile_module(nn.Sequential(nn.Flatten(), *headless()), torch.zeros(1, 8, dtype=torch.uint8))
    assert network.input.type == CodeType((8,), 8, Encoding.UNSIGNED)
    raw = np.random.default_rng(0).integers(0, 256, (50, 8), dtype=np.uint8)
    assert np.array_equal(network.input_codes(raw), raw)


def test_without_a_quantizer_plus_and_minus_one_is_a_one_bit_input():
    raw = every_input(8, 2).astype(np.float64) * 2 - 1
    network = compile_module(headless(), raw)
    assert network.input.type == CodeType((8,), 1, Encoding.BIPOLAR)
    assert network.input.transform == InputTransform(-1.0, 1.0)
    assert np.array_equal(network.input.type.values(network.input_codes(raw)), raw)


def test_other_inputs_without_a_quantizer_are_refused():
    with pytest.raises(UsageError, match=r"no InputQuantizer and example_input \(torch\.float32\) is neither uint8"):
        compile_module(headless(), torch.rand(3, 8))


@pytest.mark.parametrize(
    ("example", "complaint"),
    [
        (np.zeros(8, np.uint8), r"example_input must be samples \(B, \*shape\), not of shape \(8,\)"),
        (np.zeros((0, 8), np.uint8), r"not of shape \(0, 8\)"),
        (np.zeros((1, 9), np.uint8), r"does not run on example_input \(1, 9\)"),
    ],
)
def test_an_example_that_does_not_fit_is_refused(example: np.ndarray, complaint: str):
    with pytest.raises(UsageError, match=complaint) as caught:
        compile_module(mlp((8, 4, 2)), example)
    assert "\n" not in str(caught.value)


def test_a_view_that_mixes_neurons_is_refused():
    class Regrouped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.fc1, self.norm, self.act, self.fc2 = BinaryLinear(4, 4), BatchNorm1d(2), Sign(), BinaryLinear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.fc2(self.act(self.norm(self.fc1(x).view(-1, 2))))

    with pytest.raises(UnsupportedLayerError, match=r"view yields shape \(6, 2\) for 3 samples"):
        compile_module(Regrouped(), np.ones((3, 4)))


def test_a_dot_product_along_another_axis_is_refused():
    module = nn.Sequential(InputQuantizer(1), BinaryLinear(4, 2))
    with pytest.raises(UnsupportedLayerError, match=r"1 yields shape \(2, 3, 2\) for 2 samples"):
        compile_module(module, np.zeros((2, 3, 4), np.uint8))


@pytest.mark.parametrize("broken", ["norm1.running_var", "head.bias", "norm1.weight"])
def test_numbers_that_are_not_finite_are_refused(broken: str):
    module = mlp((8, 4, 2))
    with torch.no_grad():
        module.get_submodule(broken.split(".")[0]).__getattr__(broken.split(".")[1])[1] = float("nan")
    with pytest.raises(UsageError, match="not finite"):
        compile_module(module, np.zeros((1, 8), np.uint8))


def test_accumulators_that_float32_cannot_hold_are_refused():
    module = mlp((66_000, 1, 2), InputQuantizer(8, "unsigned"))
    nn.init.ones_(module.fc1.weight)
    with pytest.raises(UsageError, match=r"fc1: accumulators .* are not exact in float32"):
        compile_module(module, np.zeros((1, 66_000), np.uint8))


def test_weights_whose_codes_lie_are_refused():
    class Halved(BinaryWeights):
        def forward(self, weight: Tensor) -> Tensor:
            return super().forward(weight) / 2

    module = nn.Sequential(InputQuantizer(1), QuantLinear(4, 2, weight=Halved()))
    with pytest.raises(UsageError, match="1: the values of Halved are not those of its codes"):
        compile_module(module, np.zeros((1, 4), np.uint8))


def test_an_activation_off_its_grid_is_refused():
    class Tri(Sign):
        def forward(self, x: Tensor) -> Tensor:
            return torch.sign(x)

    module = nn.Sequential(InputQuantizer(1), BinaryLinear(4, 2), Tri(), BinaryLinear(2, 2))
    with pytest.raises(UsageError, match=r"2 yields 0\.0, which is no 1-bit bipolar value"):
        compile_module(module, np.zeros((1, 4), np.uint8))


def test_class_names_and_provenance():
    module, raw = mlp((8, 4, 2)), np.zeros((1, 8), np.uint8)
    network = compile_module(module, raw, class_names=["no", "yes"], provenance={"seed": "1"})
    assert network.class_names == ("no", "yes") and dict(network.provenance) == {"seed": "1"}
    assert compile_module(module, raw).class_names == ("0", "1")
    with pytest.raises(UsageError, match="1 class names for 2 scores"):
        compile_module(module, raw, class_names=["no"])


def test_mode_and_precision_of_the_module_do_not_matter():
    module, raw = mlp((20, 9, 4)), np.zeros((1, 20), np.uint8)
    content = network_bytes(compile_module(module, raw))
    assert network_bytes(compile_module(module.train(), raw)) == content
    assert module.training
    assert network_bytes(compile_module(module.double(), torch.zeros(3, 20))) == content
