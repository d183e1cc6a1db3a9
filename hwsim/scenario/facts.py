"""What a finished simulation says about itself, as plain tables and figures for metrics, exports and pictures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.cost.price import SUBTICKS_PER_SECOND
from hwsim.scenario.tables import Table, gap_table, request_table, schedule_table, step_table
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.scenario.build import Simulation


def run_tables(simulation: Simulation, window: tuple[float, float]) -> dict[str, Table]:
    """The result tables; spans and the expanded schedule only where they were recorded."""
    journal = simulation.journal
    tables = {
        "requests": request_table(journal, simulation.unfinished()),
        "steps": step_table(journal),
        "gaps": gap_table(journal),
    }
    tables["counters"] = _counters(tables["steps"], simulation)
    if simulation.full:
        tables["schedule"] = schedule_table(simulation.replicas, *window)
        tables["spans"] = _spans(tables["steps"], window)
    return tables


def run_facts(simulation: Simulation) -> dict[str, Any]:
    """Figures of the run that no table holds: machine, amounts, memory, limits, warnings."""
    engines = [replica.engine for replica in simulation.replicas]
    totals = simulation.pricer.totals()
    last = max((engine.pipeline.end for engine in engines), default=0)
    busy = {name: time / SUBTICKS_PER_SECOND for name, time in totals["time_by_bound"].items()}
    return {
        **simulation.static_facts,
        "seed": simulation.seed,
        "simulated_seconds": last / SUBTICKS_PER_SECOND,
        "memory": _memory(simulation),
        "busy_seconds_by_bound": busy,
        "amounts": totals["demands"],
        "warnings": simulation.warnings,
        "steps": sum(engine.step for engine in engines),
        "stretches": simulation.journal.stretches,
        "events": simulation.clock.events,
        "recomputed_tokens": sum(engine.recomputed_tokens for engine in engines),
        "wasted_rows": sum(engine.wasted_rows for engine in engines),
        "scheduled_tokens": sum(engine.scheduled_tokens for engine in engines),
        "preemptions": sum(engine.preemptions for engine in engines),
    }


def _memory(simulation: Simulation) -> dict[str, dict[str, Any]]:
    """High-water marks: what one GPU holds by owner, and the KV pool of the fullest replica."""
    room = simulation.room
    page = room.page_bytes if room is not None else 1.0
    usable = simulation.replicas[0].engine.pool.usable if simulation.replicas else 0
    table = simulation.journal.stretch_table()
    fullest = int(np.argmin(table["free_pages"])) if len(table["free_pages"]) else None
    used = cached = at = 0
    if fullest is not None:
        used = usable - int(table["free_pages"][fullest])
        cached, at = int(table["cached_pages"][fullest]), int(table["start"][fullest])
    pools = {
        "kv": {
            "capacity_bytes": usable * page,
            "peak_bytes": used * page,
            "peak_at_s": at / TICKS_PER_SECOND,
            "owners_at_peak": {"running": used * page, "cached": cached * page},
        }
    }
    gpu = simulation.gpu_memory
    if gpu is not None:
        pools["gpu"] = {
            "capacity_bytes": gpu.capacity,
            "peak_bytes": gpu.peak,
            "peak_at_s": gpu.peak_time / TICKS_PER_SECOND,
            "owners_at_peak": gpu.owners_at_peak,
        }
    return pools


def _counters(steps: Table, simulation: Simulation) -> Table:
    """Running, waiting and used pages at each stretch, as one long table of named values."""
    usable = simulation.replicas[0].engine.pool.usable if simulation.replicas else 0
    count = len(steps["start"])
    values = {
        "running": steps["running"],
        "waiting": steps["waiting"],
        "kv_used": (usable - steps["free_pages"]) / max(usable, 1),
        "kv_cached": steps["cached_pages"] / max(usable, 1),
    }
    return {
        "replica": np.tile(steps["replica"], len(values)),
        "time_s": np.tile(steps["start"], len(values)),
        "name": [name for name in values for _ in range(count)],
        "value": np.concatenate([np.asarray(column, dtype=np.float64) for column in values.values()]),
    }


def _spans(steps: Table, window: tuple[float, float]) -> Table:
    """One span per engine stretch in the window: what the device did from when to when."""
    start = steps["start"]
    count = steps["steps"]
    end = start + steps["first_duration"] * count + steps["slope"] * (count * (count - 1) // 2)
    inside = np.nonzero((start < window[1]) & (end > window[0]))[0]
    prefill, rows = steps["prefill_tokens"], steps["decode_rows"]
    return {
        "track": [f"replica{steps['replica'][i]}" for i in inside],
        "name": [f"prefill {prefill[i]} + decode {rows[i]}" if prefill[i] else f"decode {rows[i]}" for i in inside],
        "start_s": start[inside],
        "end_s": end[inside],
        "steps": count[inside],
        "cause": [steps["bound"][i] for i in inside],
    }
