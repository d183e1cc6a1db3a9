"""The critical path of a run: from the last end back over what let each task begin, down to the first task.

Every moment of the makespan belongs to one task of the path, so the shares of resources add up to one.  Where a steady
state was jumped over, the path through the period before the jump stands for the periods that were not run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np


class Part(NamedTuple):
    """A stretch of the path: a task (row of the table) and how often it is passed."""

    row: int
    start: float
    end: float
    times: float


class CriticalPath(NamedTuple):
    """Parts from the first to the last, and seconds by resource, track and name; ``shared`` are those by which
    contention stretched tasks of the path."""

    parts: list[Part]
    by_resource: dict[str, float]
    by_track: dict[str, float]
    by_name: dict[str, float]
    shared: dict[str, float]

    def between(self, spans: Mapping[str, Any], start: float, end: float) -> CriticalPath:
        """What of the path lies between two times (seconds), of a run in which nothing was jumped over."""
        inside = [part._replace(start=max(part.start, start), end=min(part.end, end)) for part in self.parts]
        return _added(spans, [part for part in inside if part.end > part.start])

    def shares(self) -> dict[str, float]:
        """Share of the path by resource, largest first."""
        whole = sum(self.by_resource.values()) or 1.0
        return {name: time / whole for name, time in _sorted(self.by_resource).items()}


def critical_path(spans: Mapping[str, Any], folds: Sequence[Mapping[str, Any]] = ()) -> CriticalPath:
    """The path to the last end in a table of spans; ``folds``: ``{at_s, period_s, skipped_s}`` in order of time."""
    if not len(spans["span"]):
        return _added(spans, [])
    return _added(spans, _walk(spans, sorted(folds, key=lambda fold: fold["at_s"])))


def _added(spans: Mapping[str, Any], parts: list[Part]) -> CriticalPath:
    """The parts of a path, and what they add up to."""
    resources: dict[str, float] = {}
    tracks: dict[str, float] = {}
    names: dict[str, float] = {}
    shared: dict[str, float] = {}
    for part in parts:
        time = (part.end - part.start) * part.times
        resource = spans["resource"][part.row]
        for table, key in ((resources, resource), (tracks, spans["track"][part.row]), (names, spans["name"][part.row])):
            table[key] = table.get(key, 0.0) + time
        whole = float(spans["end_s"][part.row] - spans["start_s"][part.row])
        alone = float(spans["alone_s"][part.row])
        if whole > alone * (1 + 1e-9) and whole > 0:
            shared[resource] = shared.get(resource, 0.0) + time * (1 - alone / whole)
    return CriticalPath(parts, _sorted(resources), _sorted(tracks), _sorted(names), _sorted(shared))


def _walk(spans: Mapping[str, Any], folds: list[Mapping[str, Any]]) -> list[Part]:
    """Back from the last end, cause by cause."""
    ends, starts = np.asarray(spans["end_s"], dtype=float), np.asarray(spans["start_s"], dtype=float)
    row_of = {int(span): row for row, span in enumerate(np.asarray(spans["span"]).tolist())}
    causes = np.asarray(spans["after"]).tolist()
    row = int(np.argmax(ends))
    parts: list[Part] = []
    while True:
        start, end = float(starts[row]), float(ends[row])
        parts.append(Part(row, start, end, 1.0))
        cause = row_of.get(causes[row])
        if cause is None:
            break
        row = cause
    parts.reverse()
    return _unfolded(parts, folds)


def _unfolded(parts: list[Part], folds: Sequence[Mapping[str, Any]]) -> list[Part]:
    """Let the path through one period before each gap stand for the time that was jumped over there."""
    windows: list[tuple[float, float, float]] = []
    for before, after in pairwise(parts):
        gap = after.start - before.end
        fold = min(folds, key=lambda fold: abs(fold["skipped_s"] - gap), default=None)
        if fold is not None and gap > 0.5 * fold["skipped_s"] > 0:
            windows.append((before.end - fold["period_s"], before.end, gap / fold["period_s"]))
    found: list[Part] = []
    for part in parts:
        times, length = 1.0, part.end - part.start
        for low, high, repeats in windows:
            inside = min(part.end, high) - max(part.start, low)
            if inside > 0 and length > 0:
                times += inside / length * repeats
        found.append(part._replace(times=times))
    return found


def _sorted(table: Mapping[str, float]) -> dict[str, float]:
    return dict(sorted(table.items(), key=lambda item: (-item[1], item[0])))
