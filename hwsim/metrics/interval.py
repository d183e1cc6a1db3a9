"""80 % intervals of the headline figures of a run: sampling and model apart.

*Sampling*: the run is cut into equal batches of requests in their order; how much a figure differs between batches says
how far it would move with other arrivals and lengths (batch means, Student's t).  *Model*: how far whole systems are
from their simulation on measured rows that no constant was fitted on, by metric, wider where a device borrows its
costs.  Simplification: one spread per metric, whatever the load.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.metrics.latency import Latencies, completed
from hwsim.metrics.slo import good_requests

BATCHES = 10
LEAST = 20  # requests of a batch, below which batches say nothing
STUDENT = 1.383  # 80 % of Student's t with nine degrees of freedom lie within
EIGHTY = 1.2816  # and of a normal deviate
FIGURES = {  # headline figure: the kind of spread that holds for it
    "ttft.p50": "ttft",
    "ttft.p99": "ttft",
    "tpot.p50": "tpot",
    "tpot.p99": "tpot",
    "throughput.output": "throughput",
    "slo.attainment": "slo",
    "usd_per_million_output_tokens": "throughput",
}
Ends = tuple[float, float]


@cache
def spreads() -> dict[str, Any]:
    """The committed spreads of whole systems."""
    import yaml

    return yaml.safe_load((Path(__file__).parent / "spreads.yaml").read_text(encoding="utf-8"))["systems"]


def spread(kind: str, *, borrowed: bool = False) -> float | None:
    """Standard deviation of log(simulated / measured) of one kind of figure; ``None`` where none was fitted."""
    entry = spreads().get(kind)
    return None if entry is None else float(entry["borrowed" if borrowed else "calibrated"])


def around(value: float, sigma: float) -> Ends:
    """The 80 % interval of a figure whose logarithm is off by ``sigma``."""
    return value * math.exp(-EIGHTY * sigma), value * math.exp(EIGHTY * sigma)


def intervals(
    figures: Mapping[str, float | None],
    requests: Mapping[str, Any],
    limits: Mapping[str, float],
    costs: str | None,
    *,
    open_loop: bool = False,
) -> dict[str, dict[str, list[float] | None]]:
    """``{figure: {"sampling": [low, high], "model": [low, high]}}``, ``None`` for an interval that nobody can give.

    ``costs`` says where the prices of steps are from: ``calibrated``, ``borrowed`` or ``None`` (given by the scenario:
    no model, no model error).  In an open loop no more can be served than was offered.
    """
    offered = _offered(requests) if open_loop else math.inf
    done = completed(requests)
    order = np.argsort(np.asarray(requests["arrival_s"], dtype=np.float64)[done], kind="stable")
    rows = np.flatnonzero(done)[order]
    parts = [_rows(requests, part) for part in np.array_split(rows, BATCHES)] if len(rows) >= BATCHES * LEAST else []
    found: dict[str, dict[str, list[float] | None]] = {}
    for name, kind in FIGURES.items():
        value = figures.get(name)
        if value is None:
            continue
        sampling = _sampling(name, value, parts, limits)
        model = _model(kind, value, requests, limits, costs)
        if model is not None and kind == "throughput":
            model = _served(name, value, model, figures.get("throughput.output"), offered)
        found[name] = {"sampling": _plain(sampling), "model": _plain(model)}
    return found


def _offered(requests: Mapping[str, Any]) -> float:
    """Output tokens per second that the arrivals ask for."""
    arrivals = np.asarray(requests["arrival_s"], dtype=np.float64)
    span = float(np.max(arrivals) - np.min(arrivals)) if len(arrivals) else 0.0
    return math.fsum(np.asarray(requests["output_tokens"]).tolist()) / span if span > 0 else math.inf


def _served(name: str, value: float, ends: Ends, rate: float | None, offered: float) -> Ends:
    """Ends of a rate, or of what is paid per token, with no more served than was offered."""
    most = max(offered, rate or 0.0)
    if name == "throughput.output":
        return ends[0], min(ends[1], most)
    return (max(ends[0], value * rate / most), ends[1]) if rate and math.isfinite(most) else ends


def _plain(ends: Ends | None) -> list[float] | None:
    return None if ends is None else [float(f"{end:.4g}") for end in ends]


def _rows(requests: Mapping[str, Any], rows: np.ndarray) -> dict[str, Any]:
    columns = ("arrival_s", "scheduled_s", "first_token_s", "finish_s", "output_tokens")
    found: dict[str, Any] = {name: np.asarray(requests[name])[rows] for name in columns}
    return {**found, "status": ["completed"] * len(rows)}


def _sampling(name: str, value: float, parts: list[dict[str, Any]], limits: Mapping[str, float]) -> Ends | None:
    statistic = _statistic(name, limits)
    values = [statistic(part) for part in parts]
    known = [each for each in values if each is not None]
    if len(known) < BATCHES:
        return None
    mean = math.fsum(known) / len(known)
    if not mean:
        return None
    deviation = math.sqrt(math.fsum((each - mean) ** 2 for each in known) / (len(known) - 1))
    # A figure of one batch is not that of the run (a 99th percentile of few is lower), its relative spread is.
    half = STUDENT * deviation / mean / math.sqrt(len(known)) * value
    return max(value - half, 0.0), value + half


def _statistic(name: str, limits: Mapping[str, float]) -> Callable[[dict[str, Any]], float | None]:
    """The figure of one batch of requests, up to a factor that all batches share."""
    stem, _, quantile = name.partition(".")

    def latency(part: dict[str, Any]) -> float | None:
        values = getattr(Latencies.of(part), stem)
        return float(np.quantile(values, int(quantile[1:]) / 100)) if len(values) else None

    def rate(part: dict[str, Any]) -> float | None:
        ends = np.sort(np.asarray(part["finish_s"], dtype=np.float64))
        seconds = float(ends[-1] - ends[0])
        tokens = float(math.fsum(np.asarray(part["output_tokens"]).tolist()))
        return tokens / seconds if seconds > 0 else None

    def attainment(part: dict[str, Any]) -> float | None:
        return good_requests(Latencies.of(part), limits) / len(part["status"])

    if stem in ("ttft", "tpot"):
        return latency
    return attainment if stem == "slo" else rate


def _model(
    kind: str, value: float, requests: Mapping[str, Any], limits: Mapping[str, float], costs: str | None
) -> Ends | None:
    if costs is None:
        return None
    borrowed = costs == "borrowed"
    if kind != "slo":
        sigma = spread(kind, borrowed=borrowed)
        return None if sigma is None else around(value, sigma)
    latencies, count = Latencies.of(requests), len(requests["status"])
    ends = []
    for side in (0, 1):
        moved = {}
        for name, limit in limits.items():
            sigma = spread(name.removesuffix("_s"), borrowed=borrowed) or 0.0
            moved[name] = around(limit, sigma)[side]
        ends.append(good_requests(latencies, moved) / count if count else 0.0)
    return ends[0], ends[1]
