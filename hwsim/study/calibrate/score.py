"""How far predictions are from measured times: median, 90th percentile and bias of the relative error."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Score(NamedTuple):
    """Shares: median and p90 of the absolute relative error, median of the signed one (above 0: predicted too slow)."""

    n: int
    median: float
    p90: float
    bias: float

    def text(self) -> str:
        """One line for a file of coefficients."""
        return f"median {self.median:.1%}, p90 {self.p90:.1%}, bias {self.bias:+.1%}, n {self.n}"


def score(predicted: np.ndarray, measured: np.ndarray) -> Score:
    """Errors of predictions; no rows give zeros."""
    if not len(measured):
        return Score(0, 0.0, 0.0, 0.0)
    error = predicted / measured - 1
    size = np.abs(error)
    return Score(len(error), float(np.median(size)), float(np.quantile(size, 0.9)), float(np.median(error)))


def spread(predicted: np.ndarray, measured: np.ndarray) -> float:
    """Standard deviation of the logarithm of measured over predicted, from its middle 68 %: robust to odd rows."""
    if len(measured) < 5:
        return 0.0
    low, high = np.quantile(np.log(measured / predicted), (0.16, 0.84))
    return float(high - low) / 2
