"""Inter-token gaps in the space of their stretches: weighted arithmetic progressions that are never written out.

Step ``j`` of a stretch of ``k`` steps lasts ``first + j*slope``, and each of its decode rows sees that gap.  Means are
sums in closed form over integers; a quantile is found by bisection on the number of gaps that are not longer.  Both
are exact: equal to the answer from the list of all gaps, however many billions it would hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hwsim.metrics.statistics import QUANTILES, STATISTICS, interpolate, place

FINEST = float((10**12) << 10)  # 1/1024 ps, the grid of step durations
ROOM = float(1 << 61)


@dataclass(frozen=True, slots=True)
class Progressions:
    """``weight[i]`` copies of each of ``first[i] + j*slope[i]``, ``j < steps[i]``: int64, slopes not negative.

    ``per_second`` is how many units of the values make a second.
    """

    first: np.ndarray
    slope: np.ndarray
    steps: np.ndarray
    weight: np.ndarray
    per_second: float

    @classmethod
    def of(cls, steps: Mapping[str, Any], gaps: Mapping[str, Any] | None = None) -> Progressions:
        """The gaps of a table of stretches and of a table of single gaps (``gap_s``, ``count``).

        ``late_rows`` of a stretch (0 where the table does not say) have their first gap in the other table.
        """
        gaps = gaps or {"gap_s": (), "count": ()}
        long, steep, many = _floats(steps["first_duration"]), _floats(steps["slope"]), _whole(steps["steps"])
        rows = _whole(steps["decode_rows"])
        late = _whole(steps.get("late_rows", np.zeros(len(rows))))
        held = late > 0
        alone = [_floats(gaps["gap_s"]), long[held]]
        first = np.concatenate([np.where(held, long + steep, long), *alone])
        slope = np.concatenate([steep, *(np.zeros(len(part)) for part in alone)])
        count = np.concatenate([many - held, *(np.ones(len(part), dtype=np.int64) for part in alone)])
        weight = np.concatenate([rows, _whole(gaps["count"]), (rows - late)[held]])
        kept = (count > 0) & (weight > 0)
        return cls._on_grid(first[kept], slope[kept], count[kept], weight[kept])

    @classmethod
    def _on_grid(cls, first: np.ndarray, slope: np.ndarray, steps: np.ndarray, weight: np.ndarray) -> Progressions:
        per_second = FINEST
        longest = float(np.max(np.maximum(first, first + slope * steps), initial=0.0))
        while longest * per_second > ROOM:  # gaps of hours: halving the grid is exact for all that still fits
            per_second /= 2
        start = np.rint(first * per_second).astype(np.int64)
        rise = np.rint(slope * per_second).astype(np.int64)
        falls = rise < 0
        start = np.where(falls, start + (steps - 1) * rise, start)
        return cls(start, np.abs(rise), steps, weight, per_second)

    @property
    def total(self) -> int:
        """How many gaps there are."""
        return int(np.sum(self.steps * self.weight))

    def moments(self) -> tuple[float, float]:
        """Mean and population standard deviation in seconds, each rounded once from integers."""
        count, one, two = self.total, 0, 0
        rows = (self.first.tolist(), self.slope.tolist(), self.steps.tolist(), self.weight.tolist())
        for first, slope, steps, weight in zip(*rows, strict=True):
            if slope and steps > 1:
                pairs = steps * (steps - 1)
                one += weight * (steps * first + slope * pairs // 2)
                square = steps * first * first + first * slope * pairs + slope * slope * pairs * (2 * steps - 1) // 6
                two += weight * square
            else:
                alike = weight * steps * first
                one += alike
                two += alike * first
        variance = (count * two - one * one) / (count * count)
        return one / count / self.per_second, math.sqrt(variance) / self.per_second

    def longest(self) -> float:
        """The longest gap in seconds."""
        return int(np.max(self.first + (self.steps - 1) * self.slope)) / self.per_second

    def quantiles(self, shares: Sequence[float]) -> list[float]:
        """Quantiles in seconds, linearly interpolated between neighbours as numpy does."""
        return [self._quantile(share) for share in shares]

    def _quantile(self, share: float) -> float:
        rank, way = place(self.total, share)
        low, upto = self._ranked(rank)
        high = low if way == 0 or upto > rank + 1 else self._after(low)
        return interpolate(low / self.per_second, high / self.per_second, way)

    def _ranked(self, rank: int) -> tuple[int, int]:
        """The value at ``rank`` (from 0) in sorted order and how many values are not larger."""
        first, slope, steps, weight = self.first, self.slope, self.steps, self.weight
        last = first + (steps - 1) * slope
        below, low, high = 0, int(np.min(first)) - 1, int(np.max(last))
        # Invariant: count(<= low) <= rank < count(<= high).  Stretches outside (low, high] are set aside in bulk.
        while high - low > 1:
            middle = (low + high) // 2
            if below + _not_larger(middle, first, slope, steps, weight) > rank:
                high = middle
            else:
                low = middle
            done, kept = last <= low, (last > low) & (first <= high)
            if np.count_nonzero(kept) < 0.8 * len(kept):
                below += int(np.sum((steps * weight)[done]))
                first, slope, steps, weight, last = (c[kept] for c in (first, slope, steps, weight, last))
        return high, below + _not_larger(high, first, slope, steps, weight)

    def _after(self, value: int) -> int:
        """The smallest value above ``value`` (``value`` itself when it is the largest)."""
        slope = np.maximum(self.slope, 1)
        ahead = np.where(value < self.first, 0, (value - self.first) // slope + 1)
        there = (ahead < self.steps) & ((self.slope > 0) | (ahead == 0))
        found = (self.first + ahead * self.slope)[there]
        return int(np.min(found)) if len(found) else value

    def describe(self, unit: float = 1.0) -> dict[str, float | None]:
        """The statistics of a report in multiples of ``unit`` seconds; all ``None`` when there are no gaps."""
        if not self.total:
            return dict.fromkeys(STATISTICS)
        centre, spread = self.moments()
        quantiles = dict(zip(QUANTILES, self.quantiles(list(QUANTILES.values())), strict=True))
        found = {"mean": centre, "std": spread, **quantiles, "max": self.longest()}
        return {name: value / unit for name, value in found.items()}


def _not_larger(value: int, first: np.ndarray, slope: np.ndarray, steps: np.ndarray, weight: np.ndarray) -> int:
    """How many values are at most ``value``."""
    reached = np.where(slope > 0, (value - first) // np.maximum(slope, 1) + 1, steps)
    reached = np.where(value < first, 0, np.minimum(reached, steps))
    return int(np.sum(reached * weight))


def _floats(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.float64)


def _whole(values: Any) -> np.ndarray:
    return np.asarray(values, dtype=np.int64)
