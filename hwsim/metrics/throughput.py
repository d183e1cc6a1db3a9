"""Output tokens over time, from the table of stretches and the first tokens of requests.

Inside a stretch tokens are spread evenly over its time, which is off by less than one step's tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.metrics.load import step_ends


def tokens_until(steps: Mapping[str, Any], requests: Mapping[str, Any], times_s: np.ndarray) -> np.ndarray:
    """Output tokens emitted up to each of the rising ``times_s`` (float64, over all replicas)."""
    first = np.asarray(requests["first_token_s"], dtype=np.float64)
    firsts = np.searchsorted(np.sort(first[~np.isnan(first)]), times_s, side="right")
    return firsts + spread_until(steps, "decode_rows", times_s)


def spread_until(steps: Mapping[str, Any], column: str, times_s: np.ndarray) -> np.ndarray:
    """A column that counts something per step (rows, prefill tokens), summed up to each of the rising ``times_s``."""
    times = np.asarray(times_s, dtype=np.float64)
    found = np.zeros(len(times))
    replica = np.asarray(steps["replica"])
    start, end = np.asarray(steps["start"], dtype=np.float64), step_ends(steps) / 1e12
    amount = np.asarray(steps["steps"], dtype=np.float64) * np.asarray(steps[column])
    for one in np.unique(replica):
        mine = np.nonzero(replica == one)[0]
        mine = mine[np.argsort(start[mine], kind="stable")]
        done = np.cumsum(amount[mine])
        knots = np.stack([start[mine], end[mine]], axis=1).ravel()
        counts = np.stack([done - amount[mine], done], axis=1).ravel()
        found += np.interp(times, np.maximum.accumulate(knots), counts)
    return found


def most_at_once(requests: Mapping[str, Any]) -> int:
    """The largest number of requests between arrival and last token at one moment (half-open intervals)."""
    start = np.asarray(requests["arrival_s"], dtype=np.float64)
    end = np.asarray(requests["finish_s"], dtype=np.float64)
    kept = np.array([status != "rejected" for status in requests["status"]], dtype=bool)
    if not np.any(kept):
        return 0
    start, end = np.sort(start[kept]), np.sort(np.where(np.isnan(end[kept]), np.inf, end[kept]))
    alive = np.arange(1, len(start) + 1) - np.searchsorted(end, start, side="right")
    return int(np.max(alive))
