"""Suites run and told: errors of each metric by group, pairs in order, what was skipped, and all of it as a report."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.part import Parts
from hwsim.study.page import Page, number, percent
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


def select(names: Sequence[str]) -> list[str]:
    """The suites asked for (all without names), each known."""
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
    return list(dict.fromkeys(names)) or known


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
    chosen = select(names)
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


def summary_rows(results: Sequence[Validated]) -> list[tuple[str, ...]]:
    """One line per suite and metric."""
    rows = []
    for result in results:
        for metric, members in by_metric(result.simulated).items():
            found = errors_of(members)
            assert found is not None
            pairs, right = ordered(members)
            known, inside = covered(members)
            rows.append(
                (
                    result.name,
                    metric,
                    str(found.n),
                    percent(found.median, False),
                    percent(found.p90, False),
                    percent(found.bias),
                    f"{right / pairs * 100:.1f} % of {pairs:,}" if pairs else "",
                    f"{inside / known * 100:.0f} %" if known else "",
                )
            )
        if not result.simulated and not result.scores:
            rows.append((result.name, "", "0", "", "", "", "", ""))
    return rows


HEAD = ("suite", "metric", "n", "median", "p90", "bias", "pairs in order", "80 % interval covers")
GROUPS = ("model | device | engine", "metric", "n", "median", "p90", "bias")


def group_rows(result: Validated) -> list[tuple[str, ...]]:
    """One line per group and metric of a suite."""
    rows = []
    for name, members in sorted(grouped(result.simulated, group_name).items()):
        for metric, some in by_metric(members).items():
            found = errors_of(some)
            assert found is not None
            errors = (percent(found.median, False), percent(found.p90, False), percent(found.bias))
            rows.append((name, metric, str(found.n), *errors))
    return rows


def page(results: Sequence[Validated], command: str) -> Page:
    """The report of a validation."""
    made = Page("Validation against measured systems", command)
    made.text(
        "Errors are relative, simulated over measured minus one: median and 90th percentile of their size, bias is the "
        "median with its sign. No cost was fitted on a row that is scored here. Two assumptions were chosen with these "
        "residuals in view, and their rows are not set apart: 8-bit KV of InferenceX rows and vLLM 0.11 for ML.ENERGY. "
        "Pairs in order counts pairs of configurations of the same model and lengths whose measured values "
        "differ by more than 10 %."
    )
    made.table(HEAD, summary_rows(results), numbers=range(2, 8))
    for result in results:
        made.heading(f"{result.name}: {result.title}")
        count = sum(result.skipped.values())
        if result.scores:
            count, text = 0, f"{sum(row['n'] for row in result.scores):,} rows scored in {result.seconds:.0f} s."
        else:
            text = f"{len(result.simulated):,} of {len(result.rows):,} rows simulated in {result.seconds:.0f} s."
            if result.every > 1:
                text += f" A fixed sample: one in {result.every} of each model, device and engine; all with --full."
        made.text(
            " ".join(
                part
                for part in (
                    text,
                    f"Targets: {result.targets}." if result.targets else "",
                    f"Peers: {result.peers}." if result.peers else "",
                )
                if part
            )
        )
        for remark in result.remarks:
            made.text(remark)
        if result.scores:
            head, *cells = SUITES.get(result.name).cells(result.scores)
            made.table(head, cells, numbers=range(3, 7))
            continue
        made.table(GROUPS, group_rows(result), numbers=range(2, 6))
        if result.sensitivity:
            made.text("Sensitivity to what is assumed of the client, on a sample of the points:")
            made.table(("client", "metric", "n", "median", "p90", "bias"), _sensitivity(result), numbers=range(2, 6))
        if count:
            made.text(f"{count:,} rows were not simulated:")
            made.table(("reason", "rows"), [(reason, f"{n:,}") for reason, n in result.skipped.items()], numbers=(1,))
        worst = sorted(result.simulated, key=lambda row: -abs(row.error or 0))[:10]
        made.text("The ten largest errors:")
        made.table(
            ("case", "device", "engine", "metric", "measured", "simulated", "error", "note"),
            [
                (
                    row.case,
                    row.device,
                    row.engine,
                    row.metric,
                    number(row.measured),
                    number(row.simulated),
                    percent(row.error),
                    row.note,
                )
                for row in worst
            ],
            numbers=(4, 5, 6),
        )
    return made


def _sensitivity(result: Validated) -> list[tuple[str, ...]]:
    rows = []
    for title, some in result.sensitivity:
        for metric, members in by_metric(some).items():
            found = errors_of(members)
            if found is not None:
                errors = (percent(found.median, False), percent(found.p90, False), percent(found.bias))
                rows.append((title, metric, str(found.n), *errors))
    return rows


def lines(results: Sequence[Validated], *, groups: bool = False) -> list[str]:
    """The table for a terminal."""
    out = _columns([HEAD, *summary_rows(results)], {2, 3, 4, 5, 6, 7})
    for result in results:
        if groups:
            out += ["", result.name, *_columns([GROUPS, *group_rows(result)], {2, 3, 4, 5})]
        if result.peers and result.simulated:
            out.append(f"{result.name}: peers: {result.peers}")
        out += [f"{result.name}: {remark}" for remark in result.remarks]
        if result.scores:
            out += ["", *_columns(SUITES.get(result.name).cells(result.scores), set(range(3, 7)))]
        if result.skipped:
            total = sum(result.skipped.values())
            first = ", ".join(f"{reason} ({count})" for reason, count in list(result.skipped.items())[:6])
            out.append(f"{result.name}: {total:,} rows not simulated: {first}")
    return out


def _columns(rows: Sequence[Sequence[str]], right: set[int]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    made = []
    for row in rows:
        cells = (
            cell.rjust(w) if i in right else cell.ljust(w) for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        made.append("  ".join(cells).rstrip())
    return made
