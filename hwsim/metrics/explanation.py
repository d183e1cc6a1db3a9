"""Why something took as long as it did: one answer for graphs, requests and engine steps, from tables alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError, nearest
from hwsim.metrics.critical_path import critical_path
from hwsim.metrics.load import step_ends
from hwsim.metrics.statistics import TICKS

TOP = 12
FASTER = 1.1

Table = Mapping[str, Any]


@dataclass
class Explanation:
    """``seconds`` in all; where they went by phase and by resource; the steps of the path that took longest.

    ``slack``: seconds by which tasks that a resource limits could end later, ``least`` and ``mean`` (graphs).
    ``gains``: share of the time saved if one resource were 10 % faster (``plus_10``) or infinitely fast
    (``infinite``); ``method`` says how they were found.
    """

    what: str
    seconds: float
    phases: dict[str, float]
    resources: dict[str, float]
    path: list[dict[str, Any]] = field(default_factory=list)
    stalls: dict[str, dict[str, float]] = field(default_factory=dict)
    slack: dict[str, dict[str, float]] = field(default_factory=dict)
    gains: dict[str, dict[str, float]] = field(default_factory=dict)
    method: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same as plain data."""
        return asdict(self)

    def first_order_gains(self) -> None:
        """Gains if what a resource bounds shrinks with it and nothing else changes."""
        for name, time in self.resources.items():
            if self.seconds and time and name not in ("waiting", "other"):
                share = time / self.seconds
                self.gains[name] = {"plus_10": share * (1 - 1 / FASTER), "infinite": share}
        self.method = "first order: what a resource bounds shrinks with it, queues and batches stay as they were"


def explain_graph(
    summary: Mapping[str, Any], spans: Table, folds: Any = (), *, longest: int | None = None, step: int | None = None
) -> Explanation:
    """The critical path of a graph's run; gains are filled in by whoever can run it again.

    ``longest``: that many single tasks of the path instead of all of a name together.  ``step``: only the part of the
    path in that one of the graph's steps, equal parts of its time (unfolded spans).
    """
    path, what, whole = critical_path(spans, folds), str(summary["name"]), float(summary["simulated_seconds"])
    if step is not None:
        what, whole = f"step {step} of {what}", whole / _steps(summary, step)
        path = path.between(spans, step * whole, (step + 1) * whole)
    steps = [
        {
            "name": str(spans["name"][part.row]),
            "track": str(spans["track"][part.row]),
            "resource": str(spans["resource"][part.row]),
            "start_s": part.start,
            "seconds": (part.end - part.start) * part.times,
            "times": part.times,
        }
        for part in path.parts
    ]
    top = sorted(steps if longest else _together(steps), key=lambda step: (-step["seconds"], step["start_s"]))
    stalls = {name: dict(stream["stalls"]) for name, stream in summary["streams"].items() if stream["stalls"]}
    top, stalls = top[: longest or TOP], stalls if step is None else {}
    return Explanation(what, whole, path.by_track, path.by_resource, top, stalls)


