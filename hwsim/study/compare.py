"""A simulated run beside a measured one: every figure with its error, and where the difference is likely to be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hwsim.study.arithmetic import Expression
from hwsim.study.bench import Bench

NOTABLE = 0.1
FULL = 0.95
MUCH = 0.5
SOME = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """One figure: measured, simulated, relative error, likely cause (only of a notable error).

    ``low`` and ``high``: the 80 % interval of the model around the simulated figure, where the run knows one.
    """

    metric: str
    unit: str
    measured: float
    simulated: float | None
    error: float | None
    cause: str
    low: float | None = None
    high: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The line as plain data."""
        return asdict(self)


def compare(summary: Mapping[str, Any], bench: Bench) -> list[Line]:
    """Every measured figure that the run can answer, latencies first."""
    from hwsim.errors import ScenarioError
    from hwsim.metrics import registry

    def lookup(name: str) -> float:
        value = registry.find(name).read(summary)
        if value is None:
            raise ScenarioError.of(f"this run gives no {name}")
        return value

    lines = []
    for name, (measured, formula) in bench.figures.items():
        unit = registry.find(name).unit if name in registry.names() else "ms"
        try:
            simulated = Expression(formula).value(lookup)
        except ScenarioError:
            lines.append(Line(name, unit, measured, None, None, "this run gives no value"))
            continue
        error = simulated / measured - 1
        why = cause(name, error, summary, bench)
        lines.append(Line(name, unit, measured, simulated, error, why, *_model(name, simulated, summary)))
    order = {"ttft": 0, "tpot": 1, "itl": 2, "e2e": 3}
    return sorted(lines, key=lambda line: order.get(line.metric.split(".")[0].split()[0], 4))


def _model(name: str, simulated: float, summary: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """The run's 80 % model interval, of a figure of its own or of the same kind, laid around this one."""
    from hwsim.metrics import registry

    stem = name.split(".")[0].split()[0]
    for headline, found in (summary.get("intervals") or {}).items():
        ends, value = found.get("model"), registry.find(headline).read(summary)
        if ends and value and headline.split(".")[0] == stem:
            return simulated * ends[0] / value, simulated * ends[1] / value
    return None, None


def cause(name: str, error: float, summary: Mapping[str, Any], bench: Bench) -> str:
    """Where a notable error probably comes from, by what the run says about itself; a hint, not a proof."""
    if abs(error) < NOTABLE:
        return ""
    if name.startswith("ttft"):
        return _of_ttft(error, summary)
    if name.startswith(("tpot", "itl")):
        return _of_tpot(error, summary)
    parts = []
    for metric in ("ttft.mean", "ttft.p50", "tpot.mean", "tpot.p50"):
        if metric in bench.figures and not any(part.startswith(metric[:4]) for part in parts):
            stem, statistic = metric.split(".")
            simulated = (summary.get(f"{stem}_ms") or {}).get(statistic)
            measured = bench.figures[metric][0]
            if simulated is not None and abs(simulated / measured - 1) >= NOTABLE:
                parts.append(f"{stem} ({simulated / measured - 1:+.0%})")
    return "follows from " + " and ".join(parts) if parts else "load of the client (arrivals or lengths differ)"


def _of_ttft(error: float, summary: Mapping[str, Any]) -> str:
    mean = (summary.get("ttft_ms") or {}).get("mean") or 0.0
    waiting = (summary.get("queue_wait_ms") or {}).get("mean") or 0.0
    pool = (summary.get("memory") or {}).get("kv") or {}
    full = pool.get("capacity_bytes") and pool["peak_bytes"] >= FULL * pool["capacity_bytes"]
    queued = mean and waiting > MUCH * mean
    if queued and full:
        return "KV room: the pool is full and requests wait for it"
    if queued:
        return "queue: requests wait for a place in a step (arrivals, max_num_seqs, token budget)"
    if error < 0:
        return "prefill too fast, or server and network time in the measured TTFT"
    return "prefill too slow (or prefix-cache hits that the run does not have)"


def _of_tpot(error: float, summary: Mapping[str, Any]) -> str:
    shares = summary.get("bottleneck") or {}
    busy = 1 - shares.get("idle", 0.0) or 1.0
    host = (shares.get("host", 0.0) + shares.get("launch", 0.0)) / busy
    tensor = shares.get("tensor", 0.0) / busy
    if host > SOME:
        return f"host time: {host:.0%} of the busy time is host or launch"
    if tensor > MUCH:
        return "prefill inside decode steps (token budget, prefill speed)"
    return "decode step: " + ("slower" if error < 0 else "faster") + " in reality than the memory and kernel laws say"


def text(lines: list[Line], bench: Bench) -> list[str]:
    """The table for a terminal."""
    rows = [("metric", "unit", "measured", "simulated", "80 % model", "error", "likely cause")]
    for line in lines:
        simulated = f"{line.simulated:.4g}" if line.simulated is not None else ""
        error = f"{line.error:+.1%}" if line.error is not None else ""
        between = "" if line.low is None or line.high is None else f"{line.low:.3g} to {line.high:.3g}"
        rows.append((line.metric, line.unit, f"{line.measured:.4g}", simulated, between, error, line.cause))
    widths = [max(len(row[i]) for row in rows) for i in range(7)]
    out = [f"measured by {bench.tool}"]
    for row in rows:
        cells = (
            cell.rjust(width) if 2 <= i <= 5 else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        out.append("  ".join(cells).rstrip())
    out += [f"refused: {name}: {reason}" for name, reason in bench.refused.items()]
    return out
