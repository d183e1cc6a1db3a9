"""What a control plane has planned, in order of time: faults, recoveries, looks of an autoscaler."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush

from hwsim.serving.pipeline import FAR

Act = Callable[[int], object]


class Acts:
    """Moments (subticks) with what is to be done then; at one moment in the order in which they were planned."""

    __slots__ = ("_heap", "_order", "moment")

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, Act]] = []
        self._order = 0
        self.moment = FAR  # of the next act

    def plan(self, time: int, do: Act) -> None:
        """Call ``do(time)`` at ``time``."""
        self._order += 1
        heappush(self._heap, (time, self._order, do))
        self.moment = self._heap[0][0]

    def do(self) -> None:
        """Do the next one."""
        time, _, do = heappop(self._heap)
        self.moment = self._heap[0][0] if self._heap else FAR
        do(time)
