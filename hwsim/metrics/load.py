"""How many requests run and wait as time goes by: step functions from the table of stretches."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np

from hwsim.metrics.statistics import as_ticks, weighted_quantiles

MICROSECOND = 10**6  # ticks
QUARTERS = 4
MANY_WAITING = 10.0  # a queue shorter than this on average is no overload, however it grew
GROWTH = 1.5  # the last quarter's queue over the second one's


def step_ends(steps: Mapping[str, Any]) -> np.ndarray:
    """When each stretch ends, in picoseconds (int64)."""
    count = np.asarray(steps["steps"], dtype=np.int64)
    pairs = count * (count - 1) // 2
    length = np.asarray(steps["first_duration"]) * count + np.asarray(steps["slope"]) * pairs
    return np.asarray(steps["start_ticks"], dtype=np.int64) + as_ticks(length)


def step_function(steps: Mapping[str, Any], column: str, *, idle: float | None = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """A column of the stretches over time, summed over replicas.

    Returns times (int64 picoseconds, rising) and the value (float64) that holds from each time to the next.  While a
    replica is idle it counts as ``idle``, or keeps its last value with ``None``.
    """
    replica = np.asarray(steps["replica"], dtype=np.int64)
    start, end = np.asarray(steps["start_ticks"], dtype=np.int64), step_ends(steps)
    value = np.asarray(steps[column], dtype=np.float64)
    times, changes = [np.zeros(0, dtype=np.int64)], [np.zeros(0)]
    for one in np.unique(replica):
        mine = np.nonzero(replica == one)[0]
        mine = mine[np.argsort(start[mine], kind="stable")]
        at, until, held = start[mine], end[mine], value[mine]
        # A stretch ends on the tick grid only after rounding: one tick apart is no idle time.
        stops = np.append(at[1:] > until[:-1] + 1, True) & (idle is not None)
        when = np.concatenate([at, until[stops]])
        level = np.concatenate([held, np.full(int(np.count_nonzero(stops)), idle or 0.0)])
        order = np.argsort(when, kind="stable")
        level = level[order]
        times.append(when[order])
        changes.append(np.diff(level, prepend=0.0))
    when, change = np.concatenate(times), np.concatenate(changes)
    order = np.argsort(when, kind="stable")
    when, level = when[order], np.cumsum(change[order])
    last = np.append(when[1:] != when[:-1], True) if len(when) else np.zeros(0, dtype=bool)
    return when[last], level[last]


def time_mean(times: np.ndarray, values: np.ndarray, first: int, end: int) -> float:
    """The mean of a step function of whole numbers over ``[first, end)`` picoseconds, zero before it starts."""
    if end <= first or not len(times):
        return 0.0
    # To the microsecond, in integers: sums of any order are equal, and 64 bits hold a million requests for months.
    starts = np.clip(times, first, end)
    spans = np.diff(np.append(starts, end) // MICROSECOND)
    return int(np.sum(values.astype(np.int64) * spans)) * MICROSECOND / (end - first)


def steady_window(requests: Mapping[str, Any], steps: Mapping[str, Any]) -> tuple[float, float] | None:
    """The part of a run between warm-up and drain, in seconds, or ``None`` when there is none.

    It starts when the number of running requests first reaches its time-weighted median over the time of arrivals,
    and ends with the last arrival.
    """
    if not len(requests["arrival_s"]) or not len(steps["start_ticks"]):
        return None
    times, running = step_function(steps, "running")
    end = int(as_ticks(np.max(requests["arrival_s"])[None])[0])
    inside = times < end
    if not np.any(inside):
        return None
    times, running = times[inside], running[inside]
    weights = np.diff(np.append(times, end))
    typical = weighted_quantiles(running, weights, [0.5])[0]
    first = int(times[np.nonzero(running >= typical)[0][0]])
    return first / 1e12, end / 1e12


def queue_growth(requests: Mapping[str, Any], steps: Mapping[str, Any]) -> tuple[float, float] | None:
    """Mean queue in the second and last quarter of the time of arrivals if it grew all along, else ``None``.

    That is what arrivals faster than service look like; a passing burst does not grow in every quarter.
    """
    if len(requests["arrival_s"]) < 2 or not len(steps["start_ticks"]):
        return None
    arrivals = as_ticks(requests["arrival_s"])
    first, last = int(np.min(arrivals)), int(np.max(arrivals))
    times, waiting = step_function(steps, "waiting")
    edges = [first + (last - first) * i // QUARTERS for i in range(QUARTERS + 1)]
    queue = [time_mean(times, waiting, a, b) for a, b in pairwise(edges)]
    grew = all(b > a for a, b in pairwise(queue))
    if grew and queue[-1] >= MANY_WAITING and queue[-1] >= GROWTH * queue[1]:
        return queue[1], queue[-1]
    return None
