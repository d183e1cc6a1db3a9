"""What a run says in a sentence: model and machine, throughput, latency, and what bounds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.view._numbers import milliseconds, plain, share

BOUNDS = {
    "hbm": "HBM",
    "tensor": "compute",
    "nvlink": "NVLink",
    "pcie": "PCIe",
    "launch": "kernel launch",
    "host": "host",
    "pipeline": "other pipeline stages",
    "idle": "idle",
    "constant": "constant step",
}
ALONE = {"hbm": "reading weights and KV alone", "tensor": "the arithmetic alone"}
NOTHING_MS = 1e-9  # a bound below this is that of a machine given infinite speed
LIMITS = {"ttft_ms": "TTFT", "tpot_ms": "TPOT", "itl_ms": "ITL", "e2e_ms": "E2E"}


def bound_name(resource: str) -> str:
    """How people call a resource."""
    return BOUNDS.get(resource, resource)


def _gpus(summary: Mapping[str, Any]) -> str:
    """``8×H100-SXM and 16×H20`` of a run with several pools."""
    counts: dict[str, int] = {}
    for pool in (summary.get("pools") or {}).values():
        counts[pool["gpu"]] = counts.get(pool["gpu"], 0) + pool["gpus_used"]
    return " and ".join(f"{count}×{gpu}" for gpu, count in counts.items()) if all(counts) else ""


def machine(summary: Mapping[str, Any]) -> str:
    """``Llama-3.1-8B on 1×H100-SXM`` as far as the run says so."""
    gpus = summary.get("gpus_used")
    where = _gpus(summary) or (f"{gpus}×{summary['gpu']}" if summary.get("gpu") else f"{gpus} GPU" + "s" * (gpus != 1))
    model = str(summary.get("model") or summary["name"]).rpartition("/")[2]
    return f"{model} on {where}" if gpus else model


def headline(summary: Mapping[str, Any]) -> str:
    """The answer of a run in one sentence."""
    if not summary["requests"]["completed"]:
        return f"{machine(summary)} completes none of {summary['requests']['arrived']:,} requests."
    text = f"{machine(summary)} serves {plain(summary['request_throughput'])} requests/s"
    text += f" with TTFT p99 {milliseconds(summary['ttft_ms']['p99'])}"
    if summary["tpot_ms"]["p50"] is not None:
        text += f" and TPOT p50 {milliseconds(summary['tpot_ms']['p50'])}"
    return f"{text}; {bounded(summary)}{verdict(summary)}."


def verdict(summary: Mapping[str, Any]) -> str:
    """What a reader must know beside the figures: that it is overloaded, or that the SLO is not kept."""
    slo, kept = summary.get("slo"), summary.get("slo_attainment")
    if any(str(warning).startswith("overloaded") for warning in summary["warnings"]):
        return "; overloaded"
    if slo and kept is not None and kept < slo["attainment"]:
        return f"; {share(kept)} of requests keep the SLO"
    return ""


def bounded(summary: Mapping[str, Any]) -> str:
    """What takes the time: ``HBM-bound 84 % of the time``, and how long the machine is idle if that is more."""
    shares = {name: value for name, value in summary["bottleneck"].items() if name != "idle"}
    idle = summary["bottleneck"].get("idle", 0.0)
    if not any(shares.values()):
        return "nothing says what bounds it"
    name = max(shares, key=lambda key: shares[key])
    text = f"{bound_name(name)}-bound {shares[name] * 100:.0f} % of the time"
    return text + (f", idle {idle * 100:.0f} %" if idle > 0.25 else "")


def least(summary: Mapping[str, Any]) -> str | None:
    """Achieved against possible: tokens per second and user, and what the data sheet alone would allow."""
    bound, found = summary["bound"], summary["tpot_ms"]["p50"]
    if bound.get("tpot_ms") is None or not found or bound["tpot_ms"] < NOTHING_MS:
        return None
    alone = ALONE.get(str(bound.get("by")), f"{bound.get('by')} alone")
    part = f"({bound['tpot_ms'] / found * 100:.0f} %)"
    return f"{plain(1000 / found)} tok/s/user; {alone} allows {plain(1000 / bound['tpot_ms'])} {part}"


def objective(summary: Mapping[str, Any]) -> str | None:
    """The SLO and how it was kept."""
    slo = summary.get("slo")
    if not slo:
        return None
    limits = ", ".join(f"{word} ≤ {milliseconds(slo[key])}" for key, word in LIMITS.items() if key in slo)
    kept = summary.get("slo_attainment")
    if kept is None:
        return limits
    verdict = "met" if kept >= slo["attainment"] else "missed"
    return f"{limits}: kept by {share(kept)} of requests, wanted {share(slo['attainment'])}: {verdict}"
