"""What a finished simulation says about itself, as plain tables and figures for metrics, exports and pictures."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hwsim.cost.price import SUBTICKS_PER_SECOND
from hwsim.cost.scaled import Scaled
from hwsim.cost.tally import Tally, Totals
from hwsim.scenario.kv_allocation import mapping_facts
from hwsim.scenario.static_facts import static_facts
from hwsim.scenario.tables import (
    Table,
    fleet_table,
    gap_table,
    handover_table,
    request_table,
    schedule_table,
    step_table,
)
from hwsim.scenario.tier_tables import tier_tables
from hwsim.scenario.wall_time import timelines
from hwsim.serving.adapted import Adapted
from hwsim.serving.adapters import AdapterCache
from hwsim.serving.controlled import Controlled
from hwsim.serving.controlled_pools import ControlledPools
from hwsim.serving.disaggregation import Disaggregation
from hwsim.serving.fleet import DOWN, STARTING, STOPPED
from hwsim.serving.side_by_side import SideBySide
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.scenario.build import Pool, Simulation


def run_tables(simulation: Simulation, window: tuple[float, float]) -> dict[str, Table]:
    """The result tables; spans and the expanded schedule only where they were recorded."""
    journal, lines = simulation.journal, timelines(simulation)
    tables = {
        "requests": request_table(journal, simulation.unfinished(), _belongings(simulation), lines),
        "steps": step_table(journal, lines),
        "gaps": gap_table(journal),
    }
    tables["counters"] = _counters(tables["steps"], simulation)
    flights = [part.handovers for part in simulation.parts if isinstance(part, Disaggregation)]
    if flights:
        tables["handovers"] = handover_table(flights)
    tables |= tier_tables(simulation)
    fleets = [
        pair for part in simulation.parts if isinstance(part, (Controlled, ControlledPools)) for pair in part.fleets
    ]
    if fleets:
        tables["fleet"] = fleet_table(fleets)
    if simulation.full:
        tables["schedule"] = schedule_table(simulation.engines, *window)
        tables["spans"] = _spans(tables["steps"], window)
    return tables


def _belongings(simulation: Simulation) -> dict[str, Callable[[int], Any]]:
    """Columns that say where a request belongs, by its index: only those that tell requests apart."""
    intakes = simulation.intakes
    jobs = len(intakes)
    found: dict[str, Callable[[int], Any]] = {}
    if jobs > 1:
        found["job"] = lambda index: intakes[index % jobs].job
    if any(len(intake.names) > 1 for intake in intakes):
        found["stream"] = lambda index: intakes[index % jobs].stream_of(index)
    if any(intake.workload.sessions for intake in intakes):
        found["session"] = lambda index: intakes[index % jobs].session_of(index)
        found["turn"] = lambda index: intakes[index % jobs].turn_of(index)
    return found


def run_facts(simulation: Simulation) -> dict[str, Any]:
    """Figures of the run that no table holds: machine, amounts, memory, limits, warnings."""
    engines = simulation.engines
    lines = timelines(simulation)
    ends = [(engine.replica, engine.pipeline.end) for engine in engines]
    last = max([lines[number].wall(end) if number in lines else end for number, end in ends], default=0)
    facts = {
        **static_facts(simulation),
        "seed": simulation.seed,
        "simulated_seconds": last / SUBTICKS_PER_SECOND,
        "memory": _memory(simulation),
        "busy_seconds_by_bound": {},
        "amounts": {},
        "warnings": simulation.warnings,
        "open_loop": all(intake.workload.closed is None for intake in simulation.intakes),
        "steps": sum(engine.step for engine in engines),
        "stretches": simulation.journal.stretches,
        "events": simulation.clock.events,
        "recomputed_tokens": sum(engine.recomputed_tokens for engine in engines),
        "wasted_rows": sum(engine.wasted_rows for engine in engines),
        "scheduled_tokens": sum(engine.scheduled_tokens for engine in engines),
        "preemptions": sum(engine.preemptions for engine in engines),
    }
    mapping = mapping_facts(engines)
    if mapping is not None:
        facts["mapping"] = mapping
    fleet = _fleet(simulation, last)
    if fleet is not None:
        facts["fleet"] = fleet
    for pool in simulation.pools:
        totals = _totals(simulation, pool)
        busy = {name: time / SUBTICKS_PER_SECOND for name, time in totals["time_by_bound"].items()}
        beyond = sum([engine.pipeline.beyond for engine in pool.engines])
        if beyond > 0:
            busy["pipeline"] = beyond / SUBTICKS_PER_SECOND
        facts["pools"][pool.name] |= {"busy_seconds_by_bound": busy, "amounts": totals["demands"]}
        for whole, part in (("busy_seconds_by_bound", busy), ("amounts", totals["demands"])):
            for name, value in part.items():
                facts[whole][name] = facts[whole].get(name, 0.0) + value
    return facts


def _totals(simulation: Simulation, pool: Pool) -> Totals:
    """What the engines of a pool executed, at the pool's prices and at those of slow replicas and of parts of a GPU."""
    engines = {engine.replica for engine in pool.engines}
    whole, tally = pool.pricer.totals(), Tally()
    for part in simulation.parts:
        slowed: list[tuple[int, Scaled]] = []
        if isinstance(part, (Controlled, ControlledPools)):
            slowed = part.slowed
        elif isinstance(part, SideBySide):
            slowed = part.scaled
        for number, scaled in slowed:
            if number in engines:
                more = scaled.totals()
                tally.add(more["time_by_bound"], more["demands"])
    return tally.totals(whole["time_by_bound"], whole["demands"])


