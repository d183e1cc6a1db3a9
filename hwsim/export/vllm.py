"""The JSON of ``vllm bench serve --save-result --save-detailed``: what comparison scripts for vLLM read.

Times of single requests are seconds, statistics milliseconds, as there.  ``itls`` are left out: gaps are kept by
stretch.  Latencies are those of the server; vLLM's client also measures network and detokenisation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.export._format import Format, Run
from hwsim.metrics.throughput import most_at_once, tokens_until

STATISTICS = {
    "mean": "mean",
    "median": "p50",
    "std": "std",
    "p50": "p50",
    "p90": "p90",
    "p95": "p95",
    "p99": "p99",
}


def document(
    summary: Mapping[str, Any], manifest: Mapping[str, Any], tables: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    """The result of a run under vLLM's names; lists per request only where the run kept its requests."""
    counts = summary["requests"]
    found: dict[str, Any] = {
        "backend": "hwsim",
        "endpoint_type": "simulated",
        "label": summary["name"],
        "model_id": summary.get("model"),
        "tokenizer_id": None,
        "hwsim_version": manifest.get("hwsim"),
        "digest": summary["digest"],
        "num_prompts": counts["arrived"],
        "completed": counts["completed"],
        "failed": counts["arrived"] - counts["completed"],
        "request_throughput": summary["request_throughput"],
        "request_goodput": summary["goodput"],
        "output_throughput": summary["output_throughput"],
        "total_token_throughput": summary["total_token_throughput"],
    }
    if summary["request_throughput"]:
        found["duration"] = counts["completed"] / summary["request_throughput"]
    for metric, key in (("ttft", "ttft"), ("tpot", "tpot"), ("itl", "itl"), ("e2el", "e2e")):
        for name, statistic in STATISTICS.items():
            found[f"{name}_{metric}_ms"] = summary[f"{key}_ms"][statistic]
    if "requests" in tables:
        found.update(_details(tables["requests"]))
    if "requests" in tables and "steps" in tables:
        found.update(_peaks(tables["steps"], tables["requests"]))
    return found


def _details(requests: Mapping[str, Any]) -> dict[str, Any]:
    arrival = np.asarray(requests["arrival_s"], dtype=np.float64)
    done = np.array([status == "completed" for status in requests["status"]], dtype=bool)
    inputs, outputs = np.asarray(requests["input_tokens"]), np.asarray(requests["output_tokens"])

    def since_arrival(column: str) -> list[float]:
        late = np.asarray(requests[column], dtype=np.float64) - arrival
        return np.where(done, np.round(late, 12), 0.0).tolist()

    return {
        "total_input_tokens": int(np.sum(inputs[done])),
        "total_output_tokens": int(np.sum(outputs[done])),
        "input_lens": inputs.tolist(),
        "output_lens": np.where(done, outputs, 0).tolist(),
        "ttfts": since_arrival("first_token_s"),
        "latencies": since_arrival("finish_s"),
        "start_times": arrival.tolist(),
        "errors": [
            "" if fine else reason or status
            for fine, reason, status in zip(done, requests["reason"], requests["status"], strict=True)
        ],
    }


def _peaks(steps: Mapping[str, Any], requests: Mapping[str, Any]) -> dict[str, Any]:
    """Peaks over buckets of a second, and over all moments."""
    ends = np.asarray(requests["finish_s"], dtype=np.float64)
    last = float(np.max(ends[~np.isnan(ends)], initial=0.0))
    edges = np.arange(0.0, np.ceil(last) + 1.0)
    per_second = np.diff(tokens_until(steps, requests, edges))
    return {
        "max_output_tokens_per_s": float(np.max(per_second, initial=0.0)),
        "max_concurrent_requests": most_at_once(requests),
    }


def _render(run: Run, path: Path) -> None:
    content = document(run.summary, run.manifest, run.tables)
    path.write_text(json.dumps(content, allow_nan=False) + "\n", encoding="utf-8")


PART = Format("json", _render)
