"""Conditions on a finished run, such as ``ttft.p99 <= 2 s``: read by a small grammar, never evaluated as code."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.metrics.registry import Metric, find
from hwsim.units import format_quantity, parse

_TEXT = re.compile(r"\s*([A-Za-z][\w.\-]*)\s*(<=|>=|<|>|==)\s*(\S.*?)\s*")
_HOLDS = {"<=": operator.le, ">=": operator.ge, "<": operator.lt, ">": operator.gt}


def _alike(value: float, limit: float) -> bool:
    return math.isclose(value, limit, rel_tol=1e-9)


@dataclass(frozen=True, slots=True)
class Assertion:
    """A metric, a comparison (``<= < >= > ==``) and a limit in the base unit of the metric's dimension.

    ``==`` holds to nine significant digits: both sides have been through units.
    """

    metric: Metric
    comparison: str
    limit: float
    text: str

    @classmethod
    def parse(cls, text: str | Sequence[str], where: str = "assert") -> Assertion:
        """From text or from its three parts; ``ScenarioError`` for an unknown metric, a wrong unit or anything else."""
        if isinstance(text, str):
            match = _TEXT.fullmatch(text) if len(text) < 300 else None
            if match is None:
                raise ScenarioError.of(
                    "is not a condition",
                    where=where,
                    got=repr(text[:60]),
                    expected="one such as 'ttft.p99 <= 2 s'",
                )
            name, comparison, limit = match.groups()
        else:
            name, comparison, limit = (str(part) for part in text)
        metric = find(name, where)
        if comparison not in ("==", *_HOLDS):
            raise ScenarioError.of(
                "unknown comparison", where=where, got=repr(comparison), expected="<=, <, >=, > or =="
            )
        try:
            value = float(parse(limit, metric.dimension))
        except ValueError as error:
            raise ScenarioError.of(f"{name}: {error}", where=where) from None
        return cls(metric, comparison, value, f"{name} {comparison} {limit}")

    def holds(self, summary: Mapping[str, Any]) -> bool:
        """Whether the run meets it; a figure that nobody can give meets nothing."""
        value = self.metric.base(summary)
        if value is None:
            return False
        return (_HOLDS.get(self.comparison) or _alike)(value, self.limit)

    def miss(self, summary: Mapping[str, Any]) -> str | None:
        """A sentence about what is missed, or ``None`` when it holds."""
        if self.holds(summary):
            return None
        value = self.metric.base(summary)
        found = "this run gives no value" if value is None else f"it is {format_quantity(value, self.metric.dimension)}"
        return f"{self.text}: {found}"


def problems(conditions: Iterable[str | Sequence[str]], where: str = "assert") -> list[Problem]:
    """What is wrong with conditions before anything runs: unknown metrics, wrong units, all at once."""
    found: list[Problem] = []
    for condition in conditions:
        try:
            Assertion.parse(condition, where)
        except ScenarioError as error:
            found.extend(error.problems)
    return found
