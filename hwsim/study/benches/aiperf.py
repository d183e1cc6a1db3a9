"""NVIDIA AIPerf: ``profile_export_aiperf.json`` (aggregates) and ``profile_export.jsonl`` (one record per request).

Its "inter token latency" is a request's mean, hence TPOT; the raw gaps are "inter chunk latency".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.metrics.statistics import describe
from hwsim.study.bench import STATISTICS, Bench
from hwsim.units import parse

LATENCIES = {"time_to_first_token": "ttft", "inter_token_latency": "tpot", "request_latency": "e2e"}
RATES = {"request_throughput": "throughput.request", "output_token_throughput": "throughput.output"}
CHUNKS = "gaps between chunks, which may hold more than one token"


class Aiperf:
    """Aggregates, or records from which they are computed."""

    def fits(self, data: Any) -> bool:
        """Whether one of its metric names stands where it writes them."""
        first = data[0] if isinstance(data, list) and data else data
        inside = _block(first)
        return isinstance(inside, Mapping) and isinstance(inside.get("time_to_first_token"), Mapping)

    def read(self, data: Any, where: str) -> Bench:
        """All figures that have an equal in hwsim."""
        found = Bench("AIPerf")
        if isinstance(data, list):
            _from_records([_block(record) for record in data if not record.get("error")], found, where)
            return found
        block = _block(data)
        for name, metric in LATENCIES.items():
            for statistic, value in (block.get(name) or {}).items():
                if statistic in STATISTICS and isinstance(value, (int, float)):
                    found.add(f"{metric}.{STATISTICS[statistic]}", _ms(value, block[name].get("unit", "ms"), where))
        for name, metric in RATES.items():
            found.add(metric, (block.get(name) or {}).get("avg"))
        if "inter_chunk_latency" in block:
            found.refused["inter_chunk_latency"] = CHUNKS
        return found


def _block(data: Any) -> Any:
    """Where the metrics stand: at the top, under ``records`` or under ``metrics``."""
    if not isinstance(data, Mapping):
        return None
    return next((data[key] for key in ("metrics", "records") if isinstance(data.get(key), Mapping)), data)


def _from_records(records: list[Any], found: Bench, where: str) -> None:
    for name, metric in LATENCIES.items():
        values = [
            _ms(record[name]["value"], record[name].get("unit", "ms"), where) for record in records if record.get(name)
        ]
        for statistic, value in describe(np.array(values, dtype=np.float64)).items():
            found.add(f"{metric}.{statistic}", value)


def _ms(value: float, unit: str, where: str) -> float:
    try:
        return float(parse(f"{value!r} {unit}", "s")) * 1e3
    except ValueError as error:
        raise ScenarioError.of(str(error), where=where) from None


PART = Aiperf()
