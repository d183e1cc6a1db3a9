"""What is wanted and what is varied: ``slo``, ``assert``, ``study`` and published ``claims``."""

import re
from typing import Annotated, Any, Literal, Self

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from hwsim.scenario.schema.quantity import Axis, Bounds, Count, Duration, Name, Raw, Reader, Share, Text
from hwsim.scenario.schema.record import Record

_CONDITION = re.compile(r"\s*([a-z][a-z0-9_.-]*)\s*(<=|>=|<|>|==)\s*(\S.*?)\s*")


def condition(text: Any) -> tuple[str, str, str]:
    """``ttft.p99 <= 2 s`` as metric, comparison and limit."""
    match = _CONDITION.fullmatch(text) if isinstance(text, str) else None
    if match is None:
        raise ValueError(f"{str(text)[:60]!r} is not a condition; expected one such as 'ttft.p99 <= 2 s'")
    return match[1], match[2], match[3]


Condition = Annotated[
    tuple[str, str, str],
    Reader(condition, {"type": "string", "description": "metric, comparison and limit: ttft.p99 <= 2 s"}),
]


class Slo(Record):
    """Limits that each request should keep; the run meets them if a share ``attainment`` of the requests does."""

    ttft: Duration | None = None
    tpot: Duration | None = None
    e2e: Duration | None = None
    attainment: Share = 0.9


class Solve(Record):
    """The highest (or lowest) value of one path, between two ends, at which the SLO or a condition still holds."""

    path: Text
    between: Bounds
    highest: Text | None = None
    lowest: Text | None = None

    @model_validator(mode="after")
    def _one_goal(self) -> Self:
        if (self.highest is None) == (self.lowest is None):
            raise PydanticCustomError("value", "expected either highest or lowest, such as highest: slo")
        return self


class Study(Record):
    """Points to run: ``axes`` (path: values) times ``variants`` (name: a merge at the root)."""

    axes: dict[Text, Axis] | None = None
    variants: dict[Name, dict[str, Raw] | None] | None = None
    solve: Solve | None = None
    repeats: Count = 1
    best: Text | None = None
    maximize: Text | None = None
    minimize: Text | None = None


class Claim(Record):
    """A figure of a publication and how to make it: the metric, the change (``set``) and what it is put over.

    ``metric`` is a name of the registry or arithmetic on names; ``paper`` a number, text with a unit or, of an order
    or bound, a condition such as ``> 1``.  ``grid`` gives values of one path to take the best of or to rank;
    ``range`` values of assumed inputs by path; ``unknown`` the path that an anchor or implied claim solves for within
    ``range``; ``ideal`` the best that the mechanism could do; ``readings`` other readings of the figure.
    """

    kind: Literal["definition", "formula", "device", "anchor", "prediction", "ratio", "order", "bound", "implied"]
    metric: Text
    paper: Raw = None
    grid: dict[Text, Axis] | None = None
    unknown: Text | None = None
    ideal: Text | None = None
    readings: dict[Name, Raw] | None = None
    unit: Text | None = None
    over: dict[str, Raw] | None = None
    set: dict[str, Raw] | None = None
    source: Text | None = None
    known: Text | None = None
    needs: dict[str, Text] | None = None
    tolerance: Share | None = None
    range: Raw = None
    note: Text | None = None


class Unscored(Record):
    """A published figure that is left out, with the reason."""

    source: Text
    figure: Text
    reason: Text
