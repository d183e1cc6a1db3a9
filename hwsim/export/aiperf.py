"""AIPerf's ``profile_export.jsonl``: one record per request with metadata, metrics and error, times in nanoseconds."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.export._format import Format, Run
from hwsim.metrics.statistics import as_ticks

MS = 10**9  # picoseconds


def records(requests: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """One record per request, in order of arrival; what never finished has an error and no latencies."""
    columns = {name: _ticks(requests[name]) for name in ("arrival_s", "first_token_s", "finish_s")}
    prompts = np.asarray(requests["input_tokens"]).tolist()
    outputs = np.asarray(requests["output_tokens"]).tolist()
    rows = zip(
        requests["request_id"],
        requests["status"],
        requests["reason"],
        prompts,
        outputs,
        *columns.values(),
        strict=True,
    )
    for number, (name, status, reason, prompt, output, arrival, first, finish) in enumerate(rows):
        done = status == "completed"
        yield {
            "metadata": {
                "session_num": number,
                "turn_index": 0,
                "x_request_id": name,
                "request_start_ns": arrival // 1000,
                "request_end_ns": finish // 1000 if done else None,
                "benchmark_phase": "profiling",
                "was_cancelled": status == "unfinished",
            },
            "metrics": _metrics(arrival, first, finish, prompt, output) if done else {},
            "error": None if done else {"code": None, "type": status, "message": reason or status},
        }


def _metrics(arrival: int, first: int, finish: int, prompt: int, output: int) -> dict[str, Any]:
    found = {
        "time_to_first_token": {"value": (first - arrival) / MS, "unit": "ms"},
        "request_latency": {"value": (finish - arrival) / MS, "unit": "ms"},
        "input_sequence_length": {"value": prompt, "unit": "tokens"},
        "output_sequence_length": {"value": output, "unit": "tokens"},
    }
    if output > 1:
        # What AIPerf calls inter token latency is TPOT: one mean per request.
        per_token = (finish - first) / (output - 1)
        found["inter_token_latency"] = {"value": per_token / MS, "unit": "ms"}
        if per_token > 0:
            found["output_token_throughput_per_user"] = {"value": 1e12 / per_token, "unit": "tokens/sec/user"}
    return found


def _ticks(seconds: Any) -> list[int]:
    values = np.asarray(seconds, dtype=np.float64)
    return as_ticks(np.where(np.isnan(values), 0.0, values)).tolist()


def _render(run: Run, path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for record in records(run.table("requests")):
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


PART = Format("jsonl", _render)
