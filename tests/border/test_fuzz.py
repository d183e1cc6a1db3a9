"""Whatever is fed in, loading gives a scenario or a ``ScenarioError`` with places, never another exception."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.errors import ScenarioError
from hwsim.scenario.load import load
from hwsim.scenario.schema.short import Shape
from hwsim.scenario.validate import shape
from hwsim.scenario.yaml_nodes import parse

GOLDEN = sorted((Path(__file__).parents[2] / "scenarios" / "golden").glob("*.yaml"))
TEXTS = [path.read_text(encoding="utf-8") for path in GOLDEN[:5]]
ODD = [
    "null",
    "[]",
    "{}",
    "nan",
    "-1",
    "'",
    "&a",
    "*a",
    "!!int",
    "1e999",
    "{a: [1, {b: 2}]}",
    "\t",
    "\x85",
    "😀",
    "..",
    ":",
]
FEW = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(ODD)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
)


def _paths(here: Shape, depth: int = 0) -> list[str]:
    found = []
    for key in here.keys() if depth < 4 else ():
        found.append(key)
        found += [f"{key}.{rest}" for rest in _paths(here.child(key), depth + 1)]
    return found


PATHS = sorted(set(_paths(shape())))


@FEW
@given(text=st.sampled_from(TEXTS), at=st.integers(0, 900), cut=st.integers(0, 12), put=st.sampled_from(ODD))
def test_damaged_files(text: str, at: int, cut: int, put: str, tmp_path: Path) -> None:
    file = tmp_path / "damaged.yaml"
    file.write_text(text[:at] + put + text[at + cut :], encoding="utf-8")
    try:
        scenario = load(file)
    except ScenarioError as error:
        assert all(problem.where and problem.what for problem in error.problems)
    else:
        file.write_text(scenario.to_yaml(), encoding="utf-8")
        assert load(file).spec == scenario.spec


@FEW
@given(path=st.sampled_from(PATHS), value=values)
def test_any_value_at_any_key(path: str, value: Any) -> None:
    change: Any = value
    for key in reversed(path.split(".")):
        change = {key: change}
    base = load({"system": {"node": "dgx-h100"}, "serve": {}, "workload": {"requests": 3}})
    try:
        base.changed(change).to_yaml()
    except ScenarioError as error:
        assert all(problem.where and problem.what for problem in error.problems)


@FEW
@given(text=st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_as_yaml(text: str | bytes) -> None:
    try:
        parse(text, "x.yaml")
    except ScenarioError as error:
        assert error.problems
