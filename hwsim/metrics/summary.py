"""The summary of a run: the object that ``--json`` prints, computed from facts and result tables alone.

A figure that nobody can give is ``None`` with a sentence under ``warnings``, never zero.  Latencies are those of
completed requests; inter-token gaps are pooled over all tokens that the engines emitted.  Rates are over the time
from the first arrival to the last completion (to the end of the simulation when requests are left unfinished), so
warm-up and drain are inside; ``steady`` says where they end and begin.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hwsim.metrics import registry
from hwsim.metrics.assertion import Assertion
from hwsim.metrics.breakdown import breakdown, handover
from hwsim.metrics.cost import costs
from hwsim.metrics.digest import digest
from hwsim.metrics.energy import energy, utilisation
from hwsim.metrics.interval import FIGURES, intervals
from hwsim.metrics.kv_tiers import kv_tiers
from hwsim.metrics.latency import Latencies, completed
from hwsim.metrics.load import queue_growth, steady_window, step_ends
from hwsim.metrics.progressions import Progressions
from hwsim.metrics.slo import good_requests, limits_of
from hwsim.metrics.statistics import TICKS, describe

SCHEMA = "hwsim-summary/1"
FEW = 100  # samples below which a 99th percentile is no more than the longest few
MS_TICKS = TICKS / 1000

Table = Mapping[str, Any]


def summary(facts: Mapping[str, Any], tables: Mapping[str, Table]) -> dict[str, Any]:
    """All figures of a run as plain data that JSON can hold.

    ``facts``: ``name, seed, simulated_seconds, wall_seconds, gpus_owned, gpus_used, memory, busy_seconds_by_bound,
    amounts, capacities, energy {idle_w, standby_w, pj_per_flop, pj_per_byte, tdp_w}, prices {usd_per_gpu_hour}, slo,
    bound, warnings, steps, stretches, events, costs`` and, to be passed on, ``model`` and ``gpu``.  ``tables``:
    ``requests``, ``steps`` and ``gaps``.
    """
    warnings = [str(warning) for warning in facts.get("warnings") or ()]
    requests, steps = tables["requests"], tables["steps"]
    latencies = Latencies.of(requests)
    gaps = Progressions.of(steps, tables.get("gaps"))
    seconds = _duration(facts, requests)
    found: dict[str, Any] = {
        "schema": SCHEMA,
        "name": facts["name"],
        "seed": facts["seed"],
        "digest": "",
        "model": facts.get("model"),
        "gpu": facts.get("gpu"),
        "requests": _counts(requests, warnings),
        **_latencies(latencies, gaps, warnings),
        **_rates(facts, requests, latencies, seconds, warnings),
        **_slo(facts, requests, latencies, seconds, warnings),
        "simulated_seconds": facts["simulated_seconds"],
        "wall_seconds": facts.get("wall_seconds"),
        "steps": facts.get("steps"),
        "stretches": facts.get("stretches"),
        "events": facts.get("events"),
        "preemptions": facts.get("preemptions"),
        "memory": facts.get("memory") or {},
        "bottleneck": _bottleneck(facts, steps),
        "bound": _bound(facts, warnings),
        **_machine(facts, requests, warnings),
        "steady": _steady(requests, steps, warnings),
        **breakdown(facts, requests, steps, seconds),
        **handover(tables),
        **kv_tiers(facts, tables, warnings),
        **({"fleet": facts["fleet"]} if facts.get("fleet") else {}),
        **({"mapping": facts["mapping"]} if facts.get("mapping") else {}),
    }
    growth = queue_growth(requests, steps)
    if growth:
        warnings.append(
            f"overloaded: the queue grew through the run, from {growth[0]:.0f} to {growth[1]:.0f} requests on average "
            "between the second and last quarter of arrivals; latencies measure the length of the run, not the system"
        )
    found["warnings"] = list(dict.fromkeys(warnings))
    plain = _plain(found)
    plain["digest"] = digest(plain, tables)
    figures = {name: registry.find(name).read(plain) for name in FIGURES}
    plain["intervals"] = intervals(
        figures, requests, limits_of(facts.get("slo")), facts.get("costs"), open_loop=bool(facts.get("open_loop"))
    )
    return plain


def misses(outcome: Mapping[str, Any], conditions: Sequence[str | Sequence[str]], *, slo: bool = False) -> list[str]:
    """A sentence for each condition that the run misses and, with ``slo``, for a missed SLO."""
    found = [miss for text in conditions if (miss := Assertion.parse(text).miss(outcome))]
    if slo:
        reached, wanted = outcome.get("slo_attainment"), (outcome.get("slo") or {}).get("attainment")
        if reached is None or wanted is None:
            found.append("slo: this run gives no attainment")
        elif reached < wanted:
            found.append(f"slo: {reached:.4g} of the requests keep every limit, wanted {wanted:.4g}")
    return found


def _duration(facts: Mapping[str, Any], requests: Table) -> float:
    """Seconds from the first arrival to the last completion, or to the end of simulation if any is unfinished."""
    arrivals = np.asarray(requests["arrival_s"], dtype=np.float64)
    if not len(arrivals):
        return 0.0
    ends = np.asarray(requests["finish_s"], dtype=np.float64)
    end = float(np.max(ends[~np.isnan(ends)], initial=0.0))
    if "unfinished" in requests["status"]:
        end = max(end, float(facts["simulated_seconds"]))
    return max(end - float(np.min(arrivals)), 0.0)


def _counts(requests: Table, warnings: list[str]) -> dict[str, int]:
    statuses = list(requests["status"])
    counts = {
        "arrived": len(statuses),
        **{name: statuses.count(name) for name in ("completed", "rejected", "unfinished")},
    }
    if counts["rejected"]:
        reasons: dict[str, int] = {}
        for status, reason in zip(statuses, requests["reason"], strict=True):
            if status == "rejected":
                reasons[reason] = reasons.get(reason, 0) + 1
        most = max(sorted(reasons), key=lambda reason: reasons[reason])
        warnings.append(f"{counts['rejected']:,} of {len(statuses):,} requests were rejected, most with: {most}")
    if counts["unfinished"]:
        warnings.append(f"{counts['unfinished']:,} of {len(statuses):,} requests did not finish")
    if not counts["completed"]:
        warnings.append("no request completed: there are no latencies and no rates")
    return counts


def _latencies(latencies: Latencies, gaps: Progressions, warnings: list[str]) -> dict[str, Any]:
    samples = {
        "ttft": latencies.ttft,
        "tpot": latencies.tpot,
        "e2e": latencies.e2e,
        "queue_wait": latencies.queue_wait,
    }
    few = [name for name, values in samples.items() if 0 < len(values) < FEW]
    if few:
        count = min(len(samples[name]) for name in few)
        warnings.append(
            f"p99 of {', '.join(few)} comes from few samples (as few as {count}; below {FEW} it is guesswork)"
        )
    if 0 < gaps.total < FEW:
        warnings.append(f"p99 of itl comes from {gaps.total} samples only")
    if len(latencies.ttft) and not len(latencies.tpot):
        warnings.append("no completed request has more than one output token: there is no tpot")
    if len(latencies.tpot) and not gaps.total:
        warnings.append("no table of steps was kept: there is no itl")
    figures = {f"{name}_ms": describe(values, MS_TICKS) for name, values in samples.items()}
    order = ("ttft_ms", "tpot_ms", "itl_ms", "e2e_ms", "queue_wait_ms")
    figures["itl_ms"] = gaps.describe(1e-3)
    return {name: figures[name] for name in order}


def _rates(
    facts: Mapping[str, Any], requests: Table, latencies: Latencies, seconds: float, warnings: list[str]
) -> dict[str, float | None]:
    names = ("request_throughput", "output_throughput", "total_token_throughput", "output_throughput_per_gpu")
    rates: dict[str, float | None] = dict.fromkeys((*names, "output_throughput_per_user"))
    if seconds > 0:
        outputs, prompts = _tokens(requests)
        rates["request_throughput"] = int(np.count_nonzero(completed(requests))) / seconds
        rates["output_throughput"] = outputs / seconds
        rates["total_token_throughput"] = (outputs + prompts) / seconds
        if facts.get("gpus_used"):
            rates["output_throughput_per_gpu"] = outputs / seconds / facts["gpus_used"]
    elif len(requests["arrival_s"]):
        warnings.append("no time passed between the first arrival and the last completion: there are no rates")
    tpot = latencies.tpot
    if len(tpot) and float(np.min(tpot)) > 0:
        rates["output_throughput_per_user"] = math.fsum((TICKS / tpot).tolist()) / len(tpot)
    return rates


def _tokens(requests: Table) -> tuple[int, int]:
    """Output tokens emitted, and prompt tokens of the requests whose prompt was computed to its end."""
    reached = ~np.isnan(np.asarray(requests["first_token_s"], dtype=np.float64))
    outputs = np.asarray(requests["output_tokens"], dtype=np.int64)
    prompts = np.asarray(requests["input_tokens"], dtype=np.int64)
    return int(np.sum(outputs)), int(np.sum(prompts[reached]))


def _slo(
    facts: Mapping[str, Any], requests: Table, latencies: Latencies, seconds: float, warnings: list[str]
) -> dict[str, Any]:
    given = facts.get("slo") or {}
    limits = limits_of(given)
    found: dict[str, Any] = {"goodput": None, "slo_attainment": None, "slo": None}
    if not limits:
        warnings.append("no limits under slo: there is no goodput and no slo_attainment")
        return found
    found["slo"] = {f"{name.removesuffix('_s')}_ms": limit * 1e3 for name, limit in limits.items()}
    found["slo"]["attainment"] = float(given.get("attainment") or 0.9)
    if "itl_s" in limits:
        warnings.append(
            "slo.itl: gaps are kept by stretch, not by request, so there is no goodput and no slo_attainment"
        )
        return found
    good = good_requests(latencies, limits)
    if len(requests["status"]):
        found["slo_attainment"] = good / len(requests["status"])
    if seconds > 0:
        found["goodput"] = good / seconds
    return found


def _bottleneck(facts: Mapping[str, Any], steps: Table) -> dict[str, float]:
    """Shares of the replicas' time by what bounds it; ``host`` is step time without device work, ``idle`` the rest."""
    replicas = facts.get("replicas") or max(len(np.unique(np.asarray(steps["replica"]))), 1)
    whole = float(facts["simulated_seconds"]) * replicas
    if whole <= 0:
        return {}
    busy = {name: float(seconds) for name, seconds in (facts.get("busy_seconds_by_bound") or {}).items() if seconds}
    device = math.fsum(busy.values())
    stepping = int(np.sum(step_ends(steps) - np.asarray(steps["start_ticks"], dtype=np.int64))) / TICKS
    host = min(max(stepping - device, 0.0), max(whole - device, 0.0))
    shares = {**dict(sorted(busy.items(), key=lambda item: (-item[1], item[0]))), "host": host}
    shares["idle"] = max(whole - device - host, 0.0)
    return {name: seconds / whole for name, seconds in shares.items()}


