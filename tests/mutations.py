"""One thing wrong in a file of keys and values: what people do to YAML and JSON by hand."""

import copy
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

__all__ = ["mutated"]

Path = tuple[str | int, ...]
_OTHERS = [None, "x", "", -1, 0, 1, 10**30, 1.5, float("inf"), True, [], {}, [1], {"a": 1}]


def _places(plain: Any, path: Path = ()) -> Iterator[Path]:
    keys = plain if isinstance(plain, dict) else range(len(plain)) if isinstance(plain, list) else ()
    for key in keys:
        yield (*path, key)
        yield from _places(plain[key], (*path, key))


@st.composite
def mutated(draw: st.DrawFn, plain: Any) -> Any:
    """The plain value with one key or item taken out, replaced, renamed, given twice or, if a number, changed."""
    changed = copy.deepcopy(plain)
    *path, key = draw(st.sampled_from(list(_places(changed))))
    inside = changed
    for step in path:
        inside = inside[step]
    value = inside[key]
    match draw(st.integers(0, 4)):
        case 0:
            del inside[key]
        case 1:
            inside[key] = draw(st.sampled_from(_OTHERS))
        case 2 if isinstance(inside, dict):
            inside[f"{key}s"] = inside.pop(key)
        case 3 if isinstance(value, list):
            inside[key] = value + value[:1]
        case _ if isinstance(value, int | float):
            inside[key] = draw(st.sampled_from([value + 1, value * 2, value - 1, -value, str(value)]))
        case _:
            inside[key] = [value]
    return changed
