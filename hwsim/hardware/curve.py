"""A figure measured at several points: throughput by I/O size and queue depth, latency by load, rate by message size.

Between points a curve is a straight line in the logarithms of both axes (so it rises wherever its points rise); beyond
them it keeps its last value and says so.  With two axes, the points of equal second value form one curve each, and a
value between two of those curves is read from both and again interpolated in logarithms.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from math import exp, isfinite, log
from typing import Any, NamedTuple

from hwsim.units import format_quantity, parse


class Reading(NamedTuple):
    """A value read off a curve; ``inside`` is False where the curve was not measured."""

    value: float
    inside: bool


@dataclass(frozen=True)
class Shape:
    """Columns of a curve with their dimensions: one or two axes, then the value.

    Written ``io_size: bytes, queue_depth: count -> throughput: bytes/s``.
    """

    axes: tuple[tuple[str, str], ...]
    value: tuple[str, str]

    @classmethod
    def of(cls, text: str) -> Shape:
        """The shape written as ``axis: dimension[, axis: dimension] -> value: dimension``."""
        left, _, right = text.partition("->")
        axes = [_pair(part) for part in left.split(",")]
        return cls(tuple(axes), _pair(right))

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """All columns with their dimensions."""
        return (*self.axes, self.value)


def _pair(text: str) -> tuple[str, str]:
    name, _, dimension = text.strip().partition(":")
    return name.strip(), dimension.strip()


def is_curve(dimension: str) -> bool:
    """Whether a kind states this figure as a curve and not as a number."""
    return "->" in dimension


class Curve:
    """Measured points of one figure, with where they come from.

    ``series`` maps each value of the second axis (0 without one) to its points in order of the first axis.
    """

    def __init__(
        self, shape: Shape, series: Mapping[float, list[tuple[float, float]]], source: str, status: str
    ) -> None:
        self.shape = shape
        self.source = source
        self.status = status
        self.series = dict(sorted(series.items()))
        self._logs = {
            key: ([log(x) for x, _ in points], [log(y) for _, y in points]) for key, points in self.series.items()
        }

    @classmethod
    def of(cls, text: str, columns: Mapping[str, Any], source: str, status: str, *, bare: bool = False) -> Curve:
        """The curve of a mapping of columns; ``ValueError`` with a sentence for whatever is wrong with it."""
        shape = Shape.of(text)
        names = [name for name, _ in shape.columns]
        unknown = sorted(set(columns) - set(names))
        if unknown:
            raise ValueError(f"unknown column {unknown[0]!r}; expected {', '.join(names)}")
        missing = [name for name in names if not isinstance(columns.get(name), list) or not columns[name]]
        if missing:
            raise ValueError(f"column {missing[0]!r} is missing or no list; expected {', '.join(names)}")
        counts = {name: len(columns[name]) for name in names}
        if len(set(counts.values())) != 1:
            raise ValueError("columns of different length: " + ", ".join(f"{n} {c}" for n, c in counts.items()))
        rows = list(zip(*(_numbers(columns[name], name, unit, bare) for name, unit in shape.columns), strict=True))
        series: dict[float, list[tuple[float, float]]] = {}
        for row in rows:
            points = series.setdefault(row[1] if len(shape.axes) == 2 else 0.0, [])
            if points and row[0] <= points[-1][0]:
                raise ValueError(f"{names[0]} must rise from point to point, but {row[0]:g} follows {points[-1][0]:g}")
            points.append((row[0], row[-1]))
        return cls(shape, series, source, status)

    def at(self, x: float, second: float | None = None) -> Reading:
        """The value at ``x`` (and at ``second`` on the second axis), in base units."""
        keys = list(self.series)
        if len(keys) == 1 or second is None:
            inside = len(self.shape.axes) == 1 or second is None or second == keys[0]
            found = self._one(keys[0], x)
            return Reading(found.value, found.inside and inside)
        place = bisect_left(keys, second)
        if place == len(keys) or (place == 0 and keys[0] != second):
            found = self._one(keys[min(place, len(keys) - 1)], x)
            return Reading(found.value, False)
        if keys[place] == second:
            return self._one(keys[place], x)
        below, above = self._one(keys[place - 1], x), self._one(keys[place], x)
        share = log(second / keys[place - 1]) / log(keys[place] / keys[place - 1])
        value = exp(log(below.value) + share * (log(above.value) - log(below.value)))
        return Reading(value, below.inside and above.inside)

    def _one(self, key: float, x: float) -> Reading:
        points = self.series[key]
        xs, ys = self._logs[key]
        if x <= points[0][0]:
            return Reading(points[0][1], x == points[0][0])
        if x >= points[-1][0]:
            return Reading(points[-1][1], x == points[-1][0])
        at = log(x)
        place = bisect_left(xs, at)
        if xs[place] == at:
            return Reading(points[place][1], True)
        share = (at - xs[place - 1]) / (xs[place] - xs[place - 1])
        return Reading(exp(ys[place - 1] + share * (ys[place] - ys[place - 1])), True)

    def most(self) -> float:
        """The highest value of all points."""
        return max(value for points in self.series.values() for _, value in points)

    def __str__(self) -> str:
        first, last = next(iter(self.series.values()))[0], list(self.series.values())[-1][-1]
        (axis, unit), (_, of) = self.shape.axes[0], self.shape.value
        count = sum(len(points) for points in self.series.values())
        ends = f"{format_quantity(first[1], of)} to {format_quantity(last[1], of)}"
        return (
            f"{ends} by {axis} ({format_quantity(first[0], unit)} to {format_quantity(last[0], unit)}, {count} points)"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Curve) and (self.shape, self.series) == (other.shape, other.series)

    def __hash__(self) -> int:
        return hash((self.shape, tuple(self.series)))


def _numbers(values: list[Any], name: str, dimension: str, bare: bool) -> list[float]:
    """A column in base units; logarithms need every number above zero."""
    found: list[float] = []
    for value in values:
        try:
            number = float(parse(value, dimension, bare=bare))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from None
        if not (number > 0 and isfinite(number)):
            raise ValueError(f"{name}: {value} is not above zero")
        found.append(number)
    return found
