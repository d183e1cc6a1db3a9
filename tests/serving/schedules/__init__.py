"""Worked schedules: one YAML file each, every number derived by hand from the scheduling rules.

A file holds ``shows`` (one sentence), ``config`` and ``requests`` (fields of OracleConfig and OracleRequest),
``step_ticks`` and ``host_ticks`` (0 if absent; the same for each step), ``calls`` (one row per schedule call, empty
calls included) and perhaps ``outcome`` (final facts of some requests). A call row always gives ``scheduled`` {id:
tokens} (in order), ``cached`` {id: tokens hit at this admission; {} if absent} and ``free_after_schedule``;
``preempted`` is [] if absent; ``call_time``, ``free_before``, ``emits``, ``finished`` and ``wasted`` are checked where
given.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml


@dataclass(frozen=True)
class Schedule:
    """One worked schedule; plain data, so that any engine can be run on it."""

    name: str
    shows: str
    config: dict[str, Any]
    requests: list[dict[str, Any]]
    step_ticks: int
    host_ticks: int
    calls: list[dict[str, Any]]
    outcome: dict[str, dict[str, Any]]

    @property
    def steps(self) -> list[dict[str, Any]]:
        """The calls that schedule something."""
        return [call for call in self.calls if call["scheduled"]]


def load_schedules() -> list[Schedule]:
    """All worked schedules, by name."""
    return [_load(path) for path in sorted(Path(__file__).parent.glob("*.yaml"))]


def _load(path: Path) -> Schedule:
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    rows = [{"cached": {}, "preempted": []} | row for row in data.pop("calls")]
    return Schedule(name=path.stem, calls=rows, **({"host_ticks": 0, "outcome": {}} | data))
