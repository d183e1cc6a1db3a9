"""``reports/papers``: scores of all papers, then every claim of each with expected, simulated, error and verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.study.page import Page, number, percent
from hwsim.study.reproduce.evaluate import Reproduced, score
from hwsim.study.reproduce.outcome import Outcome

RULES = (
    "Only predictions and ratios are scored. Definitions and formulas are tests (1 %), orders and bounds pass or fail, "
    "device rows, anchors and implied values are reported. A claim with an assumed input that moves it by more than "
    "5 % is scored apart, with its range. A figure beyond the ideal bound of its mechanism is marked, not scored."
)


def page(results: Sequence[Reproduced], command: str) -> Page:
    """The report of several papers."""
    made = Page("Published results, simulated", command)
    made.text(RULES)
    made.heading("Scores")
    made.table(
        (
            "paper",
            "standing",
            "scored",
            "within",
            "median error",
            "given: n, median",
            "assumed: n, median",
            "tests",
            "pass/fail",
        ),
        [_row(result) for result in results],
        numbers=range(2, 9),
    )
    every = [outcome for result in results for outcome in result.outcomes if outcome.scored]
    made.text(_split(every))
    for result in results:
        _paper(made, result)
    return made


def _split(outcomes: list[Outcome]) -> str:
    parts = []
    for title, some in (
        ("inputs all given", [o for o in outcomes if not o.assumed]),
        ("some assumed", [o for o in outcomes if o.assumed]),
        ("known while building", [o for o in outcomes if not o.claim.later]),
        ("scored later", [o for o in outcomes if o.claim.later]),
    ):
        found = score(some)
        text = f"{title}: {found['claims']} claims"
        if found["claims"]:
            text += f", median error {percent(found['median_error'], False)}, {found['within']} within tolerance"
        parts.append(text)
    return "All papers. " + "; ".join(parts) + "."


def _row(result: Reproduced) -> tuple[str, ...]:
    scores = result.scores()
    tests = [outcome for outcome in result.outcomes if outcome.claim.kind in ("definition", "formula")]
    conditions = [outcome for outcome in result.outcomes if outcome.claim.kind in ("order", "bound")]
    return (
        result.paper.id,
        result.standing,
        str(scores["all"]["claims"]),
        str(scores["all"]["within"]),
        percent(scores["all"]["median_error"], False),
        _pair(scores["inputs given"]),
        _pair(scores["some assumed"]),
        f"{sum(o.verdict == 'agrees' for o in tests)}/{len(tests)}",
        f"{sum(o.verdict == 'holds' for o in conditions)}/{len(conditions)}",
    )


def _pair(found: dict[str, Any]) -> str:
    return f"{found['claims']}, {percent(found['median_error'], False)}" if found["claims"] else "0"


def _paper(made: Page, result: Reproduced) -> None:
    paper = result.paper
    made.heading(f"{paper.id} ({paper.cite})" if paper.cite else paper.id)
    made.text(paper.description)
    made.table(
        ("claim", "kind", "expected", "simulated", "error", "range", "verdict", "inputs", "source", "note"),
        [_claim(outcome) for outcome in result.outcomes],
        numbers=(2, 3, 4),
    )
    if paper.unscored:
        made.text("Not scored, with the reason:")
        made.table(("source", "figure", "reason"), [(u["source"], u["figure"], u["reason"]) for u in paper.unscored])


def _claim(outcome: Outcome) -> tuple[str, ...]:
    claim = outcome.claim
    figure = claim.figure
    scale = claim.scale
    expected = number(figure.number / scale) if figure.number is not None else figure.text
    spread = ""
    if outcome.low is not None and outcome.high is not None:
        spread = f"{number(outcome.low / scale)} to {number(outcome.high / scale)}"
    inputs = "assumed" if outcome.assumed else "given"
    if claim.needs:
        inputs += ": " + ", ".join(f"{name} {origin}" for name, origin in claim.needs.items())
    notes = [outcome.note, *(f"read as {name}: {percent(error)}" for name, error in outcome.readings.items())]
    if claim.later:
        notes.append("scored later")
    return (
        claim.name,
        claim.kind,
        f"{expected} {claim.unit}".strip(),
        number(outcome.value / scale if outcome.value is not None else None),
        percent(outcome.error),
        spread,
        outcome.verdict,
        inputs,
        " ".join(
            part for part in (claim.written.source, f"({claim.written.known})" if claim.written.known else "") if part
        ),
        "; ".join(note for note in notes if note),
    )


def lines(result: Reproduced) -> list[str]:
    """A paper for a terminal."""
    rows = [("claim", "kind", "expected", "simulated", "error", "verdict")]
    for outcome in result.outcomes:
        figure = outcome.claim.figure
        scale = outcome.claim.scale
        expected = number(figure.number / scale) if figure.number is not None else figure.text
        value = number(outcome.value / scale) if outcome.value is not None else ""
        cells = (outcome.claim.name, outcome.claim.kind, f"{expected} {outcome.claim.unit}".strip())
        verdict = outcome.verdict + (" (assumed)" if outcome.assumed and outcome.scored else "")
        rows.append((*cells, value, percent(outcome.error), verdict))
    widths = [max(len(row[i]) for row in rows) for i in range(6)]
    out = [
        f"{result.paper.id}: {result.standing}, {len(result.outcomes)} claims, {len(result.paper.unscored)} unscored"
    ]
    for row in rows:
        out.append(
            "  "
            + "  ".join(
                cell.rjust(w) if 2 <= i <= 4 else cell.ljust(w)
                for i, (cell, w) in enumerate(zip(row, widths, strict=True))
            ).rstrip()
        )
    found = result.scores()
    for name in ("inputs given", "some assumed", "scored later"):
        if found[name]["claims"]:
            out.append(
                f"  {name}: {found[name]['claims']} scored, "
                f"median error {percent(found[name]['median_error'], False)}, "
                f"{found[name]['within']} within tolerance"
            )
    return out
