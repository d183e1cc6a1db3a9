"""Users that ask the same of the same capacities with the same weight: fairness gives them one common progress."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, TypeAlias

from hwsim.kernel.clock import Timer

if TYPE_CHECKING:
    from hwsim.kernel.activity import Activity
    from hwsim.kernel.capacity import Capacity
    from hwsim.kernel.domain import Domain
    from hwsim.kernel.flow import Flow
    from hwsim.kernel.sharing import System

Asks: TypeAlias = "tuple[tuple[Capacity, float], ...]"


class Bundle:
    """Equal users, solved for once however many there are.

    ``asks`` are units per second of alone time that each member takes of each capacity.  All members progress at the
    same ``x``, so one number says how far they are: ``virtual`` is the alone time (ticks) done by ``since``, counted
    from when the bundle last was empty.  A member that joins while it stands at ``v`` ends when it stands at ``v``
    plus the member's alone time; ``ends`` is the heap of these marks.  A change of rate thus costs the same for one
    member as for a thousand.
    """

    __slots__ = (
        "asks",
        "component",
        "count",
        "ends",
        "flow",
        "joined",
        "mark",
        "since",
        "single",
        "virtual",
        "weight",
        "x",
    )

    def __init__(self, domain: Domain, asks: Asks, weight: float, flow: Flow | None = None) -> None:
        self.asks = asks
        self.weight = weight
        self.flow = flow
        self.count = 0
        self.joined = 0
        self.ends: list[tuple[float, int, Activity]] = []
        self.x = 1.0
        self.virtual = 0.0
        self.since = 0
        self.mark = 0  # the search that saw this bundle last
        self.single = Component(domain, [self])  # for when it contends with nobody else
        self.component = self.single

    def push(self, activity: Activity, alone: float, now: int) -> bool:
        """Add the end of a member that needs ``alone`` ticks alone; True if it is the next to come."""
        self.joined = joined = self.joined + 1
        ends = self.ends
        heappush(ends, (self.virtual + (now - self.since) * self.x + alone, joined, activity))
        return ends[0][1] == joined

    def next_end(self) -> int:
        """The tick (rounded half up) at which the next member ends while the rate stays as it is."""
        return self.since + int((self.ends[0][0] - self.virtual) / self.x + 0.5)

    def pop_due(self, now: int, finished: list[Activity]) -> None:
        """Move the members that have ended by ``now`` to ``finished``."""
        ends = self.ends
        while ends and self.next_end() <= now:
            finished.append(heappop(ends)[2])

    def set_rate(self, x: float, now: int) -> None:
        """Progress at ``x`` from ``now`` on."""
        self.virtual += (now - self.since) * self.x
        self.since = now
        self.x = x


class Component:
    """Bundles connected by capacities that are asked for more than they have, and one timer for their next end.

    One timer instead of one per member: a change of rates moves all ends of a component, but only the next matters.
    """

    __slots__ = ("bundles", "contended", "dirty", "domain", "system", "timer")

    def __init__(self, domain: Domain, bundles: list[Bundle]) -> None:
        self.domain = domain
        self.bundles = bundles
        self.contended = False  # some capacity of theirs is asked for more than it has
        self.system: System | None = None  # what to solve, as long as only numbers of members change
        self.dirty = False  # to be solved again at the end of this instant
        self.timer = Timer(domain.clock, self.finish_due)

    def retime(self) -> None:
        """Set the timer to the next end of any member."""
        ends = [bundle.next_end() for bundle in self.bundles if bundle.ends]
        if ends:
            self.timer.set(max(min(ends), self.domain.clock.now))
        else:
            self.timer.cancel()

    def finish_due(self) -> None:
        """Let every member that ends at this instant leave, and then go on with what comes after it."""
        domain = self.domain
        bundle = self.bundles[0]
        if bundle.count == 1 and not self.contended:  # nobody else is concerned
            activity = bundle.ends.pop()[2]
            domain.leave(bundle)
            activity.phase_ended()
            return
        now = domain.clock.now
        finished: list[Activity] = []
        for bundle in self.bundles:
            bundle.pop_due(now, finished)
        for activity in finished:
            domain.leave(activity.bundle)
        if not self.contended:
            self.retime()
        for activity in finished:
            activity.phase_ended()
