"""The summary of a task graph's run: what ``--json`` prints, from facts and tables alone.

Rates are over the whole makespan.  Shares of streams are busy time over makespan (and width); ``stalls`` name what a
stream waited for last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hwsim.metrics.critical_path import critical_path
from hwsim.metrics.digest import digest
from hwsim.metrics.energy import energy

SCHEMA = "hwsim-graph-summary/1"
YEAR = 365.25 * 86400

Table = Mapping[str, Any]


def is_graph(summary: Mapping[str, Any]) -> bool:
    """True for the summary of a task graph."""
    return summary.get("schema") == SCHEMA


def graph_summary(facts: Mapping[str, Any], tables: Mapping[str, Table]) -> dict[str, Any]:
    """All figures of a graph's run.

    ``facts``: ``name, seed, wall_seconds, makespan_s, tasks, flop, streams, capacities, copies, memory, steps, tokens,
    storage {place: {endurance_bytes}}, owned, warnings`` and ``folds`` for the critical path.
    """
    end = float(facts["makespan_s"])
    warnings = [str(text) for text in facts.get("warnings") or ()]
    steps, tokens = facts.get("steps"), facts.get("tokens")
    if not end:
        warnings.append("no time passes: there are no rates")
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "name": facts["name"],
        "seed": facts["seed"],
        "digest": "",
        "simulated_seconds": end,
        "wall_seconds": facts.get("wall_seconds"),
        "tasks": facts["tasks"],
        "steps": steps,
        "step_time_ms": end / steps * 1e3 if steps else None,
        "tokens": tokens,
        "output_throughput": tokens / end if tokens and end else None,
        "tflops": facts["flop"] / end / 1e12 if end else None,
        "flop": facts["flop"],
        "streams": {name: _stream(stream, end) for name, stream in facts["streams"].items()},
        "capacities": {name: _capacity(figures, end) for name, figures in facts["capacities"].items()},
        "links": {f"{copy['from']}-{copy['to']}": {"bytes": copy["bytes"]} for copy in facts["copies"]},
        "memory": facts["memory"],
        **_energy(facts, end, tokens),
        "storage": storage_life(facts, end, warnings),
        "bottleneck": {},
        "warnings": warnings,
    }
    if "spans" in tables:
        path = critical_path(tables["spans"], facts.get("folds") or ())
        found["bottleneck"] = path.shares()
    plain = _plain(found)
    kept = {key: value for key, value in plain.items() if key != "bottleneck"}  # known only where spans are kept
    plain["digest"] = digest(kept, tables)
    return plain


def _stream(stream: Mapping[str, Any], end: float) -> dict[str, Any]:
    whole = end * stream["width"]
    return {
        "busy_share": stream["busy_s"] / whole if whole else 0.0,
        "stalls": {reason: time / end for reason, time in stream["stalls_s"].items()} if end else {},
    }


def _capacity(figures: Mapping[str, Any], end: float) -> dict[str, Any]:
    return {
        "amount": figures["amount"],
        "unit": figures["unit"],
        "used_share": figures["amount"] / (figures["rate"] * end) if end else 0.0,
    }


def storage_life(facts: Mapping[str, Any], end: float, warnings: list[str]) -> dict[str, Any]:
    """Bytes read from and written to each drive, and its life in years if this goes on for ever."""
    found: dict[str, Any] = {}
    for place, drive in (facts.get("storage") or {}).items():
        read = sum(copy["bytes"] for copy in facts["copies"] if copy["from"] == place)
        written = sum(copy["bytes"] for copy in facts["copies"] if copy["to"] == place)
        endurance = drive.get("endurance_bytes")
        life = endurance / (written / end) / YEAR if endurance and written and end else None
        if written and not endurance:
            warnings.append(f"nobody gave an endurance of {place}: its life is not known")
        found[place] = {"read_bytes": read, "written_bytes": written, "life_years": life}
    return found


def _energy(facts: Mapping[str, Any], end: float, tokens: float | None) -> dict[str, Any]:
    """Joules of what is owned, of what is used and of the boards in use, and of all that is owned for a token."""
    amounts = {name: figures["amount"] for name, figures in facts["capacities"].items()}
    found: dict[str, Any] = {**energy({**facts, "simulated_seconds": end, "amounts": amounts})}
    whole = found["energy_joules"]
    found["joules_per_token"] = whole / tokens if whole is not None and tokens else None
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "item"):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
