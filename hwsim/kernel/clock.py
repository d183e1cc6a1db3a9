"""Simulated time: integer picoseconds on a SimPy environment, driven by callbacks instead of processes."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heapify, heappop, heappush
from typing import Any

import simpy

NORMAL = 1  # SimPy's own order within an instant: 0 urgent, 1 normal
LATE = 2  # after every other event of the instant
COMPACT_FROM = 4096  # entries that timers may leave behind before anybody looks


class Timer:
    """One callback that can be set, moved and cleared; it fires at most once per setting.

    A timer is an event of SimPy's queue without its waiting list.  Moving it leaves a stale entry behind, which the
    clock skips without letting time pass; nothing is allocated, so a timer that is moved often is kept and reused.
    """

    __slots__ = ("callback", "clock", "priority", "time")

    _ok = True  # what SimPy's own step() asks of an event

    def __init__(self, clock: Clock, callback: Callable[[], object], late: bool = False) -> None:
        self.clock = clock
        self.callback = callback
        self.priority = LATE if late else NORMAL
        self.time = -1

    @property
    def pending(self) -> bool:
        """True while the timer is set and has not fired."""
        return self.time >= 0

    def set(self, time: int) -> None:
        """Fire at ``time`` (ticks, not in the past) instead of whenever it was set to before."""
        clock = self.clock
        if time < clock.now:
            raise ValueError(f"a timer was set to tick {time}, which is before now ({clock.now})")
        if self.time >= 0:
            if time == self.time:
                return
            clock.count_stale()
        self.time = time
        heappush(clock.queue, (time, self.priority, next(clock.sequence), self))

    def cancel(self) -> None:
        """Do not fire.  Nothing happens if the timer is not set."""
        if self.time >= 0:
            self.time = -1
            self.clock.count_stale()

    # SimPy's Environment.step() takes `callbacks` from an event and writes None to it: these two let a plain SimPy
    # loop run a clock's timers as well.
    @property
    def callbacks(self) -> tuple[Callable[[Any], None], ...]:
        return (Timer._fire,)

    @callbacks.setter
    def callbacks(self, _: None) -> None:
        pass

    def _fire(self) -> None:
        clock = self.clock
        if self.time == clock.env.now:
            self.time = -1
            clock.now = int(clock.env.now)
            clock.events += 1
            self.callback()


class Wake:
    """Something that stands in a clock's queue itself, once, and is woken when its time comes: no timer in between.

    Push ``(time, NORMAL, next(clock.sequence), self)`` to ``clock.queue``.  It cannot be moved; one that need not wake
    any more says so in ``wake``.
    """

    __slots__ = ()

    _ok = True

    def wake(self) -> None:
        """The time has come; ``clock.now`` is it."""
        raise NotImplementedError

    @property
    def callbacks(self) -> tuple[Callable[[Any], None], ...]:  # for SimPy's own step(), as with a timer
        return (Wake.wake,)

    @callbacks.setter
    def callbacks(self, _: None) -> None:
        pass


class Clock:
    """Integer simulated time (1 tick = 1 ps); events of one instant run in the order they were scheduled.

    ``late`` callbacks run after every other event of their instant, those scheduled meanwhile included: this is
    where the changes of one instant are solved once.  ``env`` is the SimPy environment underneath; SimPy processes
    and events created on it run in the same order of time.  ``now`` is the present tick, ``events`` counts what was
    executed (cleared and moved timers do not count).
    """

    __slots__ = ("env", "events", "horizon", "now", "queue", "sequence", "stale")

    def __init__(self) -> None:
        self.env = simpy.Environment(initial_time=0)
        self.now: int = 0
        self.events = 0
        self.horizon = 1 << 200  # no event after it is executed
        # SimPy's heap of (time, priority, sequence, event): pushing to it here saves two calls per event
        self.queue: list[Any] = self.env._queue
        self.sequence = self.env._eid
        self.stale = 0  # timers moved or cancelled since the queue was last cleaned

    def timer(self, callback: Callable[[], object], *, late: bool = False) -> Timer:
        """A timer that is not set yet."""
        return Timer(self, callback, late)

    def at(self, time: int, callback: Callable[[], object], late: bool = False) -> Timer:
        """Call ``callback()`` at tick ``time`` (``ValueError`` if it is in the past); ``cancel()`` on the result."""
        timer = Timer(self, callback, late)
        timer.set(time)
        return timer

    def run(self, until: int | None = None) -> None:
        """Execute events in order of time until none is left, or every one at or before tick ``until``.

        With ``until`` the clock then stands at ``until``, even if the last event was earlier.
        """
        queue, env = self.queue, self.env
        horizon = self.horizon = (1 << 200) if until is None else until
        while queue:
            entry = heappop(queue)
            time, _, _, event = entry
            if time > horizon:
                heappush(queue, entry)
                break
            if event.__class__ is Timer:
                if event.time != time:
                    continue
                event.time = -1
                self.now = env._now = time
                self.events += 1
                event.callback()
            elif isinstance(event, Wake):
                self.now = env._now = time
                self.events += 1
                event.wake()
            else:
                heappush(queue, entry)
                self.now = time
                self.events += 1
                env.step()
        if until is not None and until > self.now:
            self.now = env._now = until

    def skip(self, time: int) -> bool:
        """Let time pass to tick ``time`` from within a late callback, as its timer would, if nothing is due by then.

        A callback whose next moments are mostly its own saves the queue with this.  False: set a timer.
        """
        queue = self.queue
        if (queue and queue[0][0] <= time) or time > self.horizon:
            return False
        self.now = self.env._now = time
        self.events += 1
        return True

    def pending(self) -> bool:
        """Whether any event is left to happen."""
        return any(entry[3].__class__ is not Timer or entry[3].time == entry[0] for entry in self.queue)

    def count_stale(self) -> None:
        """A timer left an entry behind: once they could be half of a long queue, drop them all (order stays)."""
        self.stale += 1
        if self.stale > COMPACT_FROM and 2 * self.stale > len(self.queue):
            queue = self.queue
            queue[:] = [e for e in queue if e[3].__class__ is not Timer or e[3].time == e[0]]
            heapify(queue)
            self.stale = 0
