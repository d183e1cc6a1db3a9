"""Service level objectives: limits that each request keeps or misses."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.metrics.latency import Latencies
from hwsim.metrics.statistics import TICKS

LIMITS = ("ttft_s", "tpot_s", "itl_s", "e2e_s")


def limits_of(slo: Mapping[str, Any] | None) -> dict[str, float]:
    """The limits that are given, in seconds."""
    return {name: float(slo[name]) for name in LIMITS if slo and slo.get(name) is not None}


def good_requests(latencies: Latencies, limits: Mapping[str, float]) -> int:
    """How many completed requests keep all limits (a limit itself is kept).

    A request of one output token has no TPOT and keeps every TPOT limit, as in vLLM's goodput.
    """
    good = np.ones(len(latencies.ttft), dtype=bool)
    for name, limit in limits.items():
        ticks = round(limit * TICKS)
        if name == "ttft_s":
            good &= latencies.ttft <= ticks
        elif name == "e2e_s":
            good &= latencies.e2e <= ticks
        elif name == "tpot_s":
            # In floats: a long limit times many tokens leaves 64 bits, and 2^53 ps are hours.
            good &= latencies.decode <= float(ticks) * (latencies.outputs - 1)
        else:
            raise ValueError(f"no limit {name} per request")
    return int(np.count_nonzero(good))
