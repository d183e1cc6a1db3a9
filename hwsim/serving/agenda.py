"""When to look at each engine next: a heap of moments that are moved lazily."""

from __future__ import annotations

from heapq import heappop, heappush

from hwsim.serving.engine import FAR


class Agenda:
    """One moment per engine number; equal moments come in the order of the numbers."""

    __slots__ = ("_heap", "due")

    def __init__(self, engines: int) -> None:
        self.due: list[int] = [FAR] * engines
        self._heap: list[tuple[int, int]] = []

    def set(self, number: int, moment: int) -> None:
        """Look at engine ``number`` at ``moment`` (FAR: not at all)."""
        if self.due[number] != moment:
            self.due[number] = moment
            if moment < FAR:
                heappush(self._heap, (moment, number))

    def sooner(self, number: int, moment: int) -> None:
        """Look at it at ``moment`` at the latest."""
        if moment < self.due[number]:
            self.set(number, moment)

    def next(self) -> int:
        """The next moment of any engine."""
        heap, due = self._heap, self.due
        while heap and due[heap[0][1]] != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else FAR

    def pop(self) -> int:
        """The engine whose moment is next (call :meth:`next` first)."""
        _, number = heappop(self._heap)
        self.due[number] = FAR
        return number
