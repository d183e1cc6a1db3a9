"""Lengths drawn from given values, from quantiles, or from a file with one value per line."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from hwsim.errors import Problem, ScenarioError, nearest
from hwsim.kernel.random import Stream
from hwsim.units import parse

MOST_VALUES = 2_000_000


def draw(parameters: Mapping[str, Any], stream: Stream, count: int, start: int, folder: Path) -> np.ndarray:
    """Values with their weights (default: equal), or the piecewise linear inverse of quantiles (evenly spaced ones
    unless ``probabilities`` are given).
    """
    uniform = stream.uniform(count, start)
    if parameters.get("quantiles") is not None:
        given = parameters.get("probabilities")
        return from_quantiles(
            _numbers(parameters["quantiles"]), uniform, None if given is None else [_share(item) for item in given]
        )
    if parameters.get("file") is not None:
        values = read_values(folder / str(parameters["file"]), parameters.get("column"))
        return np.array(values, dtype=np.int64)[(uniform * len(values)).astype(np.int64)]
    if parameters.get("values") is None:
        raise ScenarioError.of("empirical lengths need values, quantiles or a file", where="workload")
    values = np.array(_numbers(parameters["values"]))
    weights = np.array(_numbers(parameters.get("weights") or [1] * len(values)))
    if len(weights) != len(values) or not weights.sum() > 0:
        raise ScenarioError.of(
            "weights do not match values", where="workload", got=f"{len(weights)} weights, {len(values)} values"
        )
    edges = np.cumsum(weights)
    place = np.searchsorted(edges, uniform * edges[-1], side="right")
    return _whole(values[np.minimum(place, len(values) - 1)])


def from_quantiles(
    quantiles: Sequence[float], uniform: np.ndarray, probabilities: Sequence[float] | None = None
) -> np.ndarray:
    """Lengths at evenly spaced (or given) probabilities, straight lines between them."""
    points = np.array(quantiles, dtype=np.float64)
    if len(points) < 2 or (points[1:] < points[:-1]).any():
        raise ScenarioError.of("quantiles must not fall", where="workload", expected="at least two, in rising order")
    if probabilities is not None:
        return _whole(np.interp(uniform, _checked(probabilities, len(points)), points))
    place = uniform * (len(points) - 1)
    low = np.minimum(place.astype(np.int64), len(points) - 2)
    return _whole(points[low] + (points[low + 1] - points[low]) * (place - low))


def _checked(probabilities: Sequence[float], count: int) -> np.ndarray:
    found = np.array(probabilities, dtype=np.float64)
    if len(found) != count or found[0] != 0 or found[-1] != 1 or (found[1:] <= found[:-1]).any():
        raise ScenarioError.of(
            "probabilities do not match quantiles",
            where="workload",
            got=", ".join(f"{value:g}" for value in probabilities),
            expected=f"{count} rising numbers from 0 to 1",
        )
    return found


def _share(value: Any) -> float:
    return float(parse(value, "share"))


def _whole(values: np.ndarray) -> np.ndarray:
    return np.maximum(np.rint(values).astype(np.int64), 1)


def _numbers(values: Sequence[Any]) -> list[float]:
    return [float(parse(value, "number")) for value in values]


@lru_cache(maxsize=16)
def read_values(path: Path, column: str | None) -> tuple[int, ...]:
    """Whole lengths from a text file, or from a column of a CSV file; every bad line is named."""
    if not path.is_file():
        known = [entry.name for entry in path.parent.glob("*") if entry.is_file()]
        raise ScenarioError.of("no such file", where="workload", got=str(path), nearest=nearest(path.name, known))
    values: list[int] = []
    problems: list[Problem] = []
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        rows = csv.DictReader(file) if column is not None else ({"": line} for line in file)
        for number, row in enumerate(rows, start=1 if column is None else 2):
            text = (row.get(column or "") or "").strip()
            if not text and column is None:
                continue
            if not text.isdigit() or int(text) < 1:
                problems.append(Problem("not a length", f"{path}:{number}", text[:40], "a whole number above zero"))
            else:
                values.append(int(text))
            if len(problems) >= 20 or len(values) > MOST_VALUES:
                break
    if problems or not values:
        raise ScenarioError(problems or [Problem("no lengths in the file", str(path))])
    return tuple(values)


PART = draw
