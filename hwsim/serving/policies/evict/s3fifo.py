"""S3-FIFO: a small queue on probation, a main queue with second chances, and the memory of who left the small one.

A new chunk enters the small queue (a tenth of the pages), unless it is remembered: then the main one.  From the small
queue a chunk that was used goes to the main queue, another one leaves and is remembered.  In the main queue a chunk
that was used goes round again, at most three times per use counted.  Source: Yang et al., SOSP 2023, MEMORY.
Simplification: the memory (ghost queue) holds as many keys as there are chunks.
"""

from __future__ import annotations

SMALL = 0.1
MOST_USES = 3


class S3Fifo:
    """Two queues in dicts, uses counted up to three."""

    def __init__(self) -> None:
        self.entries: dict[int, int] = {}
        self._queues: tuple[dict[int, None], dict[int, None]] = ({}, {})  # small, main
        self._pages = [0, 0]
        self._uses: dict[int, int] = {}
        self._ghosts: dict[int, None] = {}

    def add(self, key: int, pages: int) -> None:
        """On probation, or straight into the main queue if it is remembered; one that grows stays where it is."""
        before = self.entries.get(key)
        self.entries[key] = pages
        if before is not None:
            self._pages[self._place(key)] += pages - before
            return
        place = 0
        if key in self._ghosts:
            del self._ghosts[key]
            place = 1
        self._queues[place][key] = None
        self._pages[place] += pages

    def hit(self, key: int) -> None:
        """One use more, up to three."""
        self._uses[key] = min(self._uses.get(key, 0) + 1, MOST_USES)

    def victim(self) -> int:
        """Who leaves next; those who were used move on meanwhile."""
        small, main = self._queues
        while True:
            if small and (not main or self._pages[0] > SMALL * sum(self._pages)):
                key = next(iter(small))
                if not self._uses.get(key):
                    self._remember(key)
                    return key
                self._move(key, 0)
            else:
                key = next(iter(main))
                if not self._uses.get(key):
                    return key
                self._move(key, 1)

    def remove(self, key: int) -> None:
        """Out."""
        place = self._place(key)
        del self._queues[place][key]
        self._pages[place] -= self.entries.pop(key)
        self._uses.pop(key, None)

    def _place(self, key: int) -> int:
        return 0 if key in self._queues[0] else 1

    def _move(self, key: int, place: int) -> None:
        """To the young end of the main queue, for one use less (none is left to one from probation)."""
        del self._queues[place][key]
        self._queues[1][key] = None
        self._pages[place] -= self.entries[key]
        self._pages[1] += self.entries[key]
        uses = self._uses.pop(key) - 1
        if place and uses:
            self._uses[key] = uses

    def _remember(self, key: int) -> None:
        self._ghosts[key] = None
        if len(self._ghosts) > max(len(self.entries), 1):
            del self._ghosts[next(iter(self._ghosts))]


PART = S3Fifo
