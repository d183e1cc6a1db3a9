"""Kernels as CSV: ``start_us,dur_us,stream,class``, one row each."""

from __future__ import annotations

import csv
from pathlib import Path

from hwsim.errors import Problem, ScenarioError
from hwsim.taskgraph.imported import Event, kind_of, opened

COLUMNS = ("start_us", "dur_us", "stream", "class")
MOST_PROBLEMS = 10


def read(path: Path) -> list[Event]:
    """All rows; damaged ones raise ``ScenarioError``, each with its line."""
    events: list[Event] = []
    problems: list[Problem] = []
    with opened(path) as file:
        rows = csv.DictReader(file)
        missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
        if missing:
            raise ScenarioError.of(f"lacks the columns {', '.join(missing)}", where=f"{path}:1")
        for row in rows:
            try:
                start, duration = float(row["start_us"]), float(row["dur_us"])
                if not (0 <= duration < 1e15 and abs(start) < 1e18) or row["class"] is None:
                    raise ValueError
            except (TypeError, ValueError):
                got, expected = str(list(row.values()))[:80], "numbers for start_us and dur_us, and a class"
                problems.append(Problem("is no kernel", f"{path}:{rows.line_num}", got, expected))
                if len(problems) == MOST_PROBLEMS:
                    break
                continue
            events.append(Event(row["class"], kind_of(row["class"]), str(row["stream"]), start, duration))
    if problems:
        raise ScenarioError(problems)
    return events


PART = read
