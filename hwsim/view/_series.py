"""Tables of any length as a few hundred points: means and peaks over equal bins of time, and spread samples."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hwsim.metrics.load import step_function
from hwsim.metrics.statistics import TICKS

BINS = 320


def edges_of(steps: Mapping[str, Any], summary: Mapping[str, Any], bins: int = BINS) -> np.ndarray:
    """Edges of equal bins over the simulated time, in seconds; empty when nothing ran."""
    end = float(summary.get("simulated_seconds") or 0.0)
    if not len(steps["start"]) or end <= 0:
        return np.zeros(0)
    return np.linspace(0.0, end, bins + 1)


def middles(edges: np.ndarray) -> np.ndarray:
    """The middle of each bin."""
    return (edges[1:] + edges[:-1]) / 2


def binned(
    steps: Mapping[str, Any], column: str, edges: np.ndarray, *, idle: float | None = 0.0
) -> tuple[np.ndarray, np.ndarray]:
    """Time-weighted mean and maximum of a column in each bin, summed over replicas."""
    times, values = step_function(steps, column, idle=idle)
    at = np.concatenate([[0.0], times / TICKS, [max(float(edges[-1]), float(times[-1]) / TICKS)]])
    held = np.concatenate([[0.0], values])
    area = np.concatenate([[0.0], np.cumsum(held * np.diff(at))])
    means = np.diff(np.interp(edges, at, area)) / np.diff(edges)
    # The first value of a bin is the one that still holds from before it.
    peaks = held[np.maximum(np.searchsorted(at[:-1], edges[:-1], side="right") - 1, 0)].copy()
    into = np.searchsorted(edges, at[:-1], side="right") - 1
    inside = (into >= 0) & (into < len(peaks))
    np.maximum.at(peaks, into[inside], held[inside])
    return means, peaks


def sample(values: np.ndarray, most: int) -> np.ndarray:
    """Indices of at most ``most`` points: the most extreme twentieth, the rest evenly spread, in order."""
    count = len(values)
    if count <= most:
        return np.arange(count)
    extreme = np.argsort(values, kind="stable")[-(most // 20) :]
    even = np.linspace(0, count - 1, most - len(extreme)).astype(np.int64)
    return np.unique(np.concatenate([extreme, even]))


def distribution(values: np.ndarray, weights: np.ndarray, points: int = 400) -> tuple[np.ndarray, np.ndarray]:
    """Points of a cumulative distribution: values and the share at or below them, more of them in the upper tail."""
    order = np.argsort(values, kind="stable")
    values, upto = values[order], np.cumsum(weights[order])
    wanted = np.unique(np.concatenate([np.linspace(0, 1, points), 1 - np.geomspace(1e-5, 0.1, points // 4)]))
    at = np.minimum(np.searchsorted(upto, wanted * upto[-1], side="left"), len(values) - 1)
    at = np.unique(at)
    return values[at], upto[at] / upto[-1]
