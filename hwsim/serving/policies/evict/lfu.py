"""Least frequently used first: the chunk with the fewest uses since it came in, the older of equal ones."""

from __future__ import annotations

from hwsim.serving.policies.evict._scored import Scored


class Lfu(Scored):
    """Uses as the score."""

    def first_score(self, key: int, pages: int) -> float:
        """Coming in is the first use."""
        return 1.0

    def next_score(self, key: int) -> float:
        """One more."""
        return self.score(key) + 1.0


PART = Lfu
