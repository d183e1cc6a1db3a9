"""A measured figure beside a simulated one, and what many such rows say together."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(slots=True)
class Row:
    """One measured value.  ``n`` is how many measurements it stands for; without ``simulated``, ``note`` says why.

    ``group`` is the family that a fit must leave out whole; ``split`` says ``fit`` where constants were fitted on the
    row and ``score`` where not.  ``low`` and ``high`` are the ends of the 80 % interval.  ``rank`` holds what
    configurations must share to be compared with each other.
    """

    suite: str
    case: str
    device: str
    model: str
    engine: str
    metric: str
    measured: float
    simulated: float | None = None
    n: int = 1
    split: str = "score"
    note: str = ""
    group: str = ""
    rank: str = ""
    low: float | None = None
    high: float | None = None

    @property
    def error(self) -> float | None:
        """Relative error; positive where simulated is more."""
        if self.simulated is None or not self.measured or not math.isfinite(self.simulated):
            return None
        return self.simulated / self.measured - 1

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        return {**asdict(self), "error": self.error}


@dataclass(frozen=True, slots=True)
class Errors:
    """Median and 90th percentile of absolute errors, and the median signed error."""

    n: int
    median: float
    p90: float
    bias: float


def errors_of(rows: Iterable[Row]) -> Errors | None:
    """What the rows that have an error say, each counted once."""
    signed = [row.error for row in rows if row.error is not None]
    if not signed:
        return None
    absolute = sorted(abs(error) for error in signed)
    rank = 0.9 * (len(absolute) - 1)
    low = int(rank)
    high = min(low + 1, len(absolute) - 1)
    p90 = absolute[low] + (absolute[high] - absolute[low]) * (rank - low)
    return Errors(len(absolute), statistics.median(absolute), p90, statistics.median(signed))


def grouped(rows: Iterable[Row], key: Callable[[Row], str]) -> dict[str, list[Row]]:
    """Rows by key, in the order in which keys first appear."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(key(row), []).append(row)
    return found


def ordered(rows: Sequence[Row], apart: float = 0.1, most: int = 400) -> tuple[int, int]:
    """Pairs of one ``rank`` and metric that were measured more than ``apart`` apart, and how many come out in order.

    At most ``most`` rows of a rank are paired, so that large ones do not take hours.
    """
    pairs = right = 0
    scored = [row for row in rows if row.error is not None and row.rank and row.split == "score"]
    for members in grouped(scored, lambda row: f"{row.rank}|{row.metric}").values():
        members = members[:most]
        for i, one in enumerate(members):
            for other in members[i + 1 :]:
                if max(one.measured, other.measured) > (1 + apart) * min(one.measured, other.measured):
                    pairs += 1
                    assert one.simulated is not None and other.simulated is not None
                    right += (one.simulated < other.simulated) == (one.measured < other.measured)
    return pairs, right


def covered(rows: Iterable[Row]) -> tuple[int, int]:
    """Rows with an interval, and how many measured values lie in theirs."""
    known = [row for row in rows if row.low is not None and row.high is not None and row.split == "score"]
    inside = sum(row.low <= row.measured <= row.high for row in known if row.low is not None and row.high is not None)
    return len(known), inside
