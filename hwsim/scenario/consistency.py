"""What no single key can show: names that must exist elsewhere in the same scenario."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.scenario.tree import Branch, Items, find

if TYPE_CHECKING:
    from hwsim.scenario.schema.spec import Spec

_DEVICES = ("gpu", "cpu", "dram", "cxl", "ssd", "flash", "npu", "fpga", "nic")


def inconsistencies(spec: Spec, tree: Branch) -> list[Problem]:
    """Problems between the parts of a well-formed scenario."""
    problems: list[Problem] = []
    groups = set(spec.system.groups) if spec.system is not None and spec.system.groups is not None else None
    if groups is not None:
        known = [*sorted(groups), *_DEVICES]
        for path, at in _places(spec):
            first = at.partition("/")[0].partition("[")[0]
            if first not in groups and ("/" in at or first not in _DEVICES):
                where = _where(tree, path)
                problems.append(
                    Problem(
                        f"{'.'.join(path)} names no group of the system",
                        where,
                        repr(at),
                        "one of " + ", ".join(sorted(groups)) if groups else "a group",
                        nearest(first, known),
                    )
                )
    if spec.system is not None and spec.system.groups is not None:
        for name, group in spec.system.members().items():
            if group.node is None:
                path = ("system", "groups", name)
                problems.append(Problem(f"{'.'.join(path)} has no node", _where(tree, path), expected="node: NAME"))
    return problems + _conditions(spec, tree)


def _conditions(spec: Spec, tree: Branch) -> list[Problem]:
    """Assertions about metrics that do not exist, or with limits in the wrong unit."""
    node = find(tree, ("assert",))
    if not spec.assert_ or not isinstance(node, Items):
        return []
    from hwsim.metrics.assertion import Assertion

    problems: list[Problem] = []
    for item, condition in zip(node.items, spec.assert_, strict=True):
        try:
            Assertion.parse(condition, where=str(item.origin))
        except ScenarioError as error:
            problems.extend(error.problems)
    return problems


def _places(spec: Spec) -> Iterator[tuple[tuple[str, ...], str]]:
    """Every ``at:`` of a job, with its path."""
    jobs = {("jobs", name): job for name, job in (spec.jobs or {}).items()} or {(): spec}
    for start, job in jobs.items():
        if job.train is not None and job.train.at:
            yield (*start, "train", "at"), job.train.at
        if job.serve is None:
            continue
        if job.serve.at:
            yield (*start, "serve", "at"), job.serve.at
        for name, pool in (job.serve.pools or {}).items():
            if pool.at:
                yield (*start, "serve", "pools", name, "at"), pool.at


def _where(tree: Branch, path: tuple[str, ...]) -> str:
    around, node = find(tree, path[:-1]), find(tree, path)
    if isinstance(node, Branch) and isinstance(around, Branch):
        return str(around.keys[path[-1]])
    return str(node.origin if node is not None else tree.origin)
