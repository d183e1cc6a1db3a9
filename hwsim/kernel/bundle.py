"""Users that ask the same of the same capacities with the same weight: fairness gives them one common progress."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, Protocol, TypeAlias

from hwsim.kernel.clock import Timer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from hwsim.kernel.activity import Phase
    from hwsim.kernel.capacity import Capacity
    from hwsim.kernel.domain import Domain
    from hwsim.kernel.flow import Flow
    from hwsim.kernel.sharing import System

Asks: TypeAlias = "tuple[tuple[Capacity, float], ...]"

NEVER = 1 << 200  # a tick that does not come
SMALL = 4  # bundles of a component that is looked at anew whenever it may have come apart
PATIENCE = 4  # solves per bundle after which a larger one is


class User(Protocol):
    """Whoever progresses in a bundle: an activity, a task of a graph."""

    bundle: Bundle
    phase: Phase

    @property
    def weight(self) -> float:
        """Its weight in sharing."""
        ...

    def phase_ended(self) -> None:
        """The amounts of its present phase have been delivered."""


class Bundle:
    """Equal users, solved for once however many there are.

    ``asks`` are units per second of alone time that each member takes of each capacity.  All members progress at the
    same ``x``, so one number says how far they are: ``virtual`` is the alone time (ticks) done by ``since``, counted
    from when the bundle last was empty.  A member that joins while it stands at ``v`` ends when it stands at ``v``
    plus the member's alone time; ``ends`` is the heap of these marks and ``due`` the tick of the next while the rate
    stays as it is.  A change of rate thus costs the same for one member as for a thousand.
    """

    __slots__ = (
        "asks",
        "component",
        "count",
        "due",
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
        self.ends: list[tuple[float, int, User]] = []
        self.due = NEVER
        self.x = 1.0
        self.virtual = 0.0
        self.since = 0
        self.mark = 0  # the search that saw this bundle last
        self.single = Component(domain, [self])  # for when it contends with nobody else
        self.component = self.single

    def push(self, user: User, alone: float, now: int) -> bool:
        """Add the end of a member that needs ``alone`` ticks alone; True if it is the next to come."""
        self.joined = joined = self.joined + 1
        ends = self.ends
        heappush(ends, (self.virtual + (now - self.since) * self.x + alone, joined, user))
        if ends[0][1] != joined:
            return False
        self.due = self.next_end()
        return True

    def next_end(self) -> int:
        """The tick (rounded half up) at which the next member ends while the rate stays as it is."""
        return self.since + int((self.ends[0][0] - self.virtual) / self.x + 0.5)

    def pop_due(self, now: int, finished: list[User]) -> None:
        """Move the members that have ended by ``now`` to ``finished``."""
        ends = self.ends
        while self.due <= now:
            finished.append(heappop(ends)[2])
            self.due = self.next_end() if ends else NEVER

    def set_rate(self, x: float, now: int) -> None:
        """Progress at ``x`` from ``now`` on."""
        self.virtual += (now - self.since) * self.x
        self.since = now
        self.x = x
        if self.ends:
            self.due = now + int((self.ends[0][0] - self.virtual) / x + 0.5)


class Component:
    """Bundles connected by capacities that are asked for more than they have, and one timer for their next end.

    One timer instead of one per member: a change of rates moves all ends of a component, but only the next matters.
    A contended component keeps bundles that have become empty and capacities that are no longer full for some time
    (solving for them as well changes nothing): a route that is used again at once costs no search.
    """

    __slots__ = ("bundles", "contended", "dirty", "domain", "full", "loose", "solved", "solves", "system", "timer")

    def __init__(self, domain: Domain, bundles: list[Bundle]) -> None:
        self.domain = domain
        self.bundles = bundles
        self.full: list[Capacity] = []  # capacities of the system
        self.contended = False  # some capacity of theirs is asked for more than it has
        self.system: System | None = None  # what to solve, as long as only numbers of members change
        self.solved: list[int] = []  # the numbers of members that it was last solved for
        self.solves = 0
        self.loose = False  # something has become empty or is no longer full: it may have come apart
        self.dirty = False  # to be solved again at the end of this instant
        self.timer = Timer(domain.clock, self.finish_due)

    def outdated(self) -> bool:
        """True if what is connected has to be found anew: it may have come apart, and is small or has been so long."""
        if not self.loose:
            return False
        if len(self.bundles) > SMALL and self.solves < PATIENCE * len(self.bundles):
            return all(capacity.asked <= capacity.full_at for capacity in self.full)
        self.solves = 0
        full = [capacity for capacity in self.full if capacity.asked > capacity.full_at]
        alive = [bundle for bundle in self.bundles if bundle.count]
        if len(full) == len(self.full) and len(alive) == len(self.bundles):
            self.loose = False
            return False
        if not full or 2 * len(alive) < len(self.bundles) or len(self.bundles) <= SMALL:
            return True
        return not _connected(alive, full)

    def retime(self) -> None:
        """Set the timer to the next end of any member."""
        due = min([bundle.due for bundle in self.bundles])
        if due < NEVER:
            self.timer.set(max(due, self.domain.clock.now))
        else:
            self.timer.cancel()

    def finish_due(self) -> None:
        """Let every member that ends at this instant leave, and then go on with what comes after it."""
        domain = self.domain
        bundle = self.bundles[0]
        if bundle.count == 1 and not self.contended:  # nobody else is concerned
            user = bundle.ends.pop()[2]
            bundle.due = NEVER
            domain.leave(bundle)
            user.phase_ended()
            return
        now = domain.clock.now
        finished: list[User] = []
        for bundle in self.bundles:
            if bundle.due <= now:
                bundle.pop_due(now, finished)
        for user in finished:
            domain.leave(user.bundle)
        if not self.contended:
            self.retime()
        for user in finished:
            user.phase_ended()


def _connected(bundles: Sequence[Bundle], capacities: Sequence[Capacity]) -> bool:
    """True if each of the bundles is reached from the first over the capacities."""
    over = set(capacities)  # looked up only, never walked
    found = {bundles[0]}
    pending = [bundles[0]]
    for bundle in pending:
        for capacity, _ in bundle.asks:
            if capacity in over:
                over.discard(capacity)
                new = [other for other in capacity.bundles if other not in found]
                found.update(new)
                pending += new
    return len(found) >= len(bundles)
