"""GuideLLM: its TPOT includes the first token and weighs every token the same, so it is answered by E2E over tokens."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwsim.study.bench import STATISTICS, Bench

WITH_FIRST = "tpot with the first token"
# Sum of E2E over sum of output tokens: what a mean weighed by tokens of E2E / tokens is.
PER_TOKEN = "e2e.mean * throughput.request / throughput.output"
RATES = {
    "requests_per_second": "throughput.request",
    "output_tokens_per_second": "throughput.output",
    "tokens_per_second": "throughput.total",
}


class Guidellm:
    """The last benchmark of a report."""

    def fits(self, data: Any) -> bool:
        """Whether there is a list of benchmarks with metrics."""
        benchmarks = data.get("benchmarks") if isinstance(data, Mapping) else None
        return isinstance(benchmarks, list) and bool(benchmarks) and "metrics" in benchmarks[-1]

    def read(self, data: Any, where: str) -> Bench:
        """Successful requests only."""
        found = Bench("GuideLLM")
        metrics = data["benchmarks"][-1]["metrics"]
        for name, metric, factor in (("time_to_first_token_ms", "ttft", 1.0), ("request_latency", "e2e", 1e3)):
            for statistic, value in _statistics(metrics.get(name)):
                found.add(f"{metric}.{statistic}", value * factor)
        for statistic, value in _statistics(metrics.get("inter_token_latency_ms")):
            if statistic == "mean":
                found.add("itl.mean", value)
            else:
                found.refused[f"inter_token_latency {statistic}"] = "a statistic of means per request weighed by tokens"
        for statistic, value in _statistics(metrics.get("time_per_output_token_ms")):
            if statistic == "mean":
                found.add(WITH_FIRST, value, PER_TOKEN)
            else:
                found.refused[f"time_per_output_token {statistic}"] = "includes the first token, weighed by tokens"
        for name, metric in RATES.items():
            for statistic, value in _statistics(metrics.get(name)):
                if statistic == "mean":
                    found.add(metric, value)
        return found


def _statistics(block: Any) -> Iterator[tuple[str, float]]:
    inside = (block or {}).get("successful") or {}
    for name, value in {**inside, **(inside.get("percentiles") or {})}.items():
        if name in STATISTICS and isinstance(value, (int, float)):
            yield STATISTICS[name], float(value)


PART = Guidellm()
