"""Many scenarios measured in parallel: every different scenario is simulated once, whoever asks for it.

A point is a scenario and the formulas wanted of it.  Points with the same content (by hash of what was merged, without
name, claims and prose) are one job; jobs run in worker processes (joblib) and come back as plain numbers.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.errors import HwsimError

if TYPE_CHECKING:
    from hwsim.scenario.load import Scenario

PROSE = ("hwsim", "name", "description", "cite", "claims", "unscored", "assert")
FEW = 12  # starting worker processes takes longer than a few short runs


@dataclass(frozen=True, slots=True)
class Value:
    """A number, or the reason why there is none; ``code`` is the exit code of the error (2 scenario, 3 cannot fit)."""

    number: float | None
    reason: str = ""
    code: int = 0


def key(scenario: Scenario) -> str:
    """A hash of all that decides the numbers of a scenario."""
    tree = {name: part for name, part in scenario.tree.items() if name not in PROSE}
    text = json.dumps([tree, str(scenario.folder("workload.trace"))], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def values(scenario: Scenario, formulas: Sequence[str]) -> dict[str, Value]:
    """Each formula's value on one scenario, simulated at most once."""
    from hwsim.study.arithmetic import Expression
    from hwsim.study.quantities import Quantities

    known = Quantities(scenario)
    found: dict[str, Value] = {}
    for text in formulas:
        try:
            found[text] = Value(Expression(text).value(known, known.functions))
        except HwsimError as error:
            found[text] = Value(None, str(error).replace("\n", "; "), error.exit_code)
    return found


def measure(
    points: Iterable[tuple[Scenario, Sequence[str]]], progress: Callable[[float, str], None] | None = None
) -> list[dict[str, Value]]:
    """The values of every point, in order."""
    keys: list[str] = []
    jobs: dict[str, tuple[Scenario, list[str]]] = {}
    for scenario, formulas in points:
        name = key(scenario)
        keys.append(name)
        wanted = jobs.setdefault(name, (scenario, []))[1]
        wanted += [text for text in formulas if text not in wanted]
    found = run_jobs(values, list(jobs.values()), progress, "scenarios")
    by_key = dict(zip(jobs, found, strict=True))
    return [by_key[name] for name in keys]


def run_jobs(
    function: Callable[..., Any],
    jobs: Sequence[tuple[Any, ...]],
    progress: Callable[[float, str], None] | None = None,
    what: str = "jobs",
) -> list[Any]:
    """``function(*job)`` for every job, in order, in worker processes when there are more than a few."""
    report = progress or _quiet
    workers = min(os.cpu_count() or 1, len(jobs))
    results: list[Any] = []
    if len(jobs) <= FEW or workers == 1:
        for job in jobs:
            report(len(results) / len(jobs), f"{len(results)} of {len(jobs)} {what}")
            results.append(function(*job))
        return results
    from joblib import Parallel, delayed

    batch: Any = max(1, min(16, len(jobs) // (workers * 16)))
    pool = Parallel(n_jobs=workers, return_as="generator", batch_size=batch)
    for result in pool(delayed(function)(*job) for job in jobs):
        results.append(result)
        report(len(results) / len(jobs), f"{len(results)} of {len(jobs)} {what}")
    return results


def _quiet(share: float, text: str) -> None:
    pass


def teller(title: str) -> Callable[[float, str], None]:
    """Progress as a line on standard error every few seconds, for where no bar can be drawn."""
    start = last = time.monotonic()

    def tell(share: float, text: str) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= 5:
            last = now
            left = (now - start) / share * (1 - share) if share > 0 else 0
            print(f"{title}: {text}, about {left:.0f} s left", file=sys.stderr, flush=True)

    return tell
