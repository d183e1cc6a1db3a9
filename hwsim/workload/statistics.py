"""What a trace is like: rates, burstiness, lengths, and how much of the prompts a boundless prefix cache would hit."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from hwsim.units import TICKS_PER_SECOND
from hwsim.workload.requests import Requests


def statistics(chunks: Iterable[Requests]) -> dict[str, Any]:
    """Figures of all requests together.

    ``gap_cv``: standard deviation over mean of the gaps between arrivals (1 for Poisson); ``dispersion_Ns``:
    variance over mean of the counts in windows of N seconds; ``prefix_hit_ratio``: share of prefix blocks seen
    before.
    """
    parts = list(chunks)
    arrival = np.concatenate([part.arrival for part in parts]) / TICKS_PER_SECOND
    count = len(arrival)
    span = float(arrival[-1] - arrival[0]) if count else 0.0
    gaps = np.diff(arrival)
    out: dict[str, Any] = {
        "requests": count,
        "span_s": span,
        "rate_per_s": (count - 1) / span if span else None,
        "gap_cv": float(gaps.std() / gaps.mean()) if count > 1 and gaps.mean() else None,
        "dispersion_1s": _dispersion(arrival, span, 1.0),
        "dispersion_60s": _dispersion(arrival, span, 60.0),
        "input_tokens": _lengths(np.concatenate([part.input_tokens for part in parts])),
        "output_tokens": _lengths(np.concatenate([part.output_tokens for part in parts])),
    }
    hits = _prefix_hits(parts)
    if hits is not None:
        out["prefix_hit_ratio"] = hits
    return out


def _lengths(values: np.ndarray) -> dict[str, float]:
    points = np.percentile(values, [50, 90, 99])
    return {
        "mean": float(values.mean()),
        "p50": float(points[0]),
        "p90": float(points[1]),
        "p99": float(points[2]),
        "max": int(values.max()),
    }


def _dispersion(arrival: np.ndarray, span: float, window: float) -> float | None:
    """Over whole windows only."""
    windows = int(span // window)
    if windows < 2:
        return None
    counts = np.bincount((arrival // window).astype(np.int64), minlength=windows)[:windows]
    return float(counts.var() / counts.mean()) if counts.mean() else None


def _prefix_hits(parts: list[Requests]) -> float | None:
    seen: set[int] = set()
    blocks = hits = 0
    for part in parts:
        for ids in part.prefix_ids or ():
            chain = 0
            for key in ids:
                chain = hash((chain, key))
                blocks += 1
                if chain in seen:
                    hits += 1
                else:
                    seen.add(chain)
    return hits / blocks if blocks else None
