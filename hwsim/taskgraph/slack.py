"""Slack: how much later a task could have ended without the graph ending later.

Backwards from the end over everything that waited for a task: dependencies, the order of its streams, and who took the
memory or the place that it gave back.  Simplification: times are those that the run had, contention included, and of
several that could have given memory only the one that did is counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from hwsim.units import seconds

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor


def slack(executor: Executor) -> dict[str, dict[str, float]]:
    """``least`` and ``mean`` slack in seconds of the tasks that each resource limits, the mean weighted by their time.

    Of an unfolded run with ``edges`` and a table.
    """
    assert executor.table is not None and executor.edges is not None
    raw = executor.table.columns()
    starts, ends, causes, works = (raw[name].tolist() for name in ("start", "end", "cause", "work"))
    latest = [executor.clock.now] * (len(ends) + 1)  # by number, in which tasks ended: 1, 2, …
    following = {number: [task.number for task in after] for number, after in executor.edges}
    found: dict[str, list[int]] = {}  # least slack, slack times time, time
    for number in range(len(ends), 0, -1):
        for other in following.get(number, ()):
            latest[number] = min(latest[number], latest[other] - (ends[other - 1] - starts[other - 1]))
        cause, begins = causes[number - 1], latest[number] - (ends[number - 1] - starts[number - 1])
        if cause > 0:
            latest[cause] = min(latest[cause], begins)
        resource = executor.works[works[number - 1]].bound or "time"
        spare, took = latest[number] - ends[number - 1], ends[number - 1] - starts[number - 1]
        known = found.setdefault(resource, [spare, 0, 0])
        known[0] = min(known[0], spare)
        known[1] += spare * took
        known[2] += took
    return {
        name: {"least": seconds(least), "mean": seconds(total // took)}
        for name, (least, total, took) in sorted(found.items())
        if took
    }
