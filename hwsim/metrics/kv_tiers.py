"""Where prompts found their KV: hits by tier, what each tier held and moved, and how long its drives live."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Any

import numpy as np

YEAR = 365 * 86400.0
COUNTS = ("hit_tokens", "spared_tokens", "slower_tokens")
SHARES = ("limit", "peak", "read", "written", "dropped", "lost")

Table = Mapping[str, Any]


def kv_tiers(facts: Mapping[str, Any], tables: Mapping[str, Table], warnings: list[str]) -> dict[str, Any]:
    """``kv_tiers`` and ``links``, only for runs with tiers.

    Hit rates are shares of all prompt tokens of requests that were let in: ``gpu`` is what a replica had cached, each
    tier what was loaded from it; what is left was computed.  Tiers of one device on several nodes are added up.
    """
    table = tables.get("tiers")
    if table is None:
        return {}
    requests = tables["requests"]
    prompts = int(np.sum(requests["input_tokens"][~np.isnan(np.asarray(requests["scheduled_s"], dtype=np.float64))]))
    cached = int(np.sum(requests["cached_tokens"]))
    seconds = float(facts["simulated_seconds"])
    tiers: dict[str, dict[str, Any]] = {}
    for row, device in enumerate(table["device"]):
        tier = tiers.setdefault(device, dict.fromkeys(COUNTS, 0) | {f"{name}_bytes": 0.0 for name in SHARES})
        for name in COUNTS:
            tier[name] += int(table[name][row])
        for name in SHARES:
            tier[f"{name}_bytes"] += float(table[f"{name}_bytes"][row])
        access = float(table["io_bytes"][row])
        if not isnan(access) and seconds > 0:
            accesses = float(table["read_bytes"][row] + table["written_bytes"][row]) / access
            tier["iops"] = tier.get("iops", 0.0) + accesses / seconds
        endurance = float(table["endurance_bytes"][row])
        if not isnan(endurance):
            tier["endurance_bytes"] = tier.get("endurance_bytes", 0.0) + endurance
    loaded = sum(tier["hit_tokens"] for tier in tiers.values())
    for name, tier in tiers.items():
        tier["hit_rate"] = tier["hit_tokens"] / prompts if prompts else None
        endurance, written = tier.pop("endurance_bytes", None), tier["written_bytes"]
        tier["life_years"] = None
        if endurance is not None and written > 0 and seconds > 0:
            tier["life_years"] = endurance / (written / seconds) / YEAR
        tier.setdefault("iops", None)
        used = tier["hit_tokens"] + tier["spared_tokens"]
        if tier["slower_tokens"] > 0.1 * used:
            warnings.append(
                f"{name} is slower than the GPU: {tier['slower_tokens'] / used:.0%} of what was loaded from it would "
                "have been computed, or handed over, sooner (miss: cheapest does that)"
            )
        if tier["lost_bytes"] > 0.01 * tier["written_bytes"]:
            share = tier["lost_bytes"] / tier["written_bytes"]
            warnings.append(
                f"{share:.0%} of what came to {name} was lost since the tier below could not take it in time: its "
                "writes are the bottleneck of the tiers"
            )
    gpu = max(cached - loaded, 0)
    return {
        "kv_tiers": {
            "hit_rate": cached / prompts if prompts else None,
            "gpu": {"hit_tokens": gpu, "hit_rate": gpu / prompts if prompts else None},
            **tiers,
        },
        "links": _links(tables, seconds),
    }


def _links(tables: Mapping[str, Table], seconds: float) -> dict[str, dict[str, float]]:
    """Bytes by way, and how much of each shared capacity was used over the run."""
    found: dict[str, dict[str, float]] = {}
    copies, links = tables["copies"], tables.get("links")
    for source, target, size in zip(copies["source"], copies["target"], copies["bytes"], strict=True):
        found[f"{source}-{target}"] = {"bytes": float(size)}
    if links is not None and seconds > 0:
        for name, unit, amount, rate in zip(links["name"], links["unit"], links["amount"], links["rate"], strict=True):
            busy = float(amount) / (float(rate) * seconds)
            found[name] = {"busy_share": busy} if unit == "s" else {"bytes": float(amount), "busy_share": busy}
    return found
