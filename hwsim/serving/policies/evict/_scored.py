"""Chunks by a score that grows with use: a heap whose stale entries are passed over, and renewed when they prevail."""

from __future__ import annotations

from heapq import heapify, heappop, heappush


class Scored:
    """The lowest score goes first, the older of equal ones; a chunk takes about 300 bytes here."""

    def __init__(self) -> None:
        self.entries: dict[int, int] = {}
        self._scores: dict[int, tuple[float, int]] = {}  # score and turn by key
        self._heap: list[tuple[float, int, int]] = []
        self._turn = 0

    def first_score(self, key: int, pages: int) -> float:
        """The score of a chunk that comes in."""
        raise NotImplementedError

    def next_score(self, key: int) -> float:
        """The score of a chunk that is used again."""
        raise NotImplementedError

    def gone(self, key: int, score: float) -> None:
        """A chunk is removed that had this score."""

    def add(self, key: int, pages: int) -> None:
        """At its first score; one that grows keeps its own."""
        new = key not in self.entries
        self.entries[key] = pages
        if new:
            self._score(key, self.first_score(key, pages))

    def hit(self, key: int) -> None:
        """Its score grows."""
        self._score(key, self.next_score(key))

    def score(self, key: int) -> float:
        """What a chunk counts now."""
        return self._scores[key][0]

    def victim(self) -> int:
        """The lowest score."""
        heap, scores = self._heap, self._scores
        while scores.get(heap[0][2]) != heap[0][:2]:
            heappop(heap)
        return heap[0][2]

    def remove(self, key: int) -> None:
        """Out."""
        del self.entries[key]
        self.gone(key, self._scores.pop(key)[0])

    def _score(self, key: int, score: float) -> None:
        self._turn += 1
        self._scores[key] = (score, self._turn)
        heappush(self._heap, (score, self._turn, key))
        if len(self._heap) > 4 * len(self.entries) + 64:
            self._heap = [(score, turn, key) for key, (score, turn) in self._scores.items()]
            heapify(self._heap)
