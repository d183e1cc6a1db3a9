"""What a publication printed: a number, a condition, a direction or the place of an optimum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import ScenarioError
from hwsim.study.quantities import dimension
from hwsim.units import is_range, parse, parse_bounds

_CONDITION = re.compile(r"\s*(<=|>=|<|>)\s*(\S.*?)\s*")
_EXTREME = re.compile(r"\s*(max|min)\s+at\s+(\S.*?)\s*")
DIRECTIONS = ("increasing", "decreasing")


@dataclass(frozen=True, slots=True)
class Figure:
    """``number``, or ``low``/``high`` limits, or a ``shape`` over a grid (``increasing``, ``max at 4..8``).

    ``rounding`` is half a unit of the last digit printed.
    """

    text: str
    number: float | None = None
    low: float = float("-inf")
    high: float = float("inf")
    strict: bool = False
    rounding: float = 0.0
    shape: str = ""
    place: tuple[float, float] = (0.0, 0.0)

    def holds(self, value: float) -> bool:
        """Whether a simulated value is within the limits."""
        if self.strict:
            return self.low < value < self.high
        return self.low <= value <= self.high

    def holds_over(self, places: Sequence[Any], values: Sequence[float]) -> bool:
        """Whether values over a grid have the shape that was published."""
        if self.shape in DIRECTIONS:
            ordered = sorted(values, reverse=self.shape == "decreasing")
            return list(values) == ordered and len(set(values)) == len(values)
        best = max(values) if self.shape == "max" else min(values)
        at = float(places[list(values).index(best)])
        return self.place[0] <= at <= self.place[1]


def read_figure(raw: Any, metric: str, unit: str | None, where: str) -> Figure:
    """The figure of a claim, in the unit in which its metric is measured."""
    text = str(raw)
    condition = _CONDITION.fullmatch(text) if isinstance(raw, str) else None
    if condition is not None:
        limit = number(condition[2], metric, unit, where)
        low, high = (limit, float("inf")) if condition[1].startswith(">") else (float("-inf"), limit)
        return Figure(text, low=low, high=high, strict="=" not in condition[1])
    if text in DIRECTIONS:
        return Figure(text, shape=text)
    extreme = _EXTREME.fullmatch(text) if isinstance(raw, str) else None
    if extreme is not None:
        ends = parse_bounds(extreme[2]) if is_range(extreme[2]) else (extreme[2], extreme[2])
        return Figure(text, shape=extreme[1], place=(float(ends[0]), float(ends[1])))
    if is_range(raw):
        low, high = (number(end, metric, unit, where) for end in parse_bounds(raw))
        return Figure(text, low=low, high=high)
    value = number(raw, metric, unit, where)
    return Figure(text, number=value, rounding=_rounding(text, value))


def _rounding(text: str, value: float) -> float:
    match = re.match(r"[+-]?(\d*)(?:\.(\d+))?", text.strip())
    if match is None or not match[0] or not float(match[0]):
        return 0.0
    return abs(value / float(match[0])) * 0.5 * 10.0 ** -len(match[2] or "")


def number(raw: Any, metric: str, unit: str | None, where: str) -> float:
    """A figure as a number; with a unit it must be one of the metric's dimension."""
    text = str(raw).strip()
    if unit and re.fullmatch(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", text):
        text = f"{text} {unit}"
    known = dimension(metric)
    try:
        return float(text)
    except ValueError:
        pass
    if known is None:
        match = re.match(r"[+-]?[\d.]+(?:[eE][+-]?\d+)?", text)
        if match and unit:
            return float(match[0])  # a formula has no dimension: the unit is only printed
        raise ScenarioError.of(
            "is not a number", where=where, got=repr(text), expected="a number in the unit of the formula"
        )
    try:
        return float(parse(text, known[0], negative=True)) / known[1]
    except ValueError as error:
        raise ScenarioError.of(str(error), where=where) from None
