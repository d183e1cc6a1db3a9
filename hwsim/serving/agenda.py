"""When to look at each engine next: the least of a few moments, or a heap of many that are moved lazily."""

from __future__ import annotations

from heapq import heappop, heappush

from hwsim.serving.pipeline import FAR

FEW = 32  # up to here looking at all of them is cheaper than keeping them in order


class Agenda:
    """One moment per engine number; equal moments come in the order of the numbers."""

    __slots__ = ("_few", "_heap", "due")

    def __init__(self, engines: int) -> None:
        self.due: list[int] = [FAR] * engines
        self._few = engines <= FEW
        self._heap: list[tuple[int, int]] = []

    def set(self, number: int, moment: int) -> None:
        """Look at engine ``number`` at ``moment`` (FAR: not at all)."""
        if self.due[number] != moment:
            self.due[number] = moment
            if moment < FAR and not self._few:
                heappush(self._heap, (moment, number))

    def next(self) -> int:
        """The next moment of any engine."""
        due = self.due
        if self._few:
            return min(due)
        heap = self._heap
        while heap and due[heap[0][1]] != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else FAR

    def pop(self, moment: int) -> int:
        """The engine whose moment is next, which is ``moment`` as :meth:`next` said."""
        number = self.due.index(moment) if self._few else heappop(self._heap)[1]
        self.due[number] = FAR
        return number
