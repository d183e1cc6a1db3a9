"""A rate that changes in time, as segments one after the other, and the clock that counts expected arrivals."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hwsim.errors import ScenarioError

LATEST_S = 9_000_000.0


@dataclass(frozen=True, slots=True)
class Segment:
    """From rate ``first`` to rate ``last`` (1/s) over ``duration`` seconds: in a line, or by a constant factor."""

    duration: float
    first: float
    last: float
    exponential: bool = False

    @property
    def expected(self) -> float:
        """Arrivals to be expected in the segment: the integral of the rate."""
        if self.exponential and self.first != self.last:
            return self.duration * (self.last - self.first) / math.log(self.last / self.first)
        return self.duration * (self.first + self.last) / 2

    def after(self, expected: np.ndarray) -> np.ndarray:
        """Seconds from the start of the segment until so many arrivals are expected (inverse of the integral)."""
        if self.first == self.last:
            return expected / self.first
        if self.exponential:
            growth = math.log(self.last / self.first) / self.duration
            share = growth / self.first
            return np.array([math.log1p(x * share) / growth for x in expected.tolist()])
        slope = (self.last - self.first) / self.duration
        root = np.sqrt(np.maximum(self.first * self.first + 2 * slope * expected, 0.0))
        return 2 * expected / np.maximum(self.first + root, 1e-300)


class Rates:
    """Turns counts of expected arrivals into seconds; asked in rising order, it forgets what lies behind."""

    def __init__(self, segments: Iterator[Segment], scale: float = 1.0) -> None:
        self.segments = segments
        self.scale = scale
        self.start = 0.0
        self.passed = 0.0
        self.segment = self._next()

    def _next(self) -> Segment:
        segment = next(self.segments)
        if self.start > LATEST_S:
            raise ScenarioError.of("arrivals reach beyond 104 days", where="workload.arrivals", expected="higher rates")
        return segment

    def at(self, expected: np.ndarray) -> np.ndarray:
        """Seconds at which ``expected`` (rising, mean arrivals from the start) is reached."""
        marks = expected / self.scale
        out = np.empty(len(marks))
        done = 0
        while done < len(marks):
            end = self.passed + self.segment.expected
            upto = int(np.searchsorted(marks, end, side="left"))
            if upto > done:
                out[done:upto] = self.start + self.segment.after(marks[done:upto] - self.passed)
                done = upto
            if done < len(marks):
                self.start += self.segment.duration
                self.passed = end
                self.segment = self._next()
        if len(out) and not out[-1] <= LATEST_S:
            raise ScenarioError.of("arrivals reach beyond 104 days", where="workload.arrivals", expected="higher rates")
        return out
