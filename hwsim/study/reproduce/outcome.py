"""What became of a claim: simulated value, error, range over what was assumed, verdict; rules by the kind of claim.

Only ``prediction`` and ``ratio`` are scored.  ``definition`` and ``formula`` are tests (1 %), ``order`` and ``bound``
pass or fail, ``device``, ``anchor`` and ``implied`` are reported.  A figure beyond what its mechanism could do at best
is marked, not scored.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hwsim.metrics import registry
from hwsim.study.points import Value
from hwsim.study.reproduce.paper import SCORED, TESTS, Claim

MATTERS = 0.05
IDEAL_SLACK = 1e-9


@dataclass
class Outcome:
    """One claim with what was simulated; ``verdict`` is one word, ``note`` a sentence where one is needed."""

    claim: Claim
    value: float | None = None
    error: float | None = None
    low: float | None = None
    high: float | None = None
    ideal: float | None = None
    verdict: str = "not run"
    note: str = ""
    assumed: bool = False
    readings: dict[str, float] = field(default_factory=dict)

    @property
    def scored(self) -> bool:
        """Whether it counts in the scores."""
        return self.claim.kind in SCORED and self.error is not None and self.verdict != "beyond bound"

    def to_json(self) -> dict[str, Any]:
        """The row as plain data."""
        claim, scale = self.claim, self.claim.scale
        figure = claim.figure.number

        def shown(value: float | None) -> float | None:
            return None if value is None else value / scale

        return {
            "claim": claim.name,
            "kind": claim.kind,
            "metric": claim.metric,
            "expected": shown(figure) if figure is not None else claim.figure.text,
            "unit": claim.unit,
            "simulated": shown(self.value),
            "error": self.error,
            "low": shown(self.low),
            "high": shown(self.high),
            "ideal": shown(self.ideal),
            "verdict": self.verdict,
            "scored": self.scored,
            "inputs": "assumed" if self.assumed else "given",
            "known": "later" if claim.later else "while building",
            "figure_known": claim.written.known,
            "needs": claim.needs,
            "source": claim.written.source,
            "readings": self.readings,
            "note": self.note,
        }


def judged(
    claim: Claim,
    values: list[Value],
    variations: list[Value],
    ideal: Value | None,
) -> Outcome:
    """The outcome of a claim from its value (over a grid: values), its variations over assumed inputs and its bound."""
    outcome = Outcome(claim, assumed=bool(claim.assumed) or (claim.kind in SCORED and not claim.needs))
    missing = next((value for value in values if value.number is None), None)
    if missing is not None:
        outcome.verdict = _absent(missing)
        outcome.note = missing.reason
        return outcome
    numbers = [value.number for value in values if value.number is not None]
    outcome.value = _one(claim, numbers)
    spread = [value.number for value in variations if value.number is not None]
    if spread:
        outcome.low, outcome.high = min([outcome.value, *spread]), max([outcome.value, *spread])
        moved = (outcome.high - outcome.low) / abs(outcome.value) if outcome.value else float("inf")
        outcome.assumed = outcome.assumed and moved > MATTERS
    if ideal is not None and ideal.number is not None:
        outcome.ideal = ideal.number
    _verdict(outcome, numbers)
    notes = [claim.written.note or "", outcome.note]
    if claim.kind in SCORED and not claim.needs:
        notes.append("inputs not listed (needs), counted as assumed")
    elif claim.assumed and not spread and claim.kind in SCORED:
        notes.append("no range was given for " + ", ".join(claim.assumed))
    outcome.note = "; ".join(note for note in notes if note)
    return outcome


def _absent(value: Value) -> str:
    if "not built yet" in value.reason or "unknown" in value.reason:
        return "not built"
    return "cannot serve" if value.code == 3 else "no value"


def _one(claim: Claim, numbers: list[float]) -> float:
    """One number for a row: the value, the best of the published grid, or for a shape the last of it."""
    if len(numbers) == 1:
        return numbers[0]
    if claim.figure.shape:
        return numbers[-1]
    if claim.kind == "ratio" or claim.kind == "bound":
        return max(numbers) if claim.figure.low == float("-inf") or claim.figure.number is not None else min(numbers)
    return numbers[-1]


def _verdict(outcome: Outcome, numbers: list[float]) -> None:
    claim, figure, value = outcome.claim, outcome.claim.figure, outcome.value
    assert value is not None
    if claim.kind in ("order", "bound"):
        if figure.shape:
            (places,) = (claim.written.grid or {}).values()
            outcome.verdict = "holds" if figure.holds_over(places, numbers) else "fails"
            outcome.note = "values " + ", ".join(f"{number:.4g}" for number in numbers)
        else:
            outcome.verdict = "holds" if figure.holds(value) else "fails"
        return
    assert figure.number is not None
    outcome.error = value / figure.number - 1 if figure.number else float(value != 0)
    for name, reading in claim.readings.items():
        if reading.number:
            outcome.readings[name] = value / reading.number - 1
    if _beyond(claim, outcome.ideal):
        outcome.verdict = "beyond bound"
        outcome.note = f"the published figure is better than the ideal {outcome.ideal:.4g}"
    elif claim.kind in TESTS:
        outcome.verdict = "agrees" if abs(outcome.error) <= claim.tolerance else "DISAGREES"
    else:
        outcome.verdict = "within" if abs(outcome.error) <= claim.tolerance else "off"


def _beyond(claim: Claim, ideal: float | None) -> bool:
    """Whether a figure beats the best that its mechanism can do, by more than its rounding."""
    figure = claim.figure.number
    if ideal is None or figure is None:
        return False
    lower = claim.metric in registry.names() and registry.find(claim.metric).better == "lower" and not claim.baseline
    if lower:
        return figure + claim.figure.rounding < ideal * (1 - IDEAL_SLACK)
    return figure - claim.figure.rounding > ideal * (1 + IDEAL_SLACK)
