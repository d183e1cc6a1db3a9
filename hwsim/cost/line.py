"""A cost that is affine in the summed context of the decode rows, and the range of contexts in which it holds."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

FAR = 1 << 62
NARROW = 1.05  # knots of a bent law are at most 5 % apart
TOLERANCE = 1e-3  # and further where a straight line is that close to the law
FIRST = 32  # tokens of the first piece


class Line(NamedTuple):
    """``fixed + per_token * context`` seconds of one layer for ``low <= context <= limit`` tokens in all rows."""

    fixed: float
    per_token: float
    low: int = 0
    limit: int = FAR


def chord(seconds: Callable[[float], float], context: int) -> Line:
    """The piece at ``context`` of the interpolant of ``seconds``: which piece depends on the law and nothing else.

    An octave of contexts is one piece if the law is straight there, else it is halved where ``context`` lies until it
    is, or until its ends are 5 % apart.
    """
    if context < FIRST:
        low, high = 0, FIRST
    else:
        low = 1 << (context.bit_length() - 1)
        high = 2 * low
    left, right = seconds(low), seconds(high)
    while high > NARROW * low and high - low > 1:
        middle = (low + high) // 2
        found = seconds(middle)
        straight = left + (right - left) * (middle - low) / (high - low)
        if abs(straight - found) <= TOLERANCE * found:
            break
        if context < middle:
            high, right = middle, found
        else:
            low, left = middle, found
    slope = (right - left) / (high - low)
    return Line(left - slope * low, slope, low, high - 1)
