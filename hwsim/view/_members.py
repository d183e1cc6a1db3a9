"""Pools, jobs and streams of a run side by side, as tables for terminal and report; a run with one of each has none."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from hwsim.view._numbers import milliseconds, plain, quantity, share
from hwsim.view._words import bound_name


class Members(NamedTuple):
    """A table: what its rows are, the names of its columns, rows of text."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[str, ...]]


def members(summary: Mapping[str, Any]) -> Iterator[Members]:
    """A table for pools, for jobs and for streams, each where there are several."""
    pools = summary.get("pools") or {}
    if pools:
        columns = ("pool", "machines", "busy", "mostly", "prompt/s", "output/s", "KV peak")
        yield Members("Pools", columns, [_pool(summary, name, pool) for name, pool in pools.items()])
    for plural in ("jobs", "streams"):
        found = summary.get(plural) or {}
        if len(found) > 1:
            columns = (plural[:-1], "completed", "output/s", "TTFT p50", "TTFT p99", "TPOT p50", "SLO kept")
            yield Members(plural.capitalize(), columns, [_served(name, part) for name, part in found.items()])


def _pool(summary: Mapping[str, Any], name: str, pool: Mapping[str, Any]) -> tuple[str, ...]:
    busy = pool["busy"]
    seconds = summary["simulated_seconds"] or 0
    gpus = pool["gpus_used"] // max(pool["replicas"], 1) or len((pool.get("places") or [()])[0])
    rates = [plain(pool[key] / seconds) if seconds else None for key in ("prefill_tokens", "decode_tokens")]
    return (
        name,
        f"{pool['replicas']} × {gpus} {pool['gpu'] or 'GPU'}",
        share(sum(busy.values())),
        bound_name(max(busy, key=lambda key: busy[key])) if busy else "",
        *(text or "" for text in rates),
        share(pool["kv_peak"]),
    )


def _served(name: str, part: Mapping[str, Any]) -> tuple[str, ...]:
    counts = part["requests"]
    return (
        name,
        f"{counts['completed']:,} of {counts['arrived']:,}",
        plain(part["output_throughput"]),
        milliseconds(part["ttft_ms"]["p50"]),
        milliseconds(part["ttft_ms"]["p99"]),
        milliseconds(part["tpot_ms"]["p50"]),
        share(part["slo_attainment"]),
    )


def handed_over(summary: Mapping[str, Any]) -> str:
    """What went from prefill to decode, or nothing."""
    found = summary.get("handover") or {}
    if not found.get("requests"):
        return ""
    times = found["transfer_ms"]
    size = quantity(found["bytes"], "bytes")
    return (
        f"{found['requests']:,} with {size} of KV; p50 {milliseconds(times['p50'])}, p99 {milliseconds(times['p99'])}"
    )
