"""AIPerf (GenAI-Perf's heir) ``profile_export.jsonl``: one record per request of a measured run, to be sent again."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hwsim.workload.trace import BadRow, Remark, Row, first_line, lines_of, moment, whole

FAILED = "requests failed when the result was taken and are left out"
WARMUP = "requests of the warm-up are left out"
EXAMPLE = '{"metadata": {"request_start_ns": 0}, "metrics": {"input_sequence_length": {"value": 1}}}'


class AiPerf:
    """Records stand in order of completion, so all are read before the first is given; times are nanoseconds."""

    UNORDERED = True

    @staticmethod
    def matches(head: str) -> bool:
        """True for a record with metadata and metrics."""
        line = first_line(head)
        return line.startswith("{") and '"metadata"' in line and '"request_start_ns"' in line

    @staticmethod
    def rows(path: Path) -> Iterator[tuple[int, Row | Remark | BadRow]]:
        """(line, row) for every record."""
        for number, line in lines_of(path):
            if not line.strip():
                continue
            try:
                yield number, _row(line)
            except BadRow as problem:
                yield number, problem


def _row(line: str) -> Row | Remark:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError):
        raise BadRow("not a JSON line", line.strip(), EXAMPLE) from None
    metadata, metrics = (data.get(name) if isinstance(data, dict) else None for name in ("metadata", "metrics"))
    if not isinstance(metadata, dict) or not isinstance(metrics, dict):
        raise BadRow("no metadata or no metrics", line.strip(), EXAMPLE)
    if data.get("error") or metadata.get("was_cancelled"):
        return Remark(FAILED)
    if metadata.get("benchmark_phase", "profiling") != "profiling":
        return Remark(WARMUP)
    start = moment(metadata.get("request_start_ns"), "request_start_ns", unit=1000, words="nanoseconds")
    name = metadata.get("x_request_id")
    return Row(
        start,
        _value(metrics, "input_sequence_length"),
        _value(metrics, "output_sequence_length", "output_token_count"),
        request_id=str(name) if name else None,
    )


def _value(metrics: Mapping[str, Any], *names: str) -> int:
    name = next((name for name in names if name in metrics), names[0])
    metric = metrics.get(name)
    return whole(metric.get("value") if isinstance(metric, dict) else metric, name)


PART = AiPerf
