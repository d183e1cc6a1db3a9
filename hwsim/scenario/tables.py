"""The tables of a run: what the engines wrote down, in seconds and names, one numpy array per column."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.cost.price import SUBTICKS_PER_SECOND
from hwsim.scenario.wall_time import requests_in_wall_time, stretches_in_wall_time
from hwsim.serving.flight import Handovers
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.serving.engine import Engine
    from hwsim.serving.fleet import Fleet
    from hwsim.serving.journal import Journal
    from hwsim.serving.timeline import Timeline

Table = dict[str, Any]


def request_table(
    journal: Journal,
    unfinished: list[tuple[Any, int]],
    belongings: Mapping[str, Callable[[int], Any]],
    lines: Mapping[int, Timeline],
) -> Table:
    """One row per request that arrived, in order of arrival: times in seconds (NaN where never reached).

    ``belongings`` adds a column per name, from the index of each request; ``lines`` are the timelines of engines that
    were slowed by others.
    """
    done = journal.request_table()
    if lines:
        done = requests_in_wall_time(done, lines)
    rest = [(request, replica) for request, replica in [*journal.others, *unfinished]]
    index = np.concatenate([done["index"], np.array([r.index for r, _ in rest], dtype=np.int64)])
    order = np.argsort(index, kind="stable")

    def column(name: str, others: list[Any], dtype: Any = np.int64) -> np.ndarray:
        return np.concatenate([done[name].astype(dtype), np.array(others, dtype=dtype)])[order]

    def seconds(name: str, others: list[int | None]) -> np.ndarray:
        values = [np.nan if value is None else (value >> 10) / TICKS_PER_SECOND for value in others]
        return np.concatenate([done[name] / TICKS_PER_SECOND, np.array(values, dtype=np.float64)])[order]

    count = len(done["index"])
    statuses = ["completed"] * count + [request.status for request, _ in rest]
    reasons = [""] * count + [request.reason for request, _ in rest]
    names = [journal.names.get(i) or str(i) for i in done["index"].tolist()]
    names += [request.request_id or str(request.index) for request, _ in rest]
    return {
        "request_id": [names[i] for i in order],
        "replica": column("replica", [replica for _, replica in rest]),
        "arrival_s": column("arrival", [request.arrival for request, _ in rest]) / TICKS_PER_SECOND,
        "scheduled_s": seconds("scheduled", [request.scheduled for request, _ in rest]),
        "first_token_s": seconds("first_token", [request.first_token for request, _ in rest]),
        "finish_s": seconds("finish", [request.finish for request, _ in rest]),
        "input_tokens": column("input_tokens", [request.prompt_tokens for request, _ in rest]),
        "output_tokens": column("output_tokens", [request.emitted for request, _ in rest]),
        "cached_tokens": column("cached_tokens", [max(request.cached_tokens, 0) for request, _ in rest]),
        "preemptions": column("preemptions", [request.preemptions for request, _ in rest]),
        "status": [statuses[i] for i in order],
        "reason": [reasons[i] for i in order],
        **{name: [of(i) for i in index[order].tolist()] for name, of in belongings.items()},
    }


def step_table(journal: Journal, lines: Mapping[int, Timeline]) -> Table:
    """One row per stretch of steps with one batch: replica by replica, each in the order of execution.

    How far engines run ahead of each other is of no matter to the result, so it does not show.
    """
    raw = journal.stretch_table()
    if (raw["replica"][1:] < raw["replica"][:-1]).any():
        order = np.argsort(raw["replica"], kind="stable")
        raw = {name: column[order] for name, column in raw.items()}
    if lines:
        raw = stretches_in_wall_time(raw, lines)
    bounds = [name for name, _ in sorted(journal.bounds.items(), key=lambda item: item[1])]
    return {
        "replica": raw["replica"],
        "first_step": raw["first_step"],
        "steps": raw["steps"],
        "start": raw["start"] / TICKS_PER_SECOND,
        "start_ticks": raw["start"],
        "first_duration": raw["first_duration"] / SUBTICKS_PER_SECOND,
        "slope": raw["slope"] / SUBTICKS_PER_SECOND,
        "decode_rows": raw["decode_rows"],
        "prefill_tokens": raw["prefill_tokens"],
        "context": raw["context"],
        "running": raw["running"],
        "waiting": raw["waiting"],
        "free_pages": raw["free_pages"],
        "cached_pages": raw["cached_pages"],
        "late_rows": raw["late_rows"],
        "bound": [bounds[code] for code in raw["bound"].tolist()],
    }


def gap_table(journal: Journal) -> Table:
    """Inter-token gaps that no stretch tells: the pauses of pre-empted requests and of rows held up."""
    gaps = np.array([gap for gap, _ in journal.gaps], dtype=np.float64) / SUBTICKS_PER_SECOND
    return {"gap_s": gaps, "count": np.array([count for _, count in journal.gaps], dtype=np.int64)}


def handover_table(flights: list[Handovers]) -> Table:
    """One row per request whose KV went from prefill to decode, in the order of arrival there; times in seconds."""
    raw = [record.table() for record in flights]
    whole = {name: np.concatenate([table[name] for table in raw]) for name in raw[0]}
    times = {f"{name}_s": whole.pop(name) / TICKS_PER_SECOND for name in Handovers.TIMES}
    return whole | times


def fleet_table(fleets: list[tuple[list[Engine], Fleet]]) -> Table:
    """One row per change of a replica: what it became (starting, open, draining, stopped, down) and when."""
    rows = [
        (time >> 10, engines[number].replica, state)
        for engines, fleet in fleets
        for time, number, state in fleet.events
    ]
    rows.sort(key=lambda row: row[:2])
    return {
        "time_s": np.array([row[0] for row in rows], dtype=np.float64) / TICKS_PER_SECOND,
        "replica": np.array([row[1] for row in rows], dtype=np.int64),
        "state": [row[2] for row in rows],
    }


def schedule_table(engines: list[Engine], first_s: float, end_s: float) -> Table:
    """Who was scheduled in each step that starts in the window, in vLLM's terms."""
    out: dict[str, list] = {}
    for engine in engines:
        if engine.log is None:
            continue
        raw = engine.journal.stretch_table()
        mine = raw["replica"] == engine.replica
        first, end = _window(raw, mine, first_s * TICKS_PER_SECOND, end_s * TICKS_PER_SECOND)
        table = engine.log.table(engine, first, end)
        out.setdefault("replica", []).extend([engine.replica] * len(table["step"]))
        for name, values in table.items():
            out.setdefault(name, []).extend(values)
    return out


def _window(raw: dict[str, np.ndarray], mine: np.ndarray, low: float, high: float) -> tuple[int, int]:
    """The steps of the stretches that start inside the window."""
    starts, firsts, steps = raw["start"][mine], raw["first_step"][mine], raw["steps"][mine]
    inside = np.nonzero((starts >= low) & (starts < high))[0]
    if not len(inside):
        return 0, 0
    return int(firsts[inside[0]]), int(firsts[inside[-1]] + steps[inside[-1]])
