"""A site's host times from results of a benchmark client: at most three constants, judged on points left out.

Each file is one point: the scenario under the load that the file records.  The constants that are fitted move by
factors, one after another, until no factor helps (a pattern search on the mean squared logarithm of simulated over
measured).  With three points or more each is left out once and predicted by a fit on the others.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hwsim.errors import ScenarioError, nearest
from hwsim.study.bench import Bench, last_record, read_bench

MOST = 3
CONSTANTS = {
    "host_base": "s",
    "host_per_row": "s",
    "host_per_kernel": "s",
    "server_before": "s",
    "server_each": "s",
    "server_before_per_token": "s",
    "server_after": "s",
}
SMALLEST = {"host_per_row": 1e-7, "server_before_per_token": 1e-8, "host_per_kernel": 1e-6}  # else 10 us
FACTORS = (4.0, 2.0, 1.3, 1.1)
ROUNDS = 12
COMPARED = ("ttft.mean", "ttft.p50", "tpot.mean", "tpot.p50", "e2e.mean")


@dataclass(frozen=True)
class Point:
    """One file: what the client measured, and the settings that its load means for the scenario."""

    name: str
    bench: Bench
    sets: tuple[str, ...]

    @property
    def metrics(self) -> list[str]:
        """The figures that are compared."""
        return [name for name in COMPARED if name in self.bench.figures]


@dataclass(frozen=True)
class Site:
    """Fitted constants (seconds), those they began with, and errors of every figure as fitted and as left out."""

    constants: dict[str, float]
    before: dict[str, float]
    rows: tuple[tuple[str, str, float, float, float, float | None], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        names = ("file", "metric", "measured", "profile", "fitted", "left_out")
        return {"constants": self.constants, "points": [dict(zip(names, row, strict=True)) for row in self.rows]}

    def text(self) -> list[str]:
        """For a terminal: the constants, then every figure with its error."""
        lines = [
            f"serve.site.{name}: {_time(value)} (profile {_time(self.before[name])})"
            for name, value in self.constants.items()
        ]
        lines.append(f"{'file':28}{'metric':12}{'measured':>10}{'profile':>9}{'fitted':>9}{'left out':>10}")
        for name, metric, measured, plain, fitted, out in self.rows:
            last = f"{out / measured - 1:>+10.1%}" if out is not None else f"{'':>10}"
            row = (
                f"{name[:27]:28}{metric:12}{measured:>10.4g}{plain / measured - 1:>+9.1%}{fitted / measured - 1:>+9.1%}"
            )
            lines.append(row + last)
        return lines

    def document(self) -> str:
        """A scenario layer with the constants."""
        body = "".join(f"    {name}: {_time(value)}\n" for name, value in self.constants.items())
        return (
            "# Host times fitted by `hwsim calibrate --from-bench`; use it with `extends` or --set.\nserve:\n  site:\n"
            + body
        )


def fit_site(scenario: str | Path | Mapping[str, Any], files: Sequence[Path], constants: Sequence[str]) -> Site:
    """Fit ``constants`` to ``files``; unknown names, too many constants or files without figures: ``ScenarioError``."""
    _check(constants)
    points = [_point(path) for path in files]
    runs = _Runs(scenario)
    before = runs.start(constants)
    plain = [runs.figures(point, before) for point in points]
    found = _search(runs, points, before)
    fitted = [runs.figures(point, found) for point in points]
    left: list[dict[str, float] | None] = [None] * len(points)
    if len(points) > 2:
        for i, point in enumerate(points):
            others = [each for j, each in enumerate(points) if j != i]
            left[i] = runs.figures(point, _search(runs, others, before))  # nothing that has seen the point
    rows = [
        (p.name, m, p.bench.figures[m][0], plain[i][m], fitted[i][m], (left[i] or {}).get(m))
        for i, p in enumerate(points)
        for m in p.metrics
    ]
    return Site(found, before, tuple(rows))


def _check(constants: Sequence[str]) -> None:
    for name in constants:
        if name not in CONSTANTS:
            raise ScenarioError.of(
                "unknown constant",
                where="--fit",
                got=name,
                expected="of " + ", ".join(CONSTANTS),
                nearest=nearest(name, CONSTANTS),
            )
    if not 0 < len(set(constants)) <= MOST:
        raise ScenarioError.of(
            "takes one to three constants", where="--fit", got=", ".join(constants), expected=f"at most {MOST} names"
        )


def _point(path: Path) -> Point:
    bench = read_bench(path)
    point = Point(path.name, bench, tuple(_load(path)))
    if not point.metrics:
        raise ScenarioError.of("holds no latency", where=str(path), expected=" or ".join(COMPARED))
    return point


def _load(path: Path) -> list[str]:
    """The load that vLLM's and SGLang's clients write beside their figures; other files keep the scenario's."""
    try:
        record = last_record(json.loads(path.read_text(encoding="utf-8-sig")))
    except ValueError:
        return []
    sets: list[str] = []
    count = record.get("num_prompts") or record.get("completed")
    if isinstance(count, (int, float)) and count > 0:
        sets.append(f"workload.requests={int(count)}")
        for key, name in (("total_input_tokens", "input_tokens"), ("total_output_tokens", "output_tokens")):
            if isinstance(record.get(key), (int, float)) and record[key] > 0:
                sets.append(f"workload.{name}={max(1, round(record[key] / count))}")
    clients, rate = record.get("max_concurrency"), record.get("request_rate")
    if isinstance(clients, (int, float)) and clients:
        sets.append(f"workload.arrivals={{kind: closed, concurrency: {int(clients)}}}")
    elif isinstance(rate, (int, float)) and math.isfinite(rate) and rate > 0:
        sets.append(f"workload.arrivals={{kind: poisson, rate: {rate:g} /s}}")
    return sets


