"""vLLM ``bench serve`` and SGLang ``bench_serving``: the same names; SGLang appends one line per run.

Both report TPOT as hwsim does (without the first token, every request weighing the same).  vLLM's ITL is per streamed
chunk: where chunks hold several tokens it is refused; SGLang divides a gap by its tokens.
"""

from __future__ import annotations

from typing import Any

from hwsim.study.bench import STATISTICS, Bench, last_record

LATENCIES = {"ttft": "ttft", "tpot": "tpot", "itl": "itl", "e2el": "e2e", "e2e_latency": "e2e"}
RATES = {
    "request_throughput": "throughput.request",
    "output_throughput": "throughput.output",
    "total_token_throughput": "throughput.total",
    "total_throughput": "throughput.total",
}


class Vllm:
    """Aggregates ``mean_ttft_ms`` and so on."""

    def fits(self, data: Any) -> bool:
        """Whether the newest record has the field that both tools always write."""
        return "mean_ttft_ms" in last_record(data)

    def read(self, data: Any, where: str) -> Bench:
        """All aggregates of the newest run."""
        record = last_record(data)
        sglang = "mean_e2e_latency_ms" in record or "server_info" in record
        found = Bench("SGLang bench_serving" if sglang else "vLLM bench serve")
        for key, value in record.items():
            statistic, _, rest = key.partition("_")
            metric = LATENCIES.get(rest.removesuffix("_ms")) if rest.endswith("_ms") else None
            if metric and statistic in STATISTICS:
                found.add(f"{metric}.{STATISTICS[statistic]}", value)
            elif key in RATES:
                found.add(RATES[key], value)
        if not sglang and _chunked(record):
            for name in [name for name in found.figures if name.startswith("itl.")]:
                del found.figures[name]
                found.refused[name] = "gaps are between chunks that hold more than one token, not between tokens"
        return found


def _chunked(record: dict[str, Any]) -> bool:
    """Whether there are clearly fewer gaps than output tokens."""
    gaps, tokens, done = record.get("itls"), record.get("total_output_tokens"), record.get("completed")
    if not isinstance(gaps, list) or not isinstance(tokens, (int, float)) or not isinstance(done, (int, float)):
        return False
    count = sum(len(each) for each in gaps if isinstance(each, list))
    return 0 < count < 0.9 * (tokens - done)


PART = Vllm()
