"""What a run of a graph adds up to: plain figures of streams, capacities, copies and memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hwsim.units import seconds

if TYPE_CHECKING:
    from hwsim.taskgraph.executor import Executor


def account(executor: Executor) -> dict[str, Any]:
    """Figures in seconds, bytes and FLOP: ``makespan_s, tasks, flop, streams, capacities, copies, memory``."""
    end = executor.clock.now
    return {
        "makespan_s": seconds(end),
        "tasks": executor.ended + executor.skipped,
        "flop": sum([work.flop * work.count for work in executor.works]),
        "streams": _streams(executor, end),
        "capacities": _capacities(executor),
        "copies": _copies(executor),
        "memory": _memory(executor),
    }


def _streams(executor: Executor, end: int) -> dict[str, dict[str, Any]]:
    """Busy seconds of each stream, and idle ones by what was waited for last; ``end``: nothing came any more."""
    found: dict[str, dict[str, Any]] = {}
    for stream in executor.streams.values():
        stalls = {reason: seconds(time) for reason, time in stream.stalls.items()}
        if stream.busy and end > stream.end:
            stalls["end"] = seconds(end - stream.end)
        found[stream.name] = {"busy_s": seconds(stream.busy), "width": stream.width, "stalls_s": stalls}
    return found


def _capacities(executor: Executor) -> dict[str, dict[str, Any]]:
    """Amount taken of each capacity, its rate and unit."""
    return {
        capacity.name: {"amount": amount, "rate": capacity.rate, "unit": capacity.unit}
        for capacity, amount in executor.delivered().items()
    }


def _copies(executor: Executor) -> list[dict[str, Any]]:
    """Bytes copied between each two places."""
    total: dict[tuple[str, str], float] = {}
    for work in executor.works:
        if work.route:
            start, end = work.route
            total[start, end] = total.get((start, end), 0) + work.size * work.count
    return [{"from": start, "to": end, "bytes": size} for (start, end), size in total.items() if size]


def _memory(executor: Executor) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for store in executor.stores.values():
        pool = store.pool
        figures = {
            "capacity_bytes": store.capacity,
            "peak_bytes": pool.peak,
            "peak_at_s": seconds(pool.peak_time),
            "owners_at_peak": pool.owners_at_peak,
        }
        if store.unit != "bytes":
            figures = {key.replace("_bytes", "_places"): value for key, value in figures.items()}
        found[store.name] = figures
    return found


def spans(executor: Executor) -> dict[str, Any]:
    """The rows of the executor's table as the result table ``spans``: times in seconds, resource and time alone."""
    assert executor.table is not None
    raw = executor.table.columns()
    works = raw["work"].tolist()
    return {
        "span": raw["span"],
        "track": raw["track"].tolist(),
        "name": raw["name"].tolist(),
        "owner": raw["owner"].tolist(),
        "ready_s": raw["ready"] / 1e12,
        "start_s": raw["start"] / 1e12,
        "end_s": raw["end"] / 1e12,
        "start_ticks": raw["start"],
        "end_ticks": raw["end"],
        "after": raw["cause"],
        "reason": raw["reason"].tolist(),
        "kind": [executor.works[index].kind for index in works],
        "resource": [executor.works[index].bound or "time" for index in works],
        "alone_s": [seconds(executor.works[index].ticks) for index in works],
    }
