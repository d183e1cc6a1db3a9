"""First in, first out: being used does not save a chunk."""

from __future__ import annotations

from hwsim.serving.policies.evict.lru import Lru


class Fifo(Lru):
    """A dict in order of arrival; a chunk that grows keeps its place."""

    def add(self, key: int, pages: int) -> None:
        """To the young end, or longer in its place."""
        self.entries[key] = pages

    def hit(self, key: int) -> None:
        """Nothing changes."""


PART = Fifo