class _Runs:
    """Simulated figures of points under constants, each run once."""

    def __init__(self, scenario: str | Path | Mapping[str, Any]) -> None:
        self.scenario = scenario
        self._known: dict[tuple[Any, ...], dict[str, float]] = {}

    def start(self, constants: Sequence[str]) -> dict[str, float]:
        """The constants as the scenario has them now."""
        from hwsim.scenario.load import load
        from hwsim.scenario.machine import machines

        profile = machines(load(self.scenario))[0].profile
        parts = {"host": profile.host, "server": profile.server}
        return {name: float(parts[name.partition("_")[0]].get(name.partition("_")[2], 0.0)) for name in constants}

    def figures(self, point: Point, constants: Mapping[str, float]) -> dict[str, float]:
        """What the client would have measured."""
        from hwsim.scenario.load import load
        from hwsim.study.points import values

        key = (point.name, point.sets, *constants.items())
        if key not in self._known:
            sets = [*point.sets, *(f"serve.site.{name}={value!r} s" for name, value in constants.items())]
            formulas = {name: point.bench.figures[name][1] for name in point.metrics}
            found = values(load(self.scenario, sets), list(formulas.values()))
            bad = next((one for one in found.values() if one.number is None), None)
            if bad is not None:
                raise ScenarioError.of(f"cannot be simulated: {bad.reason}", where=point.name)
            self._known[key] = {name: float(found[text].number or 0.0) for name, text in formulas.items()}
        return self._known[key]


def _search(runs: _Runs, points: Sequence[Point], begin: Mapping[str, float]) -> dict[str, float]:
    """The constants with the least error, moved by factors that shrink."""
    best = dict(begin)
    least = _error(runs, points, best)
    for factor in FACTORS:
        for _ in range(ROUNDS):
            moved = False
            for name in best:
                for value in (best[name] * factor, best[name] / factor) if best[name] else (SMALLEST.get(name, 1e-5),):
                    tried = {**best, name: value}
                    error = _error(runs, points, tried)
                    if error < least * (1 - 1e-6):
                        best, least, moved = tried, error, True
            if not moved:
                break
    return best


def _error(runs: _Runs, points: Sequence[Point], constants: Mapping[str, float]) -> float:
    logs = [
        math.log(max(runs.figures(point, constants)[name], 1e-9) / point.bench.figures[name][0])
        for point in points
        for name in point.metrics
    ]
    return sum(each * each for each in logs) / len(logs)


def _time(value: float) -> str:
    from hwsim.units import format_quantity

    return format_quantity(value, "s")
