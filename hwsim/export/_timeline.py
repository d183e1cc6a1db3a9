"""A run as a timeline for trace viewers: slices on tracks that never overlap in part, and counters, in nanoseconds.

A process is a replica.  Its ``engine`` track has one slice per stretch of steps; its requests lie on as many lanes as
are alive at once, each a slice from arrival to last token with its phases nested inside.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from hwsim.metrics.load import step_ends
from hwsim.metrics.statistics import as_ticks

PS_PER_NS = 1000
COUNTERS = ("running", "waiting", "free_pages")


class Slice(NamedTuple):
    """Something that lasts from ``start`` to ``end`` (ns) on a track; ``parts`` follow one another inside it."""

    process: int
    track: str
    name: str
    category: str
    start: int
    end: int
    arguments: dict[str, Any]
    parts: tuple[tuple[str, int, int], ...] = ()


class Sample(NamedTuple):
    """A counter's value from ``time`` (ns) on."""

    process: int
    counter: str
    time: int
    value: float


def stretches(steps: Mapping[str, Any]) -> Iterator[Slice]:
    """One slice per stretch, in the order of the table."""
    columns = (
        "replica",
        "first_step",
        "steps",
        "decode_rows",
        "prefill_tokens",
        "context",
        "running",
        "waiting",
    )
    rows = zip(*(np.asarray(steps[name]).tolist() for name in columns), strict=True)
    spans = zip(*(column.tolist() for column in _spans(steps)), strict=True)
    for (start, end), bound, row in zip(spans, steps["bound"], rows, strict=True):
        replica, first, count, decodes, prefill, context, running, waiting = row
        name = f"decode {decodes}" if not prefill else f"prefill {prefill}"
        if prefill and decodes:
            name += f" + decode {decodes}"
        arguments = {
            "first_step": first,
            "steps": count,
            "decode_rows": decodes,
            "prefill_tokens": prefill,
            "context": context,
            "running": running,
            "waiting": waiting,
            "bound": bound,
        }
        yield Slice(replica, "engine", name, "step", start, end, arguments)


def _spans(steps: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Start and end of each stretch; an end that rounding put after the next start is moved back to it."""
    replica, start = np.asarray(steps["replica"]), np.asarray(steps["start_ticks"]) // PS_PER_NS
    end = step_ends(steps) // PS_PER_NS
    for one in np.unique(replica):
        mine = np.nonzero(replica == one)[0]
        mine = mine[np.argsort(start[mine], kind="stable")]
        end[mine[:-1]] = np.minimum(end[mine[:-1]], start[mine[1:]])
    return start, np.maximum(start, end)


def lanes(requests: Mapping[str, Any]) -> Iterator[Slice]:
    """Requests that were scheduled, each on the first lane of its replica that is free at its arrival."""
    names = ("arrival_s", "scheduled_s", "first_token_s", "finish_s")
    times = {name: np.asarray(requests[name], dtype=np.float64) for name in names}
    shown = ~np.isnan(times["scheduled_s"])
    far = float(np.nanmax(np.stack(list(times.values())), initial=0.0)) if len(shown) else 0.0
    at = {name: as_ticks(np.where(np.isnan(v), far, v)) // PS_PER_NS for name, v in times.items()}
    free: dict[int, list[int]] = {}
    busy: dict[int, list[tuple[int, int]]] = {}
    used: dict[int, int] = {}
    for i in np.argsort(at["arrival_s"], kind="stable").tolist():
        if not shown[i]:
            continue
        process = int(requests["replica"][i])
        arrival, scheduled, first, finish = (int(at[name][i]) for name in names)
        heap, idle = busy.setdefault(process, []), free.setdefault(process, [])
        while heap and heap[0][0] <= arrival:
            heapq.heappush(idle, heapq.heappop(heap)[1])
        if idle:
            lane = heapq.heappop(idle)
        else:
            lane = used[process] = used.get(process, 0) + 1
        heapq.heappush(heap, (max(finish, arrival + 1), lane))
        arguments = {
            "input_tokens": int(requests["input_tokens"][i]),
            "output_tokens": int(requests["output_tokens"][i]),
            "cached_tokens": int(requests["cached_tokens"][i]),
            "preemptions": int(requests["preemptions"][i]),
            "status": str(requests["status"][i]),
        }
        phases = (("queued", arrival, scheduled), ("prefill", scheduled, first), ("decode", first, finish))
        parts = tuple(phase for phase in phases if phase[2] > phase[1])
        name = f"request {requests['request_id'][i]}"
        yield Slice(process, f"requests {lane}", name, "request", arrival, finish, arguments, parts)


def samples(steps: Mapping[str, Any]) -> Iterator[Sample]:
    """The counters of each replica where they change."""
    replica = np.asarray(steps["replica"]).tolist()
    times = (np.asarray(steps["start_ticks"]) // PS_PER_NS).tolist()
    for counter in COUNTERS:
        last: dict[int, float] = {}
        for process, time, value in zip(replica, times, np.asarray(steps[counter]).tolist(), strict=True):
            if last.get(process) != value:
                last[process] = value
                yield Sample(process, counter, time, value)
