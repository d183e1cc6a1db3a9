"""A slot that activities hold while they run: a stream, a copy engine, a command queue."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.kernel.activity import Activity


class Slot:
    """``count`` places held by activities from start to end, given in order of arrival or of priority.

    Queues are strict: an activity starts when it heads the queue of every slot it needs and each has a free place;
    nobody overtakes a head that waits for another slot.  The first of all in the common order heads all its queues,
    so activities that need several slots cannot block each other for ever; an activity that has to wait for slots
    of both kinds is refused, because two orders could.  Running activities are not interrupted.  With ``priority``
    the lowest number goes first, equal numbers in order of arrival.
    """

    __slots__ = ("arrivals", "count", "free", "name", "priority", "waiting")

    def __init__(self, name: str, count: int = 1, *, priority: bool = False) -> None:
        """``ValueError`` if there is not at least one place."""
        if count < 1:
            raise ValueError(f"slot {name}: needs at least one place, got {count}")
        self.name = name
        self.count = count
        self.free = count
        self.priority = priority
        self.arrivals = 0
        self.waiting: list[tuple[int, int, Activity]] = []  # heap of (priority or 0, arrival, who)

    def head(self) -> Activity | None:
        """Who is next, if anybody waits."""
        return self.waiting[0][2] if self.waiting else None

    def push(self, activity: Activity) -> None:
        """Let ``activity`` wait here."""
        self.arrivals += 1
        heappush(self.waiting, (activity.priority if self.priority else 0, self.arrivals, activity))

    def pop(self) -> None:
        """Let the head go."""
        heappop(self.waiting)