def _fleet(simulation: Simulation, end: int) -> dict[str, Any] | None:
    """What the control plane did: how long replicas and their GPUs were powered, starts, stops, failures, moves."""
    parts = [part for part in simulation.parts if isinstance(part, (Controlled, ControlledPools))]
    fleets = [pair for part in parts for pair in part.fleets]
    if not fleets:
        return None
    gpus = {
        engine.replica: max(len(places), 1)
        for pool in simulation.pools
        for engine, places in zip(pool.engines, pool.machine.places, strict=True)
    }
    powered = whole = used = 0.0
    meanings = {"started": STARTING, "stopped": STOPPED, "failed": DOWN}
    counts: dict[str, int] = dict.fromkeys(meanings, 0)
    for engines, fleet in fleets:
        for engine, time in zip(engines, fleet.powered_until(end), strict=True):
            powered += time / SUBTICKS_PER_SECOND
            used += gpus[engine.replica] * time / SUBTICKS_PER_SECOND
            whole += gpus[engine.replica] * end / SUBTICKS_PER_SECOND
        for _, _, state in fleet.events:
            for name, meant in meanings.items():
                counts[name] += state == meant
    return {
        "replicas": sum(len(engines) for engines, _ in fleets),
        "replica_seconds": powered,
        "gpu_hours": used / 3600,
        "powered_share": min(used / whole, 1.0) if whole else 1.0,
        **counts,
        "requests_moved": sum(part.moved for part in parts),
        **_adapters([cache for part in parts if isinstance(part, Adapted) for cache in part.caches]),
    }


def _adapters(caches: list[AdapterCache]) -> dict[str, int]:
    """How often an adapter was on the GPU when a request came, and how often it was fetched."""
    if not caches:
        return {}
    return {"adapter_hits": sum(cache.hits for cache in caches), "adapter_loads": sum(cache.loads for cache in caches)}


def _usable(simulation: Simulation) -> np.ndarray:
    """Pages of each engine's pool, by its number."""
    return np.array([engine.pool.usable for engine in simulation.engines], dtype=np.int64)


def _memory(simulation: Simulation) -> dict[str, dict[str, Any]]:
    """High-water marks: what one GPU holds by owner, and the KV pool of the fullest replica."""
    table = simulation.journal.stretch_table()
    usable = _usable(simulation)
    used = usable[table["replica"]] - table["free_pages"]
    fullest = int(np.argmax(used / np.maximum(usable, 1)[table["replica"]])) if len(used) else None
    number = int(table["replica"][fullest]) if fullest is not None else 0
    pool = next(pool for pool in reversed(simulation.pools) if pool.first <= number)
    page = pool.machine.room.page_bytes if pool.machine.room is not None else 1.0
    peak = int(used[fullest]) * page if fullest is not None else 0.0
    cached = int(table["cached_pages"][fullest]) * page if fullest is not None else 0.0
    pools = {
        "kv": {
            "capacity_bytes": int(usable[number]) * page,
            "peak_bytes": peak,
            "peak_at_s": int(table["start"][fullest]) / TICKS_PER_SECOND if fullest is not None else 0.0,
            "owners_at_peak": {"running": peak, "cached": cached},
        }
    }
    gpu = pool.gpu_memory
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
    usable = _usable(simulation)[steps["replica"]] if len(steps["replica"]) else np.ones(0, dtype=np.int64)
    count = len(steps["start"])
    values = {
        "running": steps["running"],
        "waiting": steps["waiting"],
        "kv_used": (usable - steps["free_pages"]) / np.maximum(usable, 1),
        "kv_cached": steps["cached_pages"] / np.maximum(usable, 1),
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