def _together(steps: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Parts of a path by name, track and resource: their time together, and how many they are."""
    found: dict[tuple[str, str, str], dict[str, Any]] = {}
    for step in steps:
        known = found.setdefault((step["name"], step["track"], step["resource"]), step | {"seconds": 0.0, "times": 0.0})
        known["seconds"] += step["seconds"]
        known["times"] += step["times"]
    return list(found.values())


def _steps(summary: Mapping[str, Any], step: int) -> int:
    """How many steps a graph has, ``step`` among them."""
    count = round(summary["steps"] or 0)
    if not count:
        what = "the graph does not say how many steps it has"
        raise ScenarioError.of(what, where="--step", expected="graph.steps: N")
    if step >= count:
        raise ScenarioError.of("no such step", where="--step", got=str(step), expected=f"0..{count - 1}")
    return count


def explain_request(requests: Table, steps: Table, row: int) -> Explanation:
    """Waiting, prefill and decode of one request, and what bounded the engine's steps meanwhile."""
    arrival, scheduled, first, finish = (
        float(requests[name][row]) for name in ("arrival_s", "scheduled_s", "first_token_s", "finish_s")
    )
    name = str(requests["request_id"][row])
    if np.isnan(finish):
        raise ScenarioError.of(
            f"request {name} was not completed: {requests['status'][row]}", got=str(requests["reason"][row])
        )
    phases = {"waiting": scheduled - arrival, "prefill": first - scheduled, "decode": finish - first}
    found = Explanation(f"request {name}", finish - arrival, phases, {"waiting": scheduled - arrival})
    replica = int(requests["replica"][row])
    start, end = np.asarray(steps["start_ticks"]) / TICKS, step_ends(steps) / TICKS
    inside = (np.asarray(steps["replica"]) == replica) & (end > scheduled) & (start < finish)
    rows = np.nonzero(inside)[0]
    overlap = np.minimum(end[rows], finish) - np.maximum(start[rows], scheduled)
    for at, time in zip(rows.tolist(), overlap.tolist(), strict=True):
        bound = str(steps["bound"][at]) or "other"
        found.resources[bound] = found.resources.get(bound, 0.0) + time
    rest = found.seconds - sum(found.resources.values())
    if rest > 1e-12:
        found.resources["other"] = found.resources.get("other", 0.0) + rest
    found.resources = dict(sorted(found.resources.items(), key=lambda item: -item[1]))
    order = np.argsort(-overlap, kind="stable")[:TOP].tolist()
    found.path = [
        {
            "name": _stretch(steps, int(rows[at])),
            "track": f"replica{replica}",
            "resource": str(steps["bound"][rows[at]]),
            "start_s": float(start[rows[at]]),
            "seconds": float(overlap[at]),
            "times": float(steps["steps"][rows[at]]),
        }
        for at in order
    ]
    found.first_order_gains()
    return found


def explain_step(steps: Table, number: int, replica: int = 0) -> Explanation:
    """One engine step: how long it took and what bounded it."""
    first, count = np.asarray(steps["first_step"]), np.asarray(steps["steps"])
    mine = (np.asarray(steps["replica"]) == replica) & (first <= number) & (number < first + count)
    rows = np.nonzero(mine)[0]
    if not len(rows):
        last = int(np.max((first + count)[np.asarray(steps["replica"]) == replica], initial=0))
        raise ScenarioError.of("no such step", where="--step", got=str(number), expected=f"0..{last - 1}")
    row = int(rows[0])
    ahead = number - int(first[row])
    seconds = float(steps["first_duration"][row]) + ahead * float(steps["slope"][row])
    bound = str(steps["bound"][row]) or "other"
    found = Explanation(
        f"step {number} of replica {replica}", seconds, {_stretch(steps, row): seconds}, {bound: seconds}
    )
    found.first_order_gains()
    return found


def request_row(requests: Table, name: str) -> int:
    """The row of a request by its id."""
    known = [str(value) for value in requests["request_id"]]
    if name not in known:
        raise ScenarioError.of(
            "no such request",
            where="--request",
            got=name,
            expected=f"one of {len(known):,} ids",
            nearest=nearest(name, known),
        )
    return known.index(name)


def slowest(requests: Table, count: int) -> list[int]:
    """Rows of the completed requests that took longest from arrival to end."""
    took = np.asarray(requests["finish_s"], dtype=float) - np.asarray(requests["arrival_s"], dtype=float)
    order = np.argsort(np.where(np.isnan(took), np.inf, -took), kind="stable")
    return [row for row in order.tolist()[:count] if not np.isnan(took[row])]


def _stretch(steps: Table, row: int) -> str:
    prefill, rows = int(steps["prefill_tokens"][row]), int(steps["decode_rows"][row])
    return f"prefill {prefill} + decode {rows}" if prefill else f"decode {rows}"
