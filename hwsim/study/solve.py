"""The highest or lowest value of one path at which the SLO or a condition still holds: ``study.solve`` of a scenario.

Bisection between the two ends, on the assumption that the condition holds up to one point and fails from there on;
the answer is the last value that held, within 1 % (or one, of a count).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwsim.errors import FitError, ScenarioError
from hwsim.metrics.assertion import Assertion

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

CLOSE = 0.01
MOST = 40


def nested(path: str, value: Any) -> dict[str, Any]:
    """``{"a": {"b": value}}`` for ``a.b``."""
    result: Any = value
    for key in reversed(path.split(".")):
        result = {key: result}
    return result


def merged(changes: dict[str, Any]) -> dict[str, Any]:
    """Dotted paths and their values as one mapping; a value beneath another one's path joins it."""
    whole: dict[str, Any] = {}
    for path, value in changes.items():
        *outer, last = path.split(".")
        place = whole
        for key in outer:
            inner = place.get(key)
            if not isinstance(inner, dict):
                inner = place[key] = {} if inner is None else {"like": inner}
            place = inner
        held = place.get(last)
        place[last] = {**held, **value} if isinstance(held, dict) and isinstance(value, dict) else value
    return whole


def changed(scenario: Scenario, changes: dict[str, Any] | None, origin: str = "study") -> Scenario:
    """The scenario with values set at dotted paths."""
    return scenario.changed(merged(changes), origin) if changes else scenario


def quantity(end: Any) -> tuple[float, str]:
    """The number and the unit of one end of a range."""
    if isinstance(end, (int, float)):
        return float(end), ""
    number, _, unit = str(end).strip().partition(" ")
    return float(number), unit


def written(value: float, unit: str, whole: bool = False) -> Any:
    """A value of the range as one writes it in a scenario."""
    number = round(value) if whole else float(f"{value:.6g}")
    return f"{number} {unit}" if unit else number


def solved(scenario: Scenario) -> float:
    """The value that the scenario's ``study.solve`` asks for, in the unit of its ends."""
    study = scenario.spec.study
    solve = study.solve if study is not None else None
    if solve is None:
        raise ScenarioError.of("study.solve is missing", where=scenario.name, expected="path, between and highest")
    goal = solve.highest or solve.lowest or ""
    holds = _holds(scenario, solve.path, goal)
    low, unit = quantity(solve.between[0])
    high, high_unit = quantity(solve.between[1])
    whole = all(isinstance(end, int) for end in solve.between)
    return bisect(holds, low, high, high_unit or unit, whole=whole, highest=solve.highest is not None)


def _holds(scenario: Scenario, path: str, goal: str) -> Callable[[Any], bool]:
    from hwsim.scenario.run import run

    slo = goal == "slo"
    conditions = [] if slo else [Assertion.parse(part.strip(), "study.solve") for part in goal.split(" and ")]

    def holds(value: Any) -> bool:
        point = scenario.changed(nested(path, value), "study.solve")
        try:
            result = run(point, record="off")
        except FitError:
            return False
        if slo:
            reached, wanted = result.summary.get("slo_attainment"), (result.summary.get("slo") or {}).get("attainment")
            return reached is not None and wanted is not None and reached >= wanted
        return all(condition.holds(result.summary) for condition in conditions)

    return holds


def bisect(
    holds: Callable[[Any], bool], low: float, high: float, unit: str = "", *, whole: bool = False, highest: bool = True
) -> float:
    """The last value that holds, seen from the end that is sure to; ``ScenarioError`` when not even that one does."""
    good, bad = (low, high) if highest else (high, low)
    if not holds(written(good, unit, whole)):
        raise ScenarioError.of("nothing between the ends holds", where="study.solve", got=f"{good:g} {unit}".strip())
    if holds(written(bad, unit, whole)):
        return bad
    for _ in range(MOST):
        if abs(bad - good) <= (1 if whole else CLOSE * max(abs(good), abs(bad)) / 2):
            break
        middle = (good * bad) ** 0.5 if min(good, bad) > 0 and not whole else (good + bad) / 2
        middle = round(middle) if whole else middle
        if holds(written(middle, unit, whole)):
            good = middle
        else:
            bad = middle
    return good
