"""Result tables as CSV: a name ending in .csv gives one table (requests unless named otherwise), else all."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.export._format import TableFormat


def write(table: Mapping[str, Any], path: Path) -> None:
    """Write a table with a header; what was never reached is an empty cell."""
    columns = [_cells(values) for values in table.values()]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(zip(*columns, strict=True))


def _cells(values: Any) -> list[Any]:
    cells = values.tolist() if isinstance(values, np.ndarray) else list(values)
    return ["" if isinstance(cell, float) and math.isnan(cell) else cell for cell in cells]


PART = TableFormat("csv", write)
