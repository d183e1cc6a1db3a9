"""All claims of several papers evaluated: anchors first, then every point once, in parallel, then the verdicts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hwsim.errors import HwsimError
from hwsim.study.points import Value, measure, run_jobs, values
from hwsim.study.reproduce.outcome import Outcome, judged
from hwsim.study.reproduce.paper import SCORED, Claim, Paper
from hwsim.study.solve import changed, quantity, written
from hwsim.units import is_range, parse_bounds, parse_range

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

Progress = Callable[[float, str], None]
BOUNDED = ("tpot.", "itl.")


@dataclass
class Reproduced:
    """A paper with the outcome of its claims."""

    paper: Paper
    outcomes: list[Outcome]
    anchors: dict[str, Any] = field(default_factory=dict)

    def scores(self) -> dict[str, dict[str, Any]]:
        """Median error and share within tolerance: inputs all given or some assumed, known while building or later."""
        scored = [outcome for outcome in self.outcomes if outcome.scored]
        return {
            "all": score(scored),
            "inputs given": score([outcome for outcome in scored if not outcome.assumed]),
            "some assumed": score([outcome for outcome in scored if outcome.assumed]),
            "known while building": score([outcome for outcome in scored if not outcome.claim.later]),
            "scored later": score([outcome for outcome in scored if outcome.claim.later]),
        }

    @property
    def standing(self) -> str:
        """Reproduced needs at least three scored claims."""
        count = sum(outcome.scored for outcome in self.outcomes)
        return "reproduced" if count >= 3 else "by mechanism only"


def score(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Count, median and largest absolute error, and how many are within their tolerance."""
    errors = sorted(abs(outcome.error) for outcome in outcomes if outcome.error is not None)
    return {
        "claims": len(errors),
        "within": sum(outcome.verdict == "within" for outcome in outcomes),
        "median_error": statistics.median(errors) if errors else None,
        "largest_error": errors[-1] if errors else None,
    }


@dataclass
class _Asked:
    """Where in the list of points the values of one claim stand: pairs of (point, baseline or None)."""

    claim: Claim
    pairs: list[tuple[int, int | None]] = field(default_factory=list)
    variations: list[tuple[int, int | None]] = field(default_factory=list)


def reproduce(papers: Sequence[Paper], progress: Progress | None = None) -> list[Reproduced]:
    """Evaluate papers together, so that what two claims share is simulated once."""
    results = [Reproduced(paper, [], _fixed(paper, progress)) for paper in papers]
    points: list[tuple[Scenario, list[str]]] = []
    asked: list[list[_Asked]] = []
    for result in results:
        asked.append([_ask(claim, result.anchors, points) for claim in result.paper.claims])
    measured = measure(points, progress)
    for result, wanted in zip(results, asked, strict=True):
        result.outcomes = [_outcome(item, measured, result.anchors) for item in wanted]
    return results


def _fixed(paper: Paper, progress: Progress | None) -> dict[str, Any]:
    """The value of every unknown: what anchors fix for all others, what implied claims would need."""
    claims = [claim for claim in paper.claims if claim.kind in ("anchor", "implied")]
    jobs = [
        (claim.scenario, claim.written.unknown, claim.written.range, claim.metric, claim.figure.number)
        for claim in claims
    ]
    found = run_jobs(search, jobs, progress, "unknowns")
    return {claim.name: {**value, "kind": claim.kind} for claim, value in zip(claims, found, strict=True)}


