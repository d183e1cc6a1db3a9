"""Latencies of single requests, on the grid of picoseconds, as the field defines them.

TTFT is the first token minus arrival; E2E the last token minus arrival; queue wait the first schedule minus arrival;
TPOT ``(last - first) / (n_out - 1)`` for each request with more than one output token.  Only the server is modelled:
network and detokenisation are not in them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.metrics.statistics import as_ticks


@dataclass(frozen=True, slots=True)
class Latencies:
    """Picoseconds per completed request (int64); ``decode`` is last minus first token, ``outputs`` the tokens."""

    queue_wait: np.ndarray
    ttft: np.ndarray
    e2e: np.ndarray
    decode: np.ndarray
    outputs: np.ndarray

    @classmethod
    def of(cls, requests: Mapping[str, Any]) -> Latencies:
        """The latencies of the completed rows of a request table, in its order."""
        done = completed(requests)
        at = {
            name: as_ticks(np.asarray(requests[name], dtype=np.float64)[done])
            for name in ("arrival_s", "scheduled_s", "first_token_s", "finish_s")
        }
        return cls(
            at["scheduled_s"] - at["arrival_s"],
            at["first_token_s"] - at["arrival_s"],
            at["finish_s"] - at["arrival_s"],
            at["finish_s"] - at["first_token_s"],
            np.asarray(requests["output_tokens"], dtype=np.int64)[done],
        )

    @property
    def tpot(self) -> np.ndarray:
        """TPOT in picoseconds (float64) of the requests that have one."""
        many = self.outputs > 1
        return self.decode[many] / (self.outputs[many] - 1)


def completed(requests: Mapping[str, Any]) -> np.ndarray:
    """Which rows of a request table are completed requests, as booleans."""
    return np.array([status == "completed" for status in requests["status"]], dtype=bool)
