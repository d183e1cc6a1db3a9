"""A recorded trace as a graph: what ran where and for how long, with dependencies found from who waited for whom.

Events of one stream follow each other.  An event that did not begin when its stream was free waited for the event of
another stream that ended last before it; what is left of the gap (launches, the host) stays as a delay.  Run as it is,
the graph repeats the trace to the tick; a faster resource moves what depended on it.
"""

from __future__ import annotations

import gzip
import json
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from hwsim.errors import ScenarioError
from hwsim.taskgraph.program import Segment

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor
    from hwsim.taskgraph.site import Site
    from hwsim.taskgraph.task import Task

COMMUNICATION = ("nccl", "allreduce", "all_reduce", "allgather", "all_gather", "alltoall", "all_to_all")
COMMUNICATION += ("reducescatter", "reduce_scatter", "sendrecv", "ep_dispatch", "ep_combine", "ep_notify", "ep_other")
COPIES = ("memcpy", "memset")


class Event(NamedTuple):
    """One recorded kernel or copy; times in microseconds.  ``after`` are positions of events that it must follow."""

    name: str
    kind: str
    stream: str
    start: float
    duration: float
    after: tuple[int, ...] | None = None


def kind_of(name: str) -> str:
    """``collective``, ``copy`` or ``compute``, by the name of a kernel."""
    low = name.casefold()
    if any(word in low for word in COMMUNICATION):
        return "collective"
    return "copy" if any(word in low for word in COPIES) else "compute"


def line_of(text: str, key: str, number: int) -> int:
    """The line on which item ``number`` of a JSON list begins: that under ``key``, or the list that the text is."""
    decoder = json.JSONDecoder()
    at = text.find("[", max(text.find(f'"{key}"'), 0)) + 1
    for count in range(number + 1):
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        if count < number:
            at = decoder.raw_decode(text, at)[1]
    return text.count("\n", 0, at) + 1


def opened(path: Path) -> IO[str]:
    """A text file, unpacked if its name ends in ``.gz``; ``ScenarioError`` if it cannot be read."""
    try:
        if path.suffix == ".gz":
            return gzip.open(path, "rt", encoding="utf-8")
        return path.open(encoding="utf-8")
    except OSError as error:
        raise ScenarioError.of(f"cannot be read: {error.strerror}", where=str(path)) from None


def program(events: Sequence[Event], site: Site) -> Iterator[Segment]:
    """The whole trace as one block."""
    order = sorted(range(len(events)), key=lambda i: (events[i].start, i))
    first = events[order[0]].start if order else 0.0

    def ticks(microseconds: float) -> int:
        return round(microseconds * 1e6)

    ends = {i: ticks(events[i].start - first) + ticks(events[i].duration) for i in order}

    def body(executor: Executor, index: int) -> None:
        tasks: dict[int, Task] = {}
        last: dict[str, int] = {}
        finished: list[tuple[int, int]] = []  # (end, event) in order of end, over all streams
        for i in order:
            event = events[i]
            start = ticks(event.start - first)
            after = _waits(event, start, last.get(event.stream), ends, finished)
            ready = max([ends[j] for j in after], default=0)
            before = [tasks[j] for j in after]
            stream = executor.stream(event.stream)
            if start > ready:
                delay = site.time("delay", (start - ready) / 1e12, "event")
                before = [executor.task("delay", executor.stream(f"{event.stream} host"), delay, before)]
            work = site.time(event.name, ticks(event.duration) / 1e12, event.kind)
            tasks[i] = executor.task(event.name, stream, work, before)
            last[event.stream] = i
            finished.insert(bisect_right(finished, (ends[i], i)), (ends[i], i))

    yield Segment(1, body, name="trace")


def _waits(
    event: Event, start: int, mine: int | None, ends: dict[int, int], finished: list[tuple[int, int]]
) -> list[int]:
    """The events that this one waited for: its stream's last, and the last to end before it anywhere else."""
    if event.after is not None:
        return list(dict.fromkeys([*event.after, *([mine] if mine is not None else [])]))
    found = [] if mine is None else [mine]
    if mine is not None and ends[mine] == start:
        return found
    at = bisect_right(finished, (start, 1 << 60)) - 1
    if at >= 0 and finished[at][1] not in found:
        found.append(finished[at][1])
    return found
