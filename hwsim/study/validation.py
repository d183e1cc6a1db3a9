"""Suites run: the rows of each, by metric and group, and why rows could not be simulated."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.part import Parts
from hwsim.study.rows import Row, covered, errors_of, grouped, ordered
from hwsim.study.spread import with_interval

SUITES = Parts("hwsim.study.suites")
Progress = Callable[[float, str], None]


@dataclass
class Validated:
    """One suite with its rows."""

    name: str
    title: str
    rows: list[Row]
    peers: str = ""
    targets: str = ""
    seconds: float = 0.0
    misses: str = ""
    every: int = 1  # one case in so many was simulated
    sensitivity: list[tuple[str, list[Row]]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    scores: list[dict[str, Any]] = field(default_factory=list)  # of a suite that scores whole tables itself

    @property
    def simulated(self) -> list[Row]:
        """The rows with an error."""
        return [row for row in self.rows if row.error is not None]

    @property
    def skipped(self) -> dict[str, int]:
        """Reasons why rows have none, with their number, the most frequent first."""
        counts: dict[str, int] = {}
        for row in self.rows:
            if row.error is None:
                reason = _short(row.note) or "no reason given"
                counts[reason] = counts.get(reason, 0) + 1
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def to_json(self) -> dict[str, Any]:
        """The suite as plain data: totals, groups and rows."""
        return {
            "suite": self.name,
            "title": self.title,
            "seconds": self.seconds,
            "every": self.every,
            "metrics": {metric: _errors(rows) for metric, rows in by_metric(self.simulated).items()},
            "groups": {
                name: {metric: _errors(rows) for metric, rows in by_metric(members).items()}
                for name, members in grouped(self.simulated, group_name).items()
            },
            "order": dict(zip(("pairs", "right"), ordered(self.rows), strict=True)),
            "interval_80": dict(zip(("rows", "covered"), covered(self.rows), strict=True)),
            "skipped": self.skipped,
            "sensitivity": {
                title: {metric: _errors(rows) for metric, rows in by_metric(some).items()}
                for title, some in self.sensitivity
            },
            "remarks": self.remarks,
            "scores": self.scores,
            "rows": [row.to_json() for row in self.rows],
        }


def _errors(rows: Sequence[Row]) -> dict[str, Any] | None:
    found = errors_of(rows)
    return None if found is None else {"n": found.n, "median": found.median, "p90": found.p90, "bias": found.bias}


def _short(note: str) -> str:
    """A reason without the particulars of its case."""
    for start in ("one request of max_model_len", "the model does not fit"):
        if start in note:
            return start
    return note.split("; got")[0].split("; expected")[0][:90]


def by_metric(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by metric; those that were fitted on are kept apart."""
    return grouped(rows, lambda row: row.metric + (" (fitted on)" if row.split == "fit" else ""))


def group_name(row: Row) -> str:
    """What a line of the table stands for."""
    return f"{row.model} | {row.device} | {row.engine}"


def select(names: Sequence[str], *, full: bool = True) -> list[str]:
    """The suites asked for, each known; without names all, unless ``full`` those that take minutes."""
    known = SUITES.names()
    for name in names:
        if name not in known:
            raise ScenarioError.of(
                "unknown suite",
                where="hwsim validate",
                got=name,
                expected="some of " + ", ".join(known),
                nearest=nearest(name, known),
            )
    return list(dict.fromkeys(names)) or [
        name for name in known if full or not getattr(SUITES.get(name), "long", False)
    ]


def validate(
    names: Sequence[str],
    data: Path | None = None,
    progress: Progress | None = None,
    *,
    sensitivity: bool = False,
    full: bool = True,
) -> list[Validated]:
    """Run suites one after the other, each in parallel; unless ``full``, the large ones on a fixed sample."""
    results: list[Validated] = []
    chosen = select(names, full=full)
    for position, name in enumerate(chosen):
        suite = SUITES.get(name)
        start = time.perf_counter()

        def tell(share: float, text: str, at: int = position, title: str = name) -> None:
            if progress is not None:
                progress((at + share) / len(chosen), f"{title}: {text}")

        run = suite.run if hasattr(suite, "run") else suite
        found = _called(run, data, tell, full)
        scores = found if hasattr(suite, "cells") else []
        rows = [] if scores else [with_interval(row if isinstance(row, Row) else Row(**row)) for row in found]
        result = Validated(
            name,
            getattr(suite, "title", name),
            rows,
            getattr(suite, "peers", ""),
            getattr(suite, "targets", ""),
            misses=getattr(suite, "misses", ""),
            every=1 if full or data is not None else getattr(suite, "every", 1),
        )
        if sensitivity and hasattr(suite, "sensitivity"):
            result.sensitivity = suite.sensitivity(data)
        if hasattr(suite, "remarks"):
            result.remarks = list(suite.remarks(rows))
        result.scores = scores
        result.seconds = time.perf_counter() - start
        results.append(result)
    return results


def _called(run: Callable[..., Any], data: Path | None, tell: Progress, full: bool) -> Any:
    """A suite's rows; a small one knows no sample, the simplest takes the data alone."""
    import inspect

    known = inspect.signature(run).parameters
    if "full" in known:
        return run(data, tell, full=full)
    return run(data, tell) if len(known) > 1 else run(data)
