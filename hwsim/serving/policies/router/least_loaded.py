"""The replica with the fewest unfinished requests, or prompt tokens of such; equal ones take turns."""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.kernel.random import Stream
from hwsim.serving.routing import Loads, Seen, Sees
from hwsim.units import ticks


class LeastLoaded:
    """The least of all, from a view that may be aged."""

    sees: ClassVar[Sees] = "counts"

    def __init__(self, parameters: Any, replicas: int, stream: Stream) -> None:
        self.by: str = parameters.by
        self.age = ticks(parameters.age)
        self.last = -1

    def route(self, request: Seen, loads: Loads) -> int:
        """The least loaded replica, the next in turn among equals."""
        column = loads.requests if self.by == "requests" else loads.tokens
        if len(loads.open) < len(column):
            self.last = loads.least(column, self.last)
            return self.last
        least = min(column)
        try:
            self.last = column.index(least, self.last + 1)
        except ValueError:
            self.last = column.index(least)
        return self.last


PART = LeastLoaded
