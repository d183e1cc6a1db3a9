"""Mean, deviation and quantiles whose bits do not depend on the machine.

Sums use ``math.fsum`` or integers of any size, never numpy's reductions: the order in which those add depends on the
vector units of the processor.  Quantiles interpolate linearly, as numpy's default does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
STATISTICS = ("mean", "std", *QUANTILES, "max")
TICKS = 10**12  # picoseconds in a second: the grid on which times of tables lie


def as_ticks(seconds: np.ndarray) -> np.ndarray:
    """Seconds of a table back on the grid of whole picoseconds (int64); the values must be finite."""
    return np.rint(np.asarray(seconds, dtype=np.float64) * float(TICKS)).astype(np.int64)


def mean(values: np.ndarray) -> float:
    """The mean of float64 values, from a sum that is rounded once."""
    return math.fsum(values.tolist()) / len(values)


def std(values: np.ndarray, centre: float) -> float:
    """The population standard deviation around the mean ``centre``."""
    off = np.asarray(values, dtype=np.float64) - centre
    return math.sqrt(math.fsum((off * off).tolist()) / len(values))


def weighted_quantiles(values: np.ndarray, counts: np.ndarray, shares: Sequence[float]) -> list[float]:
    """Quantiles as if value ``i`` stood ``counts[i]`` times in the list, equal to ``np.quantile`` of that list.

    ``counts`` are whole numbers; values with count zero do not take part.  ``ValueError`` if nothing is left.
    """
    counts = np.asarray(counts, dtype=np.int64)
    kept = counts > 0
    values, counts = np.asarray(values, dtype=np.float64)[kept], counts[kept]
    if not len(values):
        raise ValueError("quantiles of nothing")
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(counts[order])

    def at(rank: int) -> float:
        return float(values[np.searchsorted(upto, rank, side="right")])

    return [_between(at, int(upto[-1]), share) for share in shares]


def place(total: int, share: float) -> tuple[int, float]:
    """Rank below a quantile among ``total`` sorted values and the way from there to the next, as numpy counts."""
    virtual = (total - 1) * share
    low = min(math.floor(virtual), total - 1)
    return low, virtual - low


def interpolate(low: float, high: float, way: float) -> float:
    """The point ``way`` between two values, rounded as numpy rounds it."""
    gap = high - low
    return high - gap * (1 - way) if way >= 0.5 else low + gap * way


def _between(at, total: int, share: float) -> float:
    low, way = place(total, share)
    return interpolate(at(low), at(min(low + 1, total - 1)), way)


def describe(values: np.ndarray, unit: float = 1.0) -> dict[str, float | None]:
    """The statistics of a report, each value divided by ``unit``; all ``None`` when there are no values."""
    if not len(values):
        return dict.fromkeys(STATISTICS)
    values = np.sort(np.asarray(values, dtype=np.float64) / unit)
    centre = mean(values)
    ones = np.ones(len(values), dtype=np.int64)
    quantiles = weighted_quantiles(values, ones, list(QUANTILES.values()))
    return {
        "mean": centre,
        "std": std(values, centre),
        **dict(zip(QUANTILES, quantiles, strict=True)),
        "max": float(values[-1]),
    }
