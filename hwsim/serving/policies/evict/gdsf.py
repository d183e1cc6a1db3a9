"""Greedy-Dual-Size-Frequency: what is worth least per page goes first, and age counts.

Score = L + uses x cost / pages, where ``L`` is the score of the last chunk that went.  The cost of a miss is taken as
a fixed part (a request that has to load or compute at all) plus one per page, so of chunks used as often the large
ones go first.  Simplification: the fixed part is that of ``FIXED`` pages, the same for every chunk.
Source: Cherkasova, "Improving WWW proxies performance with Greedy-Dual-Size-Frequency caching policy" (1998), MEMORY.
"""

from __future__ import annotations

from hwsim.serving.policies.evict._scored import Scored

FIXED = 16  # pages


class Gdsf(Scored):
    """Uses times cost per page over a rising floor."""

    def __init__(self) -> None:
        super().__init__()
        self._floor = 0.0
        self._uses: dict[int, int] = {}

    def first_score(self, key: int, pages: int) -> float:
        """One use."""
        self._uses[key] = 1
        return self._floor + self._worth(pages)

    def next_score(self, key: int) -> float:
        """One use more, from the floor as it is now."""
        self._uses[key] += 1
        return self._floor + self._uses[key] * self._worth(self.entries[key])

    def victim(self) -> int:
        """The lowest score, which becomes the floor."""
        key = super().victim()
        self._floor = self.score(key)
        return key

    def gone(self, key: int, score: float) -> None:
        """Uses are counted from zero when it comes back."""
        del self._uses[key]

    @staticmethod
    def _worth(pages: int) -> float:
        return (FIXED + pages) / pages


PART = Gdsf
