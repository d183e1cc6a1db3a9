"""A merged tree read by the schema: a ``Spec``, or every problem with its place."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from pydantic import ValidationError

from hwsim.errors import Problem, ScenarioError
from hwsim.scenario.consistency import inconsistencies
from hwsim.scenario.merge import at_path, merge, settled
from hwsim.scenario.problems import given_up, problems_of
from hwsim.scenario.schema.short import Shape, shape_of
from hwsim.scenario.tree import Branch, Items, Leaf, Node, Origin, Plain, find, to_text
from hwsim.units import is_range, parse_range

if TYPE_CHECKING:
    from hwsim.scenario.schema.spec import Spec

MAX_POINTS = 16


@cache
def shape() -> Shape:
    """The shape of a whole scenario."""
    from hwsim.scenario.schema.spec import Spec

    return shape_of(Spec)


def validated(merged: Branch) -> tuple[Spec, Branch]:
    """The specification and the settled tree; raises ``ScenarioError`` with all problems.

    What a study, its variants and the claims would change is merged and read too, so that a misspelt path is found
    before the first point runs.
    """
    tree, found = _read(merged)
    if isinstance(found, list):
        raise ScenarioError(found)
    problems = inconsistencies(found, tree)
    seen = {str(problem) for problem in problems}
    bare = _without_changes(merged)
    for label, change in _changes(merged):
        for problem in _problems_after(bare, change):
            text = Problem(f"{label}: {problem.what}", problem.where, problem.got, problem.expected, problem.nearest)
            if str(text) not in seen:
                seen.add(str(text))
                problems.append(text)
    if problems:
        raise ScenarioError(problems)
    return found, tree


def _read(merged: Branch) -> tuple[Branch, Spec | list[Problem]]:
    from hwsim.scenario.schema.spec import Spec

    tree = settled(merged, shape())
    while True:
        try:
            return tree, Spec.model_validate(to_text(tree))
        except ValidationError as error:
            dropped = given_up(error, tree, shape())
            if not dropped:
                return tree, problems_of(error, tree, shape())
            for branch, key in dropped:
                del branch.children[key], branch.keys[key]


def _problems_after(merged: Branch, change: Branch) -> list[Problem]:
    problems: list[Problem] = []
    result = merge(merged, change, shape(), problems)
    tree, found = _read(result)
    return problems + (found if isinstance(found, list) else inconsistencies(found, tree))


def _without_changes(merged: Branch) -> Branch:
    """The scenario that changes apply to: reading all claims again for every claim would cost their number squared."""
    kept = {key: node for key, node in merged.children.items() if key not in ("claims", "unscored", "study")}
    return Branch(kept, merged.origin, merged.keys, merged.passed_on)


def _changes(merged: Branch) -> Iterator[tuple[str, Branch]]:
    """Every change that the scenario announces, with its name."""
    for name, _, node in _members(merged, "study", "variants"):
        if isinstance(node, Branch):
            yield f"variant {name}", node
    for path, origin, node in _members(merged, "study", "axes"):
        for value in _values(node):
            yield f"axis {path}", at_path(path.split("."), value, origin)
    solve = find(merged, ("study", "solve"))
    if isinstance(solve, Branch) and isinstance(path := solve.children.get("path"), Leaf):
        low = str(getattr(solve.children.get("between"), "value", "")).partition("..")[0]
        yield "solve", at_path(str(path.value).split("."), Leaf(Plain(low.strip()), path.origin), path.origin)
    for name, _, claim in _members(merged, "claims"):
        for part in ("set", "over"):
            for path, origin, node in _members(claim, part):
                yield f"claim {name}", at_path(path.split("."), node, origin)


def _members(node: Node, *path: str) -> Iterator[tuple[str, Origin, Node]]:
    branch = find(node, path)
    if isinstance(branch, Branch):
        for key, child in branch.children.items():
            yield key, branch.keys[key], child


def _values(node: Node) -> list[Node]:
    """The values of an axis, the first few of many."""
    if isinstance(node, Items):
        return node.items[:MAX_POINTS]
    if isinstance(node, Leaf) and is_range(node.value):
        values = parse_range(node.value)
        return [Leaf(Plain(value), node.origin) for value in {str(values[0]): 0, str(values[-1]): 0}]
    return [node]
