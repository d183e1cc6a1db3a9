"""A CSV with the columns metric, value and unit; metrics are those of ``hwsim show metrics``."""

from __future__ import annotations

import csv
import io
from typing import Any

from hwsim.errors import Problem, ScenarioError
from hwsim.metrics import registry
from hwsim.study.bench import Bench
from hwsim.units import parse

COLUMNS = ("metric", "value", "unit")


class Table:
    """One figure per line."""

    def fits(self, data: Any) -> bool:
        """Whether the first line names the columns."""
        first = data.splitlines()[0] if isinstance(data, str) and data.strip() else ""
        return all(name in [cell.strip() for cell in first.split(",")] for name in COLUMNS)

    def read(self, data: Any, where: str) -> Bench:
        """Every line; unknown metrics and wrong units are named, all at once."""
        found, problems = Bench("CSV"), []
        reader = csv.DictReader(io.StringIO(data), skipinitialspace=True)
        for row in reader:
            place = f"{where}:{reader.line_num}"
            try:
                metric = registry.find((row["metric"] or "").strip(), place)
                unit = (row["unit"] or "").strip().replace("tokens/s", "/s").replace("requests/s", "/s")
                value = float(parse(f"{(row['value'] or '').strip()} {unit}".strip(), metric.dimension))
                found.add(metric.name, value / metric.scale)
            except ScenarioError as error:
                problems.extend(error.problems)
            except ValueError as error:
                problems.append(Problem(str(error), place))
        if problems:
            raise ScenarioError(problems)
        return found


PART = Table()
