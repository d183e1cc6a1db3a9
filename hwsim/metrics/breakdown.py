"""The main figures again by pool, job and stream: who was served how, and what each pool was doing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.metrics.latency import Latencies
from hwsim.metrics.slo import good_requests, limits_of
from hwsim.metrics.statistics import TICKS, as_ticks, describe

MS_TICKS = TICKS / 1000
FLIGHT = ("prefilled", "asked", "reserved", "started", "arrived")

Table = Mapping[str, Any]


def breakdown(facts: Mapping[str, Any], requests: Table, steps: Table, seconds: float) -> dict[str, Any]:
    """``pools``, ``jobs`` and ``streams``: each only where there are several."""
    found: dict[str, Any] = {}
    pools = facts.get("pools") or {}
    if len(pools) > 1:
        found["pools"] = {name: _pool(facts, pool, requests, steps, seconds) for name, pool in pools.items()}
    for plural, column in (("jobs", "job"), ("streams", "stream")):
        if column in requests:
            names = np.asarray(requests[column], dtype=object)
            found[plural] = {
                str(name): _requests(facts, requests, names == name, seconds) for name in dict.fromkeys(names.tolist())
            }
    return found


def handover(tables: Mapping[str, Table]) -> dict[str, Any]:
    """What went from prefill to decode: requests, bytes, and how long each part of the way took."""
    table = tables.get("handovers")
    if table is None:
        return {}
    at = {name: as_ticks(np.asarray(table[f"{name}_s"], dtype=np.float64)) for name in FLIGHT}
    return {
        "handover": {
            "requests": len(table["index"]),
            "tokens": int(np.sum(table["tokens"])),
            "bytes": int(np.sum(table["bytes"])),
            "transfer_ms": describe(at["arrived"] - at["started"], MS_TICKS),
            "reservation_ms": describe(at["reserved"] - at["asked"], MS_TICKS),
            "after_prefill_ms": describe(at["arrived"] - at["prefilled"], MS_TICKS),
        }
    }


def _requests(facts: Mapping[str, Any], requests: Table, mine: np.ndarray, seconds: float) -> dict[str, Any]:
    """Counts, rates and latencies of some of the requests."""
    chosen = {name: np.asarray(values, dtype=_kind(values))[mine] for name, values in requests.items()}
    latencies = Latencies.of(chosen)
    statuses = list(chosen["status"])
    limits = limits_of(facts.get("slo") or {})
    return {
        "requests": {
            "arrived": len(statuses),
            **{name: statuses.count(name) for name in ("completed", "rejected", "unfinished")},
        },
        "request_throughput": len(latencies.ttft) / seconds if seconds > 0 else None,
        "output_throughput": int(np.sum(chosen["output_tokens"])) / seconds if seconds > 0 else None,
        "ttft_ms": describe(latencies.ttft, MS_TICKS),
        "tpot_ms": describe(latencies.tpot, MS_TICKS),
        "e2e_ms": describe(latencies.e2e, MS_TICKS),
        "queue_wait_ms": describe(latencies.queue_wait, MS_TICKS),
        "slo_attainment": good_requests(latencies, limits) / len(statuses) if limits and statuses else None,
    }


def _kind(values: Any) -> Any:
    return object if isinstance(values, list) else None


def _pool(
    facts: Mapping[str, Any], pool: Mapping[str, Any], requests: Table, steps: Table, seconds: float
) -> dict[str, Any]:
    """A pool's machine, the requests that ended on it, and what its engines were doing."""
    first, count = int(pool["first_replica"]), int(pool["replicas"])
    replica = np.asarray(requests["replica"])
    stepping = (np.asarray(steps["replica"]) >= first) & (np.asarray(steps["replica"]) < first + count)
    used = int(pool["usable_blocks"]) - np.asarray(steps["free_pages"])[stepping]
    whole = float(facts["simulated_seconds"]) * count
    busy = pool.get("busy_seconds_by_bound") or {}
    prefill = np.asarray(steps["prefill_tokens"])[stepping]
    decode = (np.asarray(steps["decode_rows"]) * np.asarray(steps["steps"]))[stepping]
    return {
        "role": pool["role"],
        "group": pool["group"],
        "model": pool["model"],
        "gpu": pool["gpu"],
        "replicas": count,
        "tensor_parallel_size": pool["tensor_parallel_size"],
        "gpus_used": pool["gpus_used"],
        **_requests(facts, requests, (replica >= first) & (replica < first + count), seconds),
        "prefill_tokens": int(np.sum(prefill)),
        "decode_tokens": int(np.sum(decode)),
        "kv_peak": float(np.max(used, initial=0)) / max(int(pool["usable_blocks"]), 1),
        "busy": {name: float(time) / whole for name, time in sorted(busy.items())} if whole > 0 else {},
    }
