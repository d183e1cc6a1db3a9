"""Experts are chosen as often as a table of counts says: columns layer, expert and selections (other columns aside).

Rows of the same layer and expert (several domains or tasks) are added up.
"""

from __future__ import annotations

import csv
from pathlib import Path

from hwsim.errors import ScenarioError
from hwsim.model.routing import Routing
from hwsim.workload.trace_file import locate, opened

COUNTS = ("selections", "count", "counts", "tokens")
MOST_ROWS = 1_000_000


def routing(experts: int, *, folder: Path, file: str) -> Routing:
    """The shares that a CSV gives to ``experts`` experts; what does not fit raises ``ScenarioError``."""
    path = locate(file, folder)
    where = "workload.routing.file"
    layers: dict[str, dict[int, float]] = {}
    with opened(path) as lines:
        reader = csv.DictReader(lines)
        names = reader.fieldnames or []
        column = next((name for name in COUNTS if name in names), None)
        if column is None or "layer" not in names or "expert" not in names:
            expected = "columns layer, expert and selections"
            raise ScenarioError.of("not a table of expert counts", where=where, got=", ".join(names), expected=expected)
        for number, row in enumerate(reader, 2):
            try:
                expert, count = int(row["expert"]), float(row[column])
            except (TypeError, ValueError):
                place = f"{path.name}:{number}"
                raise ScenarioError.of("not a count", where=place, got=str(row)[:80], expected="numbers") from None
            if not 0 <= expert < experts or not 0 <= count < 1e18 or number > MOST_ROWS:
                expected = f"experts 0 to {experts - 1}, counts from zero, at most {MOST_ROWS} rows"
                raise ScenarioError.of(
                    "not a count", where=f"{path.name}:{number}", got=str(row)[:80], expected=expected
                )
            layer = layers.setdefault(row["layer"], {})
            layer[expert] = layer.get(expert, 0.0) + count
    found = [layer for layer in layers.values() if sum(layer.values())]
    if not found:
        raise ScenarioError.of("no counts", where=where, got=file)
    return Routing.of_counts(found, experts)


PART = routing
