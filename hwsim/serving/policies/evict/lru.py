"""Least recently used first: a chunk that is hit goes to the young end.

Simplification: none; entries are one integer key and a count of pages in a dict in order of use, under 100 bytes.
"""

from __future__ import annotations

from itertools import islice

OLDEST = 64  # looked up at a time: the old end of a dict is found by passing over what has been deleted there


class Lru:
    """A dict in order of use."""

    def __init__(self) -> None:
        self.entries: dict[int, int] = {}
        self._oldest: dict[int, None] = {}

    def add(self, key: int, pages: int) -> None:
        """To the young end."""
        if key in self.entries:
            self.remove(key)
        self.entries[key] = pages

    def hit(self, key: int) -> None:
        """To the young end."""
        self._oldest.pop(key, None)
        self.entries[key] = self.entries.pop(key)

    def victim(self) -> int:
        """The old end."""
        if not self._oldest:
            self._oldest = dict.fromkeys(islice(self.entries, OLDEST))
        return next(iter(self._oldest))

    def remove(self, key: int) -> None:
        """Out."""
        self._oldest.pop(key, None)
        del self.entries[key]

    def pop(self) -> tuple[int, int]:
        """The old end out, with its pages: ``victim`` and ``remove`` at once, for chunks that come in runs."""
        oldest = self._oldest
        if not oldest:
            oldest = self._oldest = dict.fromkeys(islice(self.entries, OLDEST))
        key = next(iter(oldest))
        del oldest[key]
        return key, self.entries.pop(key)


PART = Lru
