"""A request trace on disk: found by name, opened plain or gzipped, read line by line, sliced and scaled."""

from __future__ import annotations

import gzip
import io
import os
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.part import Parts
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.requests import CHUNK, Requests

ENDINGS = ("", ".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".parquet")
LONGEST_LINE = 4_000_000
MOST_PROBLEMS = 20
FORMATS = Parts("hwsim.workload.traces")


class Row(NamedTuple):
    """One request as a trace tells it: arrival in ticks of the trace's own clock, lengths in tokens."""

    arrival: int
    input_tokens: int
    output_tokens: int
    max_tokens: int | None = None
    eos: bool = False
    priority: int = 0
    prefix_ids: tuple[int, ...] = ()
    prefix_block: int = 0
    request_id: str | None = None


class BadRow(ValueError):
    """A line that is no request: ``what``, ``got`` and ``expected`` for the message."""

    def __init__(self, what: str, got: object = "", expected: str = "") -> None:
        super().__init__(what)
        self.what, self.got, self.expected = what, str(got)[:80], expected


def locate(name: str, folder: Path) -> Path:
    """The file that ``trace: name`` means: in the folders of ``HWSIM_DATA`` (and their ``traces/``), then beside."""
    folders = [Path(entry) for entry in os.environ.get("HWSIM_DATA", "").split(os.pathsep) if entry]
    places = [place for entry in folders for place in (entry, entry / "traces")] + [folder]
    for place in places:
        for ending in ENDINGS:
            path = place / f"{name}{ending}"
            if path.is_file():
                return path
    known = sorted({_stem(path) for place in places if place.is_dir() for path in place.iterdir() if path.is_file()})
    searched = ", ".join(str(place) for place in places)
    raise ScenarioError.of(
        "trace not found",
        where="workload.trace",
        got=name,
        expected=f"a file in {searched} (folders of traces are named by HWSIM_DATA)",
        nearest=nearest(name, known),
    )


def _stem(path: Path) -> str:
    name = path.name
    for ending in sorted(ENDINGS, key=len, reverse=True):
        if ending and name.endswith(ending):
            return name.removesuffix(ending)
    return name


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """Numbered lines of a plain or gzipped text file, bounded in length; damaged files are named."""
    number = 0
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream: Any = gzip.GzipFile(fileobj=raw) if zipped else raw
            with io.TextIOWrapper(stream, encoding="utf-8-sig", newline="") as text:
                while line := text.readline(LONGEST_LINE):
                    number += 1
                    if len(line) >= LONGEST_LINE:
                        raise ScenarioError.of("line too long", where=f"{path}:{number}", expected="under 4 MB a line")
                    yield number, line
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ScenarioError.of("cannot read the trace", where=f"{path}:{number + 1}", got=str(error)[:120]) from error


class Trace:
    """A trace file with its format; ``requests`` streams it as chunks.

    Slices: ``from``/``until`` in seconds of the trace's own clock (from its first row), ``skip`` and ``first`` by
    count; ``rate_scale`` divides times; the first request of the slice arrives at 0.
    """

    def __init__(self, path: Path, format: str | None = None) -> None:
        self.path = path
        self.format = format or detect(path)
        self.reader = FORMATS.get(self.format)

    def rows(self) -> Iterator[Row]:
        """All requests; up to twenty bad lines are collected before the error is raised."""
        problems: list[Problem] = []
        last = -1
        count = 0
        for number, row in self.reader.rows(self.path):
            if isinstance(row, Row) and row.arrival < last:
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
            last = row.arrival
            count += 1
            if not problems:
                yield row
        if problems:
            raise ScenarioError(problems)
        if not count:
            raise ScenarioError.of("the trace has no requests", where=str(self.path), expected="at least one row")

    def sliced(self, spec: Mapping[str, Any]) -> Iterator[Row]:
        """The rows that the slice of ``spec`` keeps, first arrival at 0, times divided by ``rate_scale``."""
        begin = _ticks(spec.get("from"), 0)
        end = _ticks(spec.get("until"), 1 << 62)
        skip = int(parse(spec["skip"], "count")) if spec.get("skip") is not None else 0
        limits = [int(parse(spec[name], "count")) for name in ("first", "requests") if spec.get(name) is not None]
        scale = float(parse(spec["rate_scale"], "number")) if spec.get("rate_scale") is not None else 1.0
        most = min(limits, default=1 << 62)
        origin = zero = None
        taken = 0
        for row in self.rows():
            origin = row.arrival if origin is None else origin
            time = row.arrival - origin
            if time < begin:
                continue
            if time >= end or taken >= most:
                return
            if skip:
                skip -= 1
                continue
            zero = time if zero is None else zero
            taken += 1
            yield row._replace(arrival=time - zero if scale == 1.0 else round((time - zero) / scale))

    def requests(self, spec: Mapping[str, Any]) -> Iterator[Requests]:
        """The slice as chunks of columns."""
        batch: list[Row] = []
        for row in self.sliced(spec):
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
    """The format of a file, from its first line; ``ScenarioError`` lists the known ones."""
    if path.suffix == ".parquet":
        return "hwsim"
    head = next((line for _, line in lines_of(path)), "")
    for name in FORMATS.names():
        if FORMATS.get(name).matches(head):
            return name
    raise ScenarioError.of(
        "unknown trace format",
        where=f"{path}:1",
        got=head.strip()[:80],
        expected="format: " + ", ".join(FORMATS.names()),
    )


def whole(text: object, name: str, least: int = 1) -> int:
    """A whole number of at least ``least`` from a trace's cell, or :class:`BadRow`."""
    if isinstance(text, bool) or text is None:
        raise BadRow(f"{name} is missing or no number", text, "a whole number")
    try:
        value = int(text) if isinstance(text, (int, str)) else int(str(text))
    except ValueError:
        raise BadRow(f"{name} is no whole number", text, f"a whole number of at least {least}") from None
    if value < least or value > 1 << 40:
        raise BadRow(f"{name} is out of range", text, f"a whole number of at least {least}")
    return value
