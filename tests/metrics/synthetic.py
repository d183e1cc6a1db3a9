"""A small run that is consistent in itself: a server with continuous batching, written out as result tables.

Arrivals come from a linear congruential generator; a step takes ``base + rows*row + prefill*token + context*slope``
in whole subticks.  Prompts are computed whole in one step together with the decode rows.  ``expanded`` holds every
inter-token gap, as the plain answer to compare with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

SECOND = 10**12 << 10  # subticks
MODEL = "meta-llama/Llama-3.1-8B-Instruct"
GIB = 1 << 30

RESOLVED = """\
hwsim: 1  # default
name: synthetic  # synthetic.yaml:2
model: meta-llama/Llama-3.1-8B-Instruct  # synthetic.yaml:3
system:
  node: dgx-h100  # synthetic.yaml:4
  nodes: 1  # default
serve:
  engine: vllm-0.33  # default
  tensor_parallel_size: 1  # default
"""


@dataclass
class Row:
    index: int
    prompt: int
    outputs: int
    arrival: int
    scheduled: int = -1
    first: int = -1
    finish: int = -1
    emitted: int = 0


@dataclass
class Server:
    """One replica; ``now`` in subticks."""

    replica: int
    pages: int = 8000
    max_rows: int = 128
    base: int = SECOND * 6 // 1000
    row: int = SECOND // 60_000
    token: int = SECOND // 40_000
    slope: int = SECOND // 400_000_000
    now: int = 0
    step: int = 0
    stretches: list[tuple] = field(default_factory=list)
    expanded: list[tuple[int, int]] = field(default_factory=list)

    def run(self, rows: list[Row], horizon: int) -> None:
        todo, waiting, running = sorted(rows, key=lambda r: r.arrival), [], []
        while (todo or waiting or running) and self.now < horizon:
            if not waiting and not running:
                self.now = max(self.now, todo[0].arrival)
            while todo and todo[0].arrival <= self.now:
                waiting.append(todo.pop(0))
            fresh = []
            while waiting and len(running) + len(fresh) < self.max_rows and len(fresh) < 4:
                fresh.append(waiting.pop(0))
            if fresh:
                self._stretch(running, fresh, waiting, 1)
            else:
                self._stretch(running, [], waiting, self._steps(running, todo))
            running = [r for r in [*running, *fresh] if r.finish < 0]

    def _steps(self, running: list[Row], todo: list[Row]) -> int:
        left = min(r.outputs - r.emitted for r in running)
        if not todo:
            return left
        most, context = 0, self._context(running)
        end = self.now
        while most < left and end < todo[0].arrival:
            end += self._duration(len(running), 0, context + most * len(running))
            most += 1
        return max(most, 1)

    def _context(self, running: list[Row]) -> int:
        return sum(r.prompt + r.emitted for r in running)

    def _duration(self, rows: int, prefill: int, context: int) -> int:
        return self.base + rows * self.row + prefill * self.token + context * self.slope

    def _stretch(self, running: list[Row], fresh: list[Row], waiting: list[Row], steps: int) -> None:
        rows, prefill, context = len(running), sum(r.prompt for r in fresh), self._context(running)
        first, slope, start = self._duration(rows, prefill, context), rows * self.slope, self.now
        for r in fresh:
            r.scheduled = start
        if rows:
            self.expanded += [(first + j * slope, rows) for j in range(steps)]
        self.now += steps * first + slope * (steps * (steps - 1) // 2)
        for r in running:
            r.emitted += steps
        for r in fresh:
            r.first, r.emitted = self.now, 1
        for r in [*running, *fresh]:
            if r.emitted == r.outputs:
                r.finish = self.now
        held = sum((r.prompt + r.emitted + 15) // 16 for r in [*running, *fresh] if r.finish < 0)
        bound = "tensor" if prefill > 700 else "hbm"
        alive = len(running) + len(fresh)
        row = (self.replica, self.step, steps, start >> 10, first, slope, rows, prefill, context, alive)
        self.stretches.append((*row, len(waiting), self.pages - held, min(self.pages - held, 4 * self.step), bound))
        self.step += steps


STEP_COLUMNS = (
    *(
        "replica",
        "first_step",
        "steps",
        "start_ticks",
        "first_duration",
        "slope",
        "decode_rows",
        "prefill_tokens",
    ),
    *("context", "running", "waiting", "free_pages", "cached_pages", "bound"),
)


def synthetic(
    count: int = 300,
    *,
    rate: float = 8.0,
    replicas: int = 1,
    outputs: tuple[int, int] = (1, 300),
    horizon_s: float = math.inf,
    rejected: int = 0,
    slo: dict[str, Any] | None = None,
    name: str = "synthetic",
    max_rows: int = 128,
) -> tuple[dict[str, Any], dict[str, Any], np.ndarray]:
    """Facts, tables, and all inter-token gaps (seconds) of a run with ``count`` requests at ``rate`` per second."""
    rows, at, state = [], 0.0, 12345
    for index in range(count):
        draws = []
        for _ in range(3):
            state = (1103515245 * state + 12345) % (1 << 31)
            draws.append((state + 0.5) / (1 << 31))
        at += -math.log(draws[0]) / rate
        span = outputs[1] - outputs[0] + 1
        answer = 1 if index % 29 == 5 else outputs[0] + int(span * draws[2])
        rows.append(Row(index, 32 + int(1500 * draws[1] ** 3), answer, int(at * 1e12) << 10))
    bad = {rows[(i + 1) * count // (rejected + 1) - 1].index for i in range(rejected)}
    servers = [Server(i, max_rows=max_rows) for i in range(replicas)]
    horizon = int(min(horizon_s, 1e6) * 1e12) << 10
    for server in servers:
        mine = [r for r in rows if r.index % replicas == server.replica and r.index not in bad]
        server.run(mine, horizon)
    tables = {
        "requests": _requests(rows, bad, replicas),
        "steps": _steps(servers),
        "gaps": {"gap_s": np.array([0.75, 1.25]), "count": np.array([1, 2], dtype=np.int64)},
    }
    tables["counters"] = _counters(tables["steps"], servers)
    gaps = [gap for server in servers for gap, times in server.expanded for _ in range(times)]
    expanded = np.concatenate([np.array(gaps, dtype=np.float64) / SECOND, [0.75, 1.25, 1.25]])
    return _facts(servers, tables, name, slo), tables, expanded


def _requests(rows: list[Row], bad: set[int], replicas: int) -> dict[str, Any]:
    def seconds(values: list[int]) -> np.ndarray:
        return np.array([np.nan if v < 0 else (v >> 10) / 1e12 for v in values])

    def status(row: Row) -> str:
        return "rejected" if row.index in bad else "completed" if row.finish >= 0 else "unfinished"

    def whole(values: list[int]) -> np.ndarray:
        return np.array(values, dtype=np.int64)

    return {
        "request_id": [f"r{r.index}" for r in rows],
        "replica": whole([r.index % replicas for r in rows]),
        "arrival_s": seconds([r.arrival for r in rows]),
        "scheduled_s": seconds([r.scheduled for r in rows]),
        "first_token_s": seconds([r.first for r in rows]),
        "finish_s": seconds([r.finish for r in rows]),
        "input_tokens": whole([r.prompt for r in rows]),
        "output_tokens": whole([r.emitted for r in rows]),
        "cached_tokens": whole([0 for r in rows]),
        "preemptions": whole([0 for r in rows]),
        "status": [status(r) for r in rows],
        "reason": ["prompt of 9000 tokens is longer than max_model_len" if r.index in bad else "" for r in rows],
    }


def _steps(servers: list[Server]) -> dict[str, Any]:
    rows = sorted((row for s in servers for row in s.stretches), key=lambda row: (row[3], row[0]))
    columns = dict(zip(STEP_COLUMNS, zip(*rows, strict=True) if rows else [()] * len(STEP_COLUMNS), strict=True))
    table: dict[str, Any] = {}
    for name, values in columns.items():
        if name == "bound":
            table[name] = list(values)
        elif name in ("first_duration", "slope"):
            table[name] = np.array(values, dtype=np.float64) / SECOND
        else:
            table[name] = np.array(values, dtype=np.int64)
        if name == "start_ticks":
            table["start"] = table["start_ticks"] / 1e12
    return table


def _counters(steps: dict[str, Any], servers: list[Server]) -> dict[str, Any]:
    pages = servers[0].pages
    values = {
        "running": steps["running"],
        "waiting": steps["waiting"],
        "kv_used": (pages - steps["free_pages"]) / pages,
        "kv_cached": steps["cached_pages"] / pages,
    }
    count = len(steps["start"])
    return {
        "replica": np.tile(steps["replica"], len(values)),
        "time_s": np.tile(steps["start"], len(values)),
        "name": [name for name in values for _ in range(count)],
        "value": np.concatenate([np.asarray(v, dtype=np.float64) for v in values.values()]),
    }


def _facts(servers: list[Server], tables: dict[str, Any], name: str, slo: dict[str, Any] | None) -> dict[str, Any]:
    simulated = max(s.now for s in servers) / SECOND
    steps, whole = tables["steps"], simulated * len(servers)
    used = int(np.max(servers[0].pages - steps["free_pages"], initial=0))
    page = 2 << 20
    owners = {"weights": 15 * GIB, "activations": 2 * GIB, "runtime": 1.2 * GIB, "cuda_graphs": 0.8 * GIB}
    owners["kv_pool"] = servers[0].pages * page
    kv_peak = {"running": used * page, "cached": 64 * page}
    return {
        "name": name,
        "seed": 7,
        "model": MODEL,
        "gpu": "H100-SXM",
        "simulated_seconds": simulated,
        "wall_seconds": 0.42,
        "gpus_owned": 8,
        "gpus_used": len(servers),
        "replicas": len(servers),
        "memory": {
            "kv": {
                "capacity_bytes": servers[0].pages * page,
                "peak_bytes": used * page,
                "peak_at_s": simulated / 2,
                "owners_at_peak": kv_peak,
            },
            "gpu": {
                "capacity_bytes": 80 * GIB,
                "peak_bytes": sum(owners.values()),
                "peak_at_s": 0.0,
                "owners_at_peak": owners,
            },
        },
        "busy_seconds_by_bound": {
            "hbm": 0.6 * whole,
            "tensor": 0.1 * whole,
            "launch": 0.05 * whole,
        },
        "amounts": {"gpu.tensor": 1.2e14 * whole, "gpu.hbm": 1.9e12 * whole, "gpu.nvlink": 0.0},
        "capacities": {"gpu.tensor": 989.4e12 * len(servers), "gpu.hbm": 3.35e12 * len(servers)},
        "energy": {"idle_w": 70.0, "pj_per_flop": 0.75, "pj_per_byte": 122.0, "tdp_w": 700.0},
        "prices": {"usd_per_gpu_hour": {"low": 1.5, "median": 2.5, "high": 4.0}},
        "slo": slo,
        "bound": {"tpot_s": 0.0056, "by": "hbm"},
        "warnings": ["efficiency of attention is borrowed from another device"],
        "steps": sum(s.step for s in servers),
        "stretches": sum(len(s.stretches) for s in servers),
        "events": 1234,
        "recomputed_tokens": 0,
        "wasted_rows": 0,
        "preemptions": 0,
        "scheduled_tokens": 0,
    }
