from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xnorflow.config import dump_yaml, from_mapping, load_yaml, nearest, to_mapping
from xnorflow.errors import UsageError


class Colour(StrEnum):
    RED = "red"
    GREEN = "green"


@dataclass(frozen=True)
class Inner:
    hz: int
    pll: bool = False


@dataclass(frozen=True)
class Outer:
    name: str
    rate: float = 1.0
    colour: Colour = Colour.RED
    mode: Literal["fast", "small"] = "fast"
    widths: tuple[int, ...] = ()
    pair: tuple[int, str] = (1, "a")
    clock: Inner | None = None
    layers: Mapping[str, Inner] = field(default_factory=dict)
    path: Path | None = None
    seed: int | str = 0

    def __post_init__(self) -> None:
        if self.rate <= 0:
            raise UsageError(f"rate must be positive, not {self.rate}")


FULL = {
    "name": "x",
    "rate": 2,
    "colour": "green",
    "mode": "small",
    "widths": [3, 4],
    "pair": [7, "b"],
    "clock": {"hz": 5, "pll": True},
    "layers": {"dense1": {"hz": 6}},
    "path": "a/b",
    "seed": "date",
}


def test_every_kind_of_field() -> None:
    outer = from_mapping(Outer, FULL, "f.yaml")
    assert outer == Outer(
        "x",
        2.0,
        Colour.GREEN,
        "small",
        (3, 4),
        (7, "b"),
        Inner(5, True),
        {"dense1": Inner(6)},
        Path("a/b"),
        "date",
    )
    assert type(outer.rate) is float
    assert from_mapping(Outer, {"name": "y"}, "f.yaml") == Outer("y")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nmae": 1}, r"^f.yaml: unknown key 'nmae'; did you mean 'name'\? \(known: name, rate, "),
        ({3: 1}, r"^f.yaml: unknown key 3; did you mean "),
        ({"name": 3}, r"^f.yaml: name must be a text \(quote it\?\), not 3$"),
        ({"rate": "high"}, r"^f.yaml: rate must be a finite number, not 'high'$"),
        ({"rate": True}, r"rate must be a finite number, not True$"),
        ({"rate": float("nan")}, r"rate must be a finite number, not nan$"),
        ({"rate": 10**400}, r"rate must be a finite number, not 1000"),
        ({"rate": -1}, r"^f.yaml: rate must be positive, not -1.0$"),
        ({"colour": "gren"}, r"colour must be one of red, green, not 'gren'; did you mean 'green'\?$"),
        ({"colour": 3}, r"colour must be one of red, green, not 3$"),
        ({"mode": "slow"}, r"mode must be one of fast, small, not 'slow'$"),
        ({"widths": 3}, r"widths must be a list, not 3$"),
        ({"widths": [1, 2.5]}, r"widths\[1\] must be a whole number, not 2.5$"),
        ({"pair": [1]}, r"pair must be a list of 2, not of 1$"),
        ({"clock": {"hz": True}}, r"^f.yaml: clock.hz must be a whole number, not True$"),
        ({"clock": {"hz": 1, "ppl": True}}, r"^f.yaml: clock: unknown key 'ppl'; did you mean 'pll'\?"),
        ({"clock": {"hz": 1, "pll": "on"}}, r"clock.pll must be true or false, not 'on'$"),
        ({"clock": {}}, r"^f.yaml: clock: missing hz$"),
        ({"clock": 3}, r"^f.yaml: clock: expected a mapping of hz, pll, not 3$"),
        ({"layers": {"d": {"hz": None}}}, r"^f.yaml: layers.d.hz must be a whole number, not nothing$"),
        ({"layers": {1: {"hz": 2}}}, r"^f.yaml: layers, key 1 must be a text"),
        ({"layers": []}, r"layers must be a mapping, not \[\]$"),
        ({"path": 3}, r"path must be a path, not 3$"),
        ({"seed": 1.5}, r"seed must be int or str, not 1.5$"),
    ],
)
def test_a_wrong_value_is_one_clear_line(change: dict[object, object], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        from_mapping(Outer, {**FULL, **change}, "f.yaml")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("mapping", [None, [], "text", 3])
def test_not_a_mapping(mapping: object) -> None:
    with pytest.raises(UsageError, match="^f.yaml: expected a mapping of hz, pll, not "):
        from_mapping(Inner, mapping, "f.yaml")


def test_missing_keys_are_named() -> None:
    with pytest.raises(UsageError, match="^f.yaml: missing name$"):
        from_mapping(Outer, {}, "f.yaml")


@pytest.mark.parametrize("text", ["1e-3", "1.5E+2", "-2e4"])
def test_yaml_1_1_floats_without_a_dot_are_numbers(text: str) -> None:
    @dataclass(frozen=True)
    class Rate:
        rate: float

    assert from_mapping(Rate, {"rate": text}, "f") == Rate(float(text))


@given(
    rate=st.floats(min_value=1e-30, max_value=1e30),
    widths=st.lists(st.integers()),
    name=st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"])),
    seed=st.integers() | st.just("é: #"),
)
@settings(deadline=None)
def test_round_trip_through_yaml(
    tmp_path_factory: pytest.TempPathFactory, rate: float, widths: list[int], name: str, seed: int | str
) -> None:
    outer = Outer(name, rate, Colour.GREEN, widths=tuple(widths), clock=Inner(3), layers={"a": Inner(1)}, seed=seed)
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(dump_yaml(to_mapping(outer)), encoding="utf-8")
    assert from_mapping(Outer, load_yaml(path), "round.yaml") == outer


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a: 1\na: 2\n", r"f.yaml line 2: key 'a' given twice"),
        (b"a: [1\n", r"f.yaml line 2: "),
        (b"a: \xff\n", r"f.yaml is not a text file in UTF-8 \(byte 3\)"),
        (b"a: !!python/object:os.system {}\n", r"f.yaml line 1: could not determine a constructor"),
        (b"a: 2020-99-99\n", r"f.yaml is not YAML: month must be in"),
        (b"a: \x00\n", r"f.yaml is not YAML: "),
        (b"? [1]\n: 2\n", r"f.yaml line 1: found unhashable key"),
        (b"[" * 5000, r"f.yaml is not YAML: "),
    ],
)
def test_broken_yaml_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        load_yaml(path)
    assert "\n" not in str(caught.value)


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read .*nowhere.yaml: No such file or directory"):
        load_yaml(tmp_path / "nowhere.yaml")
    with pytest.raises(UsageError, match="cannot read .*: Is a directory"):
        load_yaml(tmp_path)


def test_nearest() -> None:
    assert nearest("learning-rate", ["epochs", "learning_rate"]) == "learning_rate"
    assert nearest("zzz", ["epochs"]) == "epochs"


def test_only_dataclasses() -> None:
    with pytest.raises(TypeError, match="makes dataclasses"):
        from_mapping(int, {}, "f")
    with pytest.raises(TypeError, match="takes a dataclass instance"):
        to_mapping(Inner)