def _bound(facts: Mapping[str, Any], warnings: list[str]) -> dict[str, Any]:
    bound = facts.get("bound") or {}
    if bound.get("tpot_s") is None:
        warnings.append("the cost law knows no peak rates: there is no bound")
        return {"tpot_ms": None, "by": None}
    return {"tpot_ms": float(bound["tpot_s"]) * 1e3, "by": bound.get("by")}


def _machine(facts: Mapping[str, Any], requests: Table, warnings: list[str]) -> dict[str, Any]:
    """Utilisation, energy and cost."""
    outputs, _ = _tokens(requests)
    mfu, mbu = utilisation(facts, "tensor"), utilisation(facts, "hbm")
    joules, usd = energy(facts), costs(facts)
    whole, part, cost = joules["energy_joules"], joules["energy_used_joules"], usd["cost_usd"]
    low, high = usd["cost_low_usd"], usd["cost_high_usd"]
    if mfu is None or mbu is None:
        warnings.append("amounts or peak rates are not known: mfu or mbu is null")
    if whole is None:
        warnings.append("idle power or energy per FLOP and byte is not known: there is no energy")
    if cost is None:
        warnings.append("nobody gave a price per GPU and hour: there is no cost")
    unknown = (facts.get("owned") or {}).get("unknown")
    if unknown and whole is not None:
        warnings.append(f"energy leaves out what has no idle power: {', '.join(unknown)}")
    return {
        "mfu": mfu,
        "mbu": mbu,
        "gpus_owned": facts["gpus_owned"],
        "gpus_used": facts["gpus_used"],
        **joules,
        "joules_per_output_token": _per(whole, outputs),
        "joules_used_per_output_token": _per(part, outputs),
        "joules_gpu_per_output_token": _per(joules["energy_gpu_joules"], outputs),
        **usd,
        "price_source": _price_source(facts),
        "usd_per_million_output_tokens": _per(cost, outputs, 1e6),
        "usd_per_million_output_tokens_low": _per(low, outputs, 1e6),
        "usd_per_million_output_tokens_high": _per(high, outputs, 1e6),
    }


def _per(total: float | None, outputs: int, scale: float = 1.0) -> float | None:
    return total / outputs * scale if total is not None and outputs else None


def _price_source(facts: Mapping[str, Any]) -> str | None:
    """Where the prices were read, which dates them."""
    groups = ((facts.get("owned") or {}).get("groups") or {}).values()
    return "; ".join(dict.fromkeys(group["price_source"] for group in groups if group["price_source"])) or None


def _steady(requests: Table, steps: Table, warnings: list[str]) -> dict[str, float | None]:
    window = steady_window(requests, steps)
    if window is None:
        warnings.append("arrivals end before a load builds up: there is no steady window")
        return {"from_s": None, "to_s": None}
    return {"from_s": window[0], "to_s": window[1]}


def _plain(value: Any) -> Any:
    """Numbers of numpy as Python's, so that JSON prints them; what is not finite becomes ``None``."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
