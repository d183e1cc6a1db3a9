"""When calls of the scheduler, device steps and outputs happen: one or two steps in flight."""

from __future__ import annotations

FAR = 1 << 120  # beyond any time: a run of 2^62 subticks is only an hour and a quarter


class Pipeline:
    """Times of an engine's calls and steps in integer subticks of its alone time.

    Call ``m`` happens at ``c``, its host work takes ``H``, the device starts at ``S`` and ends at ``E``:
    ``c[m] = E[m-1]`` with one step in flight, ``max(E[m-2], c[m-1] + H[m-1])`` with two (asynchronous scheduling:
    outputs and arrivals are seen one call later), ``S[m] = max(c[m] + H, E[m-1])`` and ``E[m] = S[m] + D``.  A span
    of steps with constant ``H`` and ``D`` growing by a constant has these sums in closed form as long as host and
    device do not change places; where they do, ``span`` shortens itself.
    """

    __slots__ = ("depth", "end", "end_before", "host_free")

    beyond = 0  # subticks that batches spent in other stages than their slowest, of a line of stages

    def __init__(self, depth: int) -> None:
        self.depth = depth
        self.end = 0  # E of the last step
        self.end_before = 0  # E of the step before it
        self.host_free = 0  # when the host is done with the last call

    def next_call(self) -> int:
        """The earliest time of the next call of a busy engine."""
        if self.depth == 1:
            return self.end
        return self.end_before if self.end_before > self.host_free else self.host_free

    def step(self, call: int, host: int, device: int) -> int:
        """Run one step called at ``call``; returns when its output is there."""
        self.host_free = call + host
        start = self.host_free if self.host_free > self.end else self.end
        self.end_before = self.end
        self.end = start + device
        return self.end


def steps_until(first: int, slope: int, distance: int, most: int) -> int:
    """The least ``n <= most`` with ``n*first + slope*n*(n-1)/2 >= distance`` (``most`` if none is), exactly.

    ``first >= 0``, ``slope >= 0``: the time of n steps that grow by a constant, in integers.
    """
    if distance <= 0:
        return 0
    if most * first + slope * (most * (most - 1) >> 1) < distance:
        return most
    return least_steps(first, slope, distance)


def least_steps(first: int, slope: int, distance: int) -> int:
    """The least ``n`` with ``n*first + slope*n*(n-1)/2 >= distance``, where some is and ``distance > 0``."""
    n = distance // first + 1 if first else distance // slope + 2  # enough in any case
    over = n * first + slope * (n * (n - 1) >> 1) - distance
    last = first + slope * (n - 1)
    while over >= last:  # as many of the last steps fall away as surely can
        less = over // last
        over -= less * last - slope * (less * (less - 1) >> 1)
        n -= less
        last -= slope * less
    return n
