"""Arrival times as a process: renewal gaps at a steady rate, or such gaps in a clock that runs with the rate."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

import numpy as np

from hwsim.errors import ScenarioError
from hwsim.kernel.random import Stream
from hwsim.units import TICKS_PER_SECOND, parse
from hwsim.workload.rates import Rates, Segment
from hwsim.workload.variates import gamma

Streams = Callable[[str], Stream]
Gaps = Callable[[Mapping[str, Any], Stream, int, int], np.ndarray]
LATEST = 9_000_000 * TICKS_PER_SECOND  # 64-bit picoseconds hold 106 days
FINE = 2.0**36  # operational time is counted in 2^-36 of a mean gap, so that chunks of any size sum to the same


class Process(Protocol):
    """Gives arrival times one chunk after the other."""

    def times(self, count: int) -> np.ndarray:
        """The next ``count`` arrivals, in ticks from the start of the run, not falling."""
        ...


def too_late() -> ScenarioError:
    """The error of arrivals that 64-bit picoseconds cannot hold."""
    return ScenarioError.of("arrivals reach beyond 104 days", where="workload", expected="fewer or faster")


class Renewal:
    """Gaps from a part that knows nothing but position (Poisson, gamma, constant …), summed."""

    def __init__(self, gaps: Gaps, parameters: Mapping[str, Any], streams: Streams, scale: float) -> None:
        self.gaps, self.parameters, self.stream = gaps, parameters, streams("arrivals")
        self.scale = scale
        self.clock = self.start = 0

    def times(self, count: int) -> np.ndarray:
        """Sums of gaps; ``rate_scale`` divides each gap."""
        step = self.gaps(self.parameters, self.stream, count, self.start)
        if self.scale != 1.0:
            step = np.rint(step / self.scale).astype(np.int64)
        if self.clock + float(step.sum(dtype=np.float64)) > LATEST:
            raise too_late()
        times = self.clock + np.cumsum(step)
        self.start += count
        self.clock = int(times[-1]) if count else self.clock
        return times


class Modulated:
    """Arrivals whose rate changes: gaps of mean 1 are drawn in operational time, which the rate turns into seconds.

    With exponential gaps this is the inhomogeneous Poisson process, exactly (time rescaling theorem); with gamma gaps
    of ``burstiness`` (or ``cv``) it keeps its burstiness at every rate.
    """

    def __init__(
        self, segments: Iterator[Segment], parameters: Mapping[str, Any], streams: Streams, scale: float
    ) -> None:
        self.rates = Rates(segments, scale)
        self.shape = shape_of(parameters)
        self.stream = streams("arrivals")
        self.clock = self.start = 0

    def times(self, count: int) -> np.ndarray:
        """Operational times turned into ticks."""
        gaps = unit_gaps(self.shape, self.stream, count, self.start)
        marks = self.clock + np.cumsum(np.rint(gaps * FINE).astype(np.int64))
        self.start += count
        self.clock = int(marks[-1]) if count else self.clock
        return np.rint(self.rates.at(marks / FINE) * TICKS_PER_SECOND).astype(np.int64)


def truth(value: object) -> bool:
    """A flag of the plain scenario, as a truth value or as text."""
    return str(value).casefold() == "true"


def unit_gaps(shape: float, stream: Stream, count: int, start: int) -> np.ndarray:
    """Gamma gaps of mean 1; exponential ones for shape 1."""
    return stream.exponential(count, start) if shape == 1 else gamma(stream, shape, count, start)


def shape_of(parameters: Mapping[str, Any]) -> float:
    """The gamma shape that ``burstiness`` (as in vLLM's benchmark) or ``cv`` (of the gaps) means; 1 is Poisson."""
    if parameters.get("burstiness") is not None:
        return float(parse(parameters["burstiness"], "number"))
    if parameters.get("cv") is not None:
        return float(parse(parameters["cv"], "number")) ** -2
    return 1.0


class Stretched:
    """vLLM's benchmark stretches the drawn gaps so that the last of N requests comes at exactly N / rate."""

    def __init__(self, make: Callable[[], Process], total: int, rate: float) -> None:
        left, last, probe = total, 0, make()
        while left:
            size = min(left, 1 << 16)
            last = int(probe.times(size)[-1])
            left -= size
        self.factor = total / rate * TICKS_PER_SECOND / last if last else 1.0
        self.process = make()

    def times(self, count: int) -> np.ndarray:
        """The same times, stretched."""
        return np.rint(self.process.times(count) * self.factor).astype(np.int64)


class Gridded:
    """Times known only to a grid, as where a trace was taken in ticks of some seconds: floored to it."""

    def __init__(self, process: Process, grid: int) -> None:
        self.process, self.grid = process, grid

    def times(self, count: int) -> np.ndarray:
        """The same times, each at the start of its cell."""
        times = self.process.times(count)
        return times - times % self.grid
