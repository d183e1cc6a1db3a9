"""A request trace on disk: its format told from its first lines, its rows streamed, checked, sliced and scaled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.part import Parts
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.requests import CHUNK, Requests
from hwsim.workload.trace_file import ENDINGS, BadRow, head_of, items_of, lines_of, locate

__all__ = ["ENDINGS", "BadRow", "Remark", "Row", "Trace", "items_of", "lines_of", "locate", "moment", "whole"]

MOST_PROBLEMS = 20
LATEST = 9_000_000 * TICKS_PER_SECOND  # 64-bit picoseconds hold 106 days
FORMATS = Parts("hwsim.workload.traces")


class Row(NamedTuple):
    """One request as a trace tells it: arrival in ticks of its own clock (None: not told), lengths in tokens."""

    arrival: int | None
    input_tokens: int
    output_tokens: int
    max_tokens: int | None = None
    eos: bool = False
    priority: int = 0
    prefix_ids: tuple[int, ...] = ()
    prefix_block: int = 0
    request_id: str | None = None


class Remark(NamedTuple):
    """Something about a line that is no error, such as a request that failed when the trace was taken; counted."""

    text: str


class Trace:
    """A trace file with its format; ``requests`` streams it as chunks.

    Slices: ``from``/``until`` in seconds of the trace's own clock (from its first row), ``skip`` and ``first`` by
    count; ``rate_scale`` divides times; the first request of the slice arrives at 0.  ``remarks`` counts what was
    left out or estimated, once the rows have been read.
    """

    def __init__(self, path: Path, format: str | None = None) -> None:
        self.path = path
        self.format = format or detect(path)
        self.reader = FORMATS.get(self.format)
        self.remarks: Counter[str] = Counter()

    def rows(self) -> Iterator[Row]:
        """All requests in order of arrival; up to twenty bad lines are collected before the error is raised."""
        if getattr(self.reader, "UNORDERED", False):
            # Result files list requests as they ended: all of them are read, then put in order.
            yield from sorted(self._rows(ordered=False), key=lambda row: row.arrival or 0)
        else:
            yield from self._rows(ordered=True)

    def _rows(self, *, ordered: bool) -> Iterator[Row]:
        problems: list[Problem] = []
        self.remarks.clear()
        last = -1
        count = 0
        for number, row in self.reader.rows(self.path):
            if isinstance(row, Remark):
                self.remarks[row.text] += 1
                continue
            if ordered and isinstance(row, Row) and row.arrival is not None and row.arrival < last:
                row = BadRow(
                    "time goes backwards",
                    f"{row.arrival / TICKS_PER_SECOND:g} s after {last / TICKS_PER_SECOND:g} s",
                    "rows in order of arrival",
                )
            if isinstance(row, BadRow):
                problems.append(Problem(row.what, f"{self.path}:{number}", row.got, row.expected))
                if len(problems) >= MOST_PROBLEMS:
                    break
                continue
            last = last if row.arrival is None else row.arrival
            count += 1
            if not problems:
                yield row
        if problems:
            raise ScenarioError(problems)
        if not count:
            left = "; ".join(f"{number:,} {text}" for text, number in self.remarks.items())
            raise ScenarioError.of(
                "the trace has no requests", where=str(self.path), got=left, expected="at least one row"
            )

    def statistics(self) -> dict[str, Any]:
        """The figures of the whole trace (:func:`hwsim.workload.statistics.statistics`), and what it left out."""
        from hwsim.workload.statistics import statistics

        timed = next(self.rows()).arrival is not None
        found = statistics(self.requests({}, timed=timed), timed=timed)
        return {**found, "remarks": dict(sorted(self.remarks.items()))}

    def sliced(self, spec: Mapping[str, Any], *, timed: bool = True) -> Iterator[Row]:
        """The rows that the slice of ``spec`` keeps, first arrival at 0, times divided by ``rate_scale``.

        With ``timed=False`` the caller needs no times: a trace without any is taken as it stands.
        """
        begin, end = _ticks(spec.get("from"), 0), _ticks(spec.get("until"), 10**30)
        timed = timed or begin > 0 or end < 10**30
        skip = int(parse(spec["skip"], "count")) if spec.get("skip") is not None else 0
        limits = [int(parse(spec[name], "count")) for name in ("first", "requests") if spec.get(name) is not None]
        scale = float(parse(spec["rate_scale"], "number")) if spec.get("rate_scale") is not None else 1.0
        most = min(limits, default=1 << 62)
        origin = zero = None
        taken = 0
        for row in self.rows():
            if row.arrival is None and timed:
                raise self._untimed()
            arrival = row.arrival or 0
            origin = arrival if origin is None else origin
            time = arrival - origin
            if time < begin:
                continue
            if time >= end or taken >= most:
                return
            if skip:
                skip -= 1
                continue
            zero = time if zero is None else zero
            taken += 1
            time = time - zero if scale == 1.0 else round((time - zero) / scale)
            if time > LATEST:
                raise ScenarioError.of(
                    "the trace is longer than 104 days", where=str(self.path), expected="until, first or rate_scale"
                )
            yield row._replace(arrival=time)

    def _untimed(self) -> ScenarioError:
        return ScenarioError.of(
            "the trace tells lengths, but not when requests arrive",
            where=str(self.path),
            expected="arrivals beside it, such as {kind: poisson, rate: 10 /s}",
        )

    def requests(self, spec: Mapping[str, Any], *, timed: bool = True) -> Iterator[Requests]:
        """The slice as chunks of columns."""
        batch: list[Row] = []
        for row in self.sliced(spec, timed=timed):
            batch.append(row)
            if len(batch) == CHUNK:
                yield columns(batch)
                batch = []
        if batch:
            yield columns(batch)


def columns(rows: list[Row]) -> Requests:
    """Rows as columns; blocks of different size cannot be mixed in one trace."""
    output = np.array([row.output_tokens for row in rows], dtype=np.int64)
    limits = np.array([row.output_tokens if row.max_tokens is None else row.max_tokens for row in rows], dtype=np.int64)
    eos = np.array([row.eos for row in rows], dtype=bool)
    prefixed = any(row.prefix_ids for row in rows)
    named = any(row.request_id is not None for row in rows)
    return Requests.of(
        np.array([row.arrival for row in rows], dtype=np.int64),
        np.array([row.input_tokens for row in rows], dtype=np.int64),
        output,
        max_tokens=limits,
        eos=eos | (output < limits),
        priority=np.array([row.priority for row in rows], dtype=np.int64),
        prefix_ids=[row.prefix_ids for row in rows] if prefixed else None,
        prefix_block=max(row.prefix_block for row in rows),
        request_id=[row.request_id or str(i) for i, row in enumerate(rows)] if named else None,
    )


def _ticks(value: Any, default: int) -> int:
    return default if value is None else round(float(parse(value, "s")) * TICKS_PER_SECOND)


def detect(path: Path) -> str:
    """The format of a file, from its first lines; ``ScenarioError`` lists the known ones."""
    if path.suffix == ".parquet":
        return "hwsim"
    head = head_of(path)
    for name in FORMATS.names():
        if FORMATS.get(name).matches(head):
            return name
    next(lines_of(path), None)  # says so if the first line has no end
    raise ScenarioError.of(
        "unknown trace format",
        where=f"{path}:1",
        got=first_line(head)[:80],
        expected="format: " + ", ".join(FORMATS.names()),
    )


def first_line(head: str) -> str:
    """The first line that says anything."""
    return head.lstrip().partition("\n")[0].strip()


def cells_of(head: str) -> list[str]:
    """The cells of a CSV header, quotes and white space apart."""
    return [cell.strip().strip('"').strip() for cell in first_line(head).split(",")]


def columns_at(
    header: list[str], names: Mapping[str, tuple[str, ...]], *, optional: tuple[str, ...] = ()
) -> dict[str, int]:
    """Where each needed column stands, by any of its names; :class:`BadRow` names the one that is missing."""
    folded = {cell.casefold(): place for place, cell in reversed(list(enumerate(header)))}
    found: dict[str, int] = {}
    for key, spellings in names.items():
        place = next((folded[name.casefold()] for name in spellings if name.casefold() in folded), None)
        if place is not None:
            found[key] = place
        elif key not in optional:
            near = nearest(spellings[0], header)
            raise BadRow(
                f"column {spellings[0]} is missing", ",".join(header), spellings[0] + (f" ({near}?)" if near else "")
            )
    return found


def moment(value: object, name: str, *, unit: int = TICKS_PER_SECOND, words: str = "seconds") -> int:
    """A time of the trace's clock in ticks, exactly as written; ``unit`` ticks each."""
    try:
        number = Decimal(str(value).strip())
    except InvalidOperation:
        raise BadRow(f"{name} is no number", value, words) from None
    if isinstance(value, bool) or not number.is_finite() or number < 0 or number * unit > 10**30:
        raise BadRow(f"{name} is out of range", value, f"{words} from 0")
    return int((number * unit).to_integral_value())


def whole(text: object, name: str, least: int = 1) -> int:
    """A whole number of at least ``least`` from a trace's cell, or :class:`BadRow`."""
    if isinstance(text, bool) or text is None:
        raise BadRow(f"{name} is missing or no number", text, "a whole number")
    try:
        value = int(text) if isinstance(text, (int, str)) or (isinstance(text, float) and text == text // 1) else None
        value = int(str(text)) if value is None else value
    except (ValueError, OverflowError):
        raise BadRow(f"{name} is no whole number", text, f"a whole number of at least {least}") from None
    if value < least or value > 1 << 40:
        raise BadRow(f"{name} is out of range", text, f"a whole number of at least {least}")
    return value
