"""The one primitive: an activity that holds slots, waits a fixed time and takes amounts of shared capacities."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING

from hwsim.kernel.bundle import Asks, Bundle
from hwsim.kernel.clock import Timer
from hwsim.units import TICKS_PER_SECOND

if TYPE_CHECKING:
    from hwsim.kernel.capacity import Capacity
    from hwsim.kernel.domain import Domain
    from hwsim.kernel.slot import Slot


class Phase:
    """Amounts of capacities taken evenly over the phase, and the shortest time they take.

    ``alone`` (ticks) is never less than the longest of ``amount / rate``: that is the phase's roofline.  Efficiency
    makes ``alone`` longer; the phase then asks for less than the capacities have and leaves the rest to others.
    A phase is a description and may be used by any number of activities.
    """

    __slots__ = ("alone", "amounts", "asks", "bundle", "ticks")

    def __init__(self, alone: float = 0, demands: Mapping[Capacity, float] | None = None) -> None:
        """``alone`` in ticks, ``demands`` as amounts in the capacities' units; zeros are dropped, negative refused."""
        if not 0 <= alone < inf:
            raise ValueError(f"the time of a phase must be finite and not negative, got {alone}")
        amounts = tuple([(capacity, amount) for capacity, amount in (demands or {}).items() if amount])
        for capacity, amount in amounts:
            if not 0 < amount < inf:
                raise ValueError(f"an amount of {capacity.name} must be finite and not negative, got {amount}")
            alone = max(alone, amount / capacity.rate * TICKS_PER_SECOND)
        self.alone = alone
        self.ticks = int(alone + 0.5)
        self.amounts = amounts
        self.asks: Asks = tuple([(c, min(c.rate, amount / alone * TICKS_PER_SECOND)) for c, amount in amounts])
        self.bundle: Bundle | None = None

    @classmethod
    def transfer(cls, amount: float, route: Iterable[Capacity], rate: float = inf) -> Phase:
        """The same ``amount`` over every capacity of ``route``, at ``rate`` units per second at most.

        Asks come out as exactly the rate, so transfers of any size over one route count as equal users.
        """
        capacities = tuple(dict.fromkeys(route))
        rate = min([rate, *(capacity.rate for capacity in capacities)])
        if not (0 < rate < inf and 0 <= amount < inf):
            raise ValueError(f"a transfer needs a finite amount and a positive rate, got {amount} at {rate}/s")
        phase = cls(amount / rate * TICKS_PER_SECOND)
        if amount:
            phase.amounts = tuple([(capacity, amount) for capacity in capacities])
            phase.asks = tuple([(capacity, rate) for capacity in capacities])
        return phase


class Activity:
    """Anything that takes time on hardware: a kernel, a copy, a collective, an SSD read.

    In order: wait for a place in every slot (FIFO or by ``priority``), a ``fixed`` time in ticks that nothing
    stretches (latency, launch), the ``phases`` one after the other at the pace that sharing leaves them, then give
    the slots back and call ``on_done(activity)``.  ``submitted``, ``started`` and ``finished`` are ticks (-1: not
    yet).  ``on_done`` always runs in an event of its own instant, after whoever waited for the slots was started.
    """

    __slots__ = (
        "bundle",
        "domain",
        "finished",
        "fixed",
        "name",
        "on_done",
        "owner",
        "phase",
        "phases",
        "priority",
        "slots",
        "stage",
        "started",
        "submitted",
        "weight",
    )

    bundle: Bundle
    phase: Phase

    def __init__(
        self,
        domain: Domain,
        name: str = "",
        *,
        slots: Sequence[Slot] = (),
        fixed: int = 0,
        phases: Sequence[Phase] = (),
        weight: float = 1.0,
        priority: int = 0,
        owner: str = "",
        on_done: Callable[[Activity], object] | None = None,
    ) -> None:
        if fixed < 0 or not weight > 0:
            raise ValueError(f"activity {name}: fixed time {fixed} and weight {weight} must not be negative")
        self.domain = domain
        self.name = name
        self.slots = slots
        self.fixed = fixed
        self.phases = phases
        self.weight = weight
        self.priority = priority
        self.owner = owner
        self.on_done = on_done
        self.stage = 0
        self.submitted = self.started = self.finished = -1

    def submit(self) -> None:
        """Take part from now on: start at once if every slot is free and nobody waits for it, or queue."""
        if self.submitted >= 0:
            raise ValueError(f"activity {self.name} was submitted twice")
        self.submitted = self.domain.clock.now
        slots = self.slots
        for slot in slots:
            if not slot.free or slot.waiting:
                if len({slot.priority for slot in slots}) > 1:
                    raise ValueError(f"activity {self.name}: FIFO and priority slots together can deadlock")
                for slot in slots:
                    slot.push(self)
                # ahead of all by its priority, it may use a place that the former head could not
                start_waiting(slots)
                return
        for slot in slots:
            slot.free -= 1
        self._start()

    def can_start(self) -> bool:
        """True if this activity heads the queue of each of its slots and each has a free place."""
        return all(slot.free and slot.head() is self for slot in self.slots)

    def start_from_queues(self) -> None:
        """Leave the queues and take the places."""
        for slot in self.slots:
            slot.pop()
            slot.free -= 1
        self._start()

    def _start(self) -> None:
        clock = self.domain.clock
        self.started = clock.now
        if self.fixed or not self.phases:  # an end is an event of its own even if it takes no time
            Timer(clock, self._next).set(clock.now + self.fixed)
        else:
            self._next()

    def _next(self) -> None:
        """Begin the next phase, or end."""
        stage = self.stage
        if stage < len(self.phases):
            self.stage = stage + 1
            self.phase = phase = self.phases[stage]
            if phase.asks:
                self.domain.start(self, phase)
            else:
                clock = self.domain.clock
                Timer(clock, self._next).set(clock.now + phase.ticks)
            return
        self.finished = self.domain.clock.now
        waiting = False
        for slot in self.slots:
            slot.free += 1
            if slot.waiting:
                waiting = True
        if waiting:
            start_waiting(self.slots)
        if self.on_done is not None:
            self.on_done(self)

    def phase_ended(self) -> None:
        """The domain says that the amounts of the present phase have been delivered."""
        for capacity, amount in self.phase.amounts:
            capacity.delivered += amount
        self._next()


def start_waiting(slots: Sequence[Slot]) -> None:
    """Start whoever can at these slots, and at the other slots of those who start, until nobody can."""
    pending = list(slots)
    for slot in pending:
        while slot.free:
            head = slot.head()
            if head is None or not head.can_start():
                break
            head.start_from_queues()
            # whoever comes next at its other slots may have waited only for this one to go
            pending += [other for other in head.slots if other is not slot and other.free]
