"""One level of KV memory below the GPU: which chunks it holds, in pages, and what came, went and was lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Evict(Protocol):
    """The order in which chunks of a tier have to go, and the one place where its entries are kept."""

    entries: dict[int, int]  # pages by key

    def add(self, key: int, pages: int) -> None:
        """A chunk comes in, or one that is there is replaced by a longer version of itself."""
        ...

    def hit(self, key: int) -> None:
        """A chunk was used."""
        ...

    def victim(self) -> int:
        """The chunk that goes next (it stays until it is removed); there is at least one."""
        ...

    def remove(self, key: int) -> None:
        """A chunk has gone."""
        ...


class Move:
    """Chunks on their way from one place to another, as one copy."""

    __slots__ = ("keys", "owed", "pages", "source", "target", "waiters")

    def __init__(self, source: Tier | None, target: Tier) -> None:
        """``source`` None: a GPU.  ``owed`` pages wait in the staging memory of the source until this has landed."""
        self.source = source
        self.owed = 0
        self.target = target
        self.keys: list[int] = []
        self.pages = 0
        self.waiters: list[Callable[[], object]] = []


class Tier:
    """Capacity in pages with a policy that says who goes.

    ``capacity`` is what chunks may fill, those that are still arriving included; ``staging`` holds what is being
    copied out, until it has landed below: together they are the tier's limit.  Unit of everything: pages of all
    ranks of a replica.  The counters add up: ``stored == used + left + dropped + lost``.
    """

    __slots__ = (
        "arriving",
        "capacity",
        "dropped",
        "hits",
        "leaving",
        "left",
        "lost",
        "name",
        "peak",
        "policy",
        "read",
        "slower",
        "spared",
        "staging",
        "stored",
        "used",
        "written",
    )

    def __init__(self, name: str, capacity: int, policy: Evict, staging: int = 1 << 60) -> None:
        self.name = name
        self.capacity = capacity
        self.staging = staging
        self.policy = policy
        self.arriving: dict[int, Move] = {}
        self.used = 0
        self.peak = 0
        self.leaving = 0
        self.stored = 0  # pages that came in
        self.left = 0  # pages that went to a lower tier or were there already
        self.dropped = 0  # pages that went for good, below the last tier
        self.lost = 0  # pages that went for good since they could not be copied out in time
        self.hits = 0  # pages that a request found here
        self.spared = 0  # pages that decode found here, so that they were not handed over
        self.slower = 0  # pages among them that would have been computed sooner than they were expected to be loaded
        self.read = 0  # pages copied from here, to the GPU or another tier
        self.written = 0  # pages copied to here

    def pages(self, key: int) -> int:
        """How many leading pages of a chunk are here, or are on the way to here."""
        return self.policy.entries.get(key, 0)

    def add(self, key: int, pages: int) -> None:
        """Take in a chunk, or the rest of one."""
        more = pages - self.policy.entries.get(key, 0)
        self.policy.add(key, pages)
        self.stored += more
        self.used += more
        if self.used > self.peak:
            self.peak = self.used

    def remove(self, key: int) -> int:
        """Let a chunk go; returns its pages."""
        pages = self.policy.entries[key]
        self.policy.remove(key)
        self.used -= pages
        self.arriving.pop(key, None)
        return pages


@dataclass(frozen=True)
class Described:
    """A tier with what results say of it: the device it is on, and the bytes that may be written to it in its life."""

    tier: Tier
    device: str
    page_bytes: float  # over all ranks of a replica
    endurance_bytes: float | None = None
    io_bytes: float | None = None  # of one access, where it is a drive
