"""One formula for numbers and for columns: laws are written once and take ``xp``, this or numpy.

A price needs single numbers fast and without numpy; a fit needs thousands of rows at once.  The names are numpy's.
"""

from __future__ import annotations

import math
from dataclasses import field
from typing import Any


class Numbers:
    """The few functions of numpy that laws use, for single numbers."""

    maximum = staticmethod(max)
    minimum = staticmethod(min)
    ceil = staticmethod(math.ceil)
    floor = staticmethod(math.floor)
    log2 = staticmethod(math.log2)
    exp = staticmethod(math.exp)

    @staticmethod
    def where(condition: bool, yes: float, no: float) -> float:
        """``yes`` if the condition holds."""
        return yes if condition else no


NUMBERS = Numbers()


def coefficient(unit: str, start: float, low: float, high: float, *, optional: bool = False) -> Any:
    """A fitted coefficient of a law: its unit in files, and where a fit starts and must stay (base units).

    An ``optional`` one may be missing from a file: it is for formats or measurements of one kind only.
    """
    return field(metadata={"unit": unit, "start": start, "low": low, "high": high, "optional": optional})


def norm(p: float, *parts: Any) -> Any:
    """``(a**p + b**p + ...)**(1/p)``: 1 adds, large takes the longest; parts that overlap lie between."""
    total = parts[0] ** p
    for part in parts[1:]:
        total = total + part**p
    return total ** (1 / p)
