"""What a faster resource would bring: the graph run again with one resource sped up, contention included."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from hwsim.metrics.explanation import FASTER
from hwsim.scenario.graph.run import GraphRun
from hwsim.taskgraph.account import spans
from hwsim.taskgraph.slack import slack

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

INFINITE = 1e12
MOST_TASKS = 200_000  # that are run one by one, and kept, for slack


def gains(scenario: Scenario, resources: Iterable[str]) -> dict[str, dict[str, float]]:
    """Share of the makespan saved by each resource if it were 10 % faster, or infinitely fast."""
    base = _makespan(scenario, {})
    if not base:
        return {}
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name.rstrip("0123456789") for name in resources):  # all drives of a volume
        found[name] = {
            "plus_10": 1 - _makespan(scenario, {name: FASTER}) / base,
            "infinite": 1 - _makespan(scenario, {name: INFINITE}) / base,
        }
    return found


def unfolded(scenario: Scenario) -> tuple[dict[str, Any], dict[str, dict[str, float]]] | None:
    """Spans of a run in which nothing was jumped over, and slack by resource; None for too many tasks."""
    if GraphRun(scenario, record=False).counted() > MOST_TASKS:
        return None
    job = GraphRun(scenario, fold=False)
    job.site.executor.edges = []
    executor = job.run()
    return spans(executor), slack(executor)


def _makespan(scenario: Scenario, scale: dict[str, float]) -> int:
    return GraphRun(scenario, record=False, scale=scale).run().clock.now
