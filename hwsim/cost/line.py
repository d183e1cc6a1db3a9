"""A cost that is affine in the summed context of the decode rows, and the range of contexts in which it holds."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from typing import NamedTuple

FAR = 1 << 62
STEP = 1.05  # the largest ratio of neighbouring knots


class Line(NamedTuple):
    """``fixed + per_token * context`` seconds of one layer for ``low <= context <= limit`` tokens in all rows."""

    fixed: float
    per_token: float
    low: int = 0
    limit: int = FAR


def _knots() -> list[int]:
    """Summed contexts 0, 1, 2, ... then at most 5 % apart, far beyond any batch."""
    found = [0, 1]
    while found[-1] < 1 << 50:
        found.append(max(found[-1] + 1, int(found[-1] * STEP)))
    return found


KNOTS = _knots()


def chord(seconds: Callable[[float], float], context: int, straight: float) -> Line:
    """The piece at ``context`` of the interpolant of ``seconds``.

    Up to ``straight`` tokens the knots are at most 5 % apart; above it the law is affine and one piece holds.
    """
    context = max(context, 0)
    index = bisect_right(KNOTS, context) - 1
    low = KNOTS[index]
    if low >= straight:
        low = next(knot for knot in KNOTS[bisect_right(KNOTS, max(straight - 1, 0)) :])
        base = seconds(low)
        slope = (seconds(2 * low + 2) - base) / (low + 2)
        return Line(base - slope * low, slope, low, FAR)
    high = KNOTS[index + 1]
    base = seconds(low)
    slope = (seconds(high) - base) / (high - low)
    return Line(base - slope * low, slope, low, high if high < FAR else FAR)