def search(scenario: Scenario, path: str, bounds: Any, metric: str, target: float) -> dict[str, Any]:
    """The value of ``path`` within ``bounds`` at which ``metric`` is ``target``, found by bisection."""
    low_end, high_end = parse_bounds(bounds)
    low, unit = quantity(low_end)
    high, high_unit = quantity(high_end)
    unit = high_unit or unit

    def at(value: float) -> float:
        result = values(changed(scenario, {path: written(value, unit)}, "search"), [metric])[metric]
        if result.number is None:
            raise ValueError(result.reason)
        return result.number

    try:
        first, last = at(low), at(high)
        outside = not min(first, last) <= target <= max(first, last)
        if outside:
            closer = low if abs(first - target) <= abs(last - target) else high
            return {"value": written(closer, unit), "path": path, "inside": False, "reason": ""}
        rising = last >= first
        for _ in range(40):
            middle = (low * high) ** 0.5 if low > 0 else (low + high) / 2
            if (at(middle) < target) == rising:
                low = middle
            else:
                high = middle
            if high - low <= 1e-4 * abs(high):
                break
        return {"value": written((low + high) / 2, unit), "path": path, "inside": True, "reason": ""}
    except (HwsimError, ValueError) as error:
        return {"value": None, "path": path, "inside": False, "reason": str(error)}


def _ask(claim: Claim, anchors: dict[str, Any], points: list[tuple[Scenario, list[str]]]) -> _Asked:
    """Put the points of a claim on the list."""
    formulas = [claim.metric]
    if claim.written.ideal:
        formulas.append(claim.written.ideal)
    elif claim.metric.startswith(BOUNDED) and claim.kind in SCORED:
        formulas.append("bound.tpot")
    fixed = {
        found["path"]: found["value"]
        for name, found in anchors.items()
        if found["value"] is not None and (found["kind"] == "anchor" or name == claim.name)
    }
    asked = _Asked(claim)

    def put(change: dict[str, Any]) -> tuple[int, int | None]:
        both = []
        for scenario in (claim.scenario, claim.baseline):
            if scenario is None:
                continue
            points.append((changed(scenario, {**fixed, **change}, f"claim {claim.name}"), formulas))
            both.append(len(points) - 1)
        return both[0], both[1] if len(both) > 1 else None

    try:
        for change in _grid(claim.written.grid):
            asked.pairs.append(put(change))
        if claim.kind not in ("anchor", "implied"):
            for path, among in (claim.written.range or {}).items():
                asked.variations += [put({path: value}) for value in _among(among)]
    except HwsimError as error:
        raise type(error)([*getattr(error, "problems", [])]) from None
    return asked


def _grid(grid: dict[str, list[Any]] | None) -> list[dict[str, Any]]:
    points: list[dict[str, Any]] = [{}]
    for path, among in (grid or {}).items():
        points = [{**point, path: value} for point in points for value in among]
    return points


def _among(raw: Any) -> list[Any]:
    return parse_range(raw) if is_range(raw) else list(raw) if isinstance(raw, list) else [raw]


def _outcome(asked: _Asked, measured: list[dict[str, Value]], anchors: dict[str, Any]) -> Outcome:
    claim = asked.claim

    def value(pair: tuple[int, int | None]) -> Value:
        top = measured[pair[0]][claim.metric]
        if pair[1] is None or top.number is None:
            return top
        bottom = measured[pair[1]][claim.metric]
        if bottom.number is None:
            return bottom
        return Value(top.number / bottom.number) if bottom.number else Value(None, "the baseline is zero")

    ideal = None
    formula = claim.written.ideal or ("bound.tpot" if claim.metric.startswith(BOUNDED) else None)
    if formula is not None:
        ideal = measured[asked.pairs[0][0]].get(formula)
    outcome = judged(claim, [value(pair) for pair in asked.pairs], [value(pair) for pair in asked.variations], ideal)
    if claim.kind in ("anchor", "implied"):
        _tell_unknown(outcome, anchors[claim.name], claim)
    return outcome


def _tell_unknown(outcome: Outcome, found: dict[str, Any], claim: Claim) -> None:
    if found["value"] is None:
        outcome.verdict, outcome.note = "no value", found["reason"]
        return
    outcome.verdict = "fixed" if claim.kind == "anchor" else "in range" if found["inside"] else "out of range"
    if not found["inside"]:
        outcome.verdict = "out of range"
    outcome.note = "; ".join(
        part
        for part in (f"{found['path']} = {found['value']} (range {claim.written.range})", claim.written.note)
        if part
    )
