"""One direction of copying: one copy at a time over its way, in the order in which copies were asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hwsim.kernel.bundle import Bundle
from hwsim.kernel.domain import Domain
from hwsim.serving.handover import Ways
from hwsim.units import TICKS_PER_SECOND


class Lane:
    """A copy stream; with ``merges`` what has gathered while it was busy goes as one copy.

    A lane is itself the user of its capacities: the latency of its way, which nothing stretches, then the bytes at the
    pace that sharing leaves them.  Simplification: a copy costs the latency once, however many pages it has.
    """

    __slots__ = (
        "_calls",
        "_pages",
        "_queue",
        "_timer",
        "backlog",
        "bundle",
        "busy",
        "domain",
        "ends",
        "latency",
        "merges",
        "moved",
        "page_bytes",
        "phase",
        "way",
    )

    bundle: Bundle
    weight = 1.0

    def __init__(
        self, domain: Domain, way: Ways, ends: tuple[str, str], page_bytes: float = 1.0, *, merges: bool = False
    ) -> None:
        """``ends`` are the names of the two places."""
        self.domain = domain
        self.way = way
        self.latency = round(way.latency * TICKS_PER_SECOND)
        self.ends = ends
        self.page_bytes = page_bytes
        self.merges = merges
        self.busy = False
        self.backlog = 0.0  # pages asked for and not yet there
        self.moved = 0.0  # pages copied
        self.phase = way.phase(0.0)
        self._timer = domain.clock.timer(self._flow)
        self._pages = 0.0
        self._queue: deque[tuple[float, Callable[[], object] | None]] = deque()
        self._calls: list[Callable[[], object] | None] = []

    def seconds(self, pages: float) -> float:
        """When ``pages`` more would be there, if nobody else were on the way."""
        return self.way.latency + (self.backlog + pages) * self.way.seconds

    def send(self, pages: float, done: Callable[[], object] | None = None) -> None:
        """Copy ``pages``, then call ``done()``."""
        self.backlog += pages
        self._queue.append((pages, done))
        if not self.busy:
            self._start()

    def _start(self) -> None:
        queue = self._queue
        pages, done = queue.popleft()
        self._calls = calls = [done]
        if self.merges:
            while queue:
                more, done = queue.popleft()
                pages += more
                calls.append(done)
        self.busy = True
        self._pages = pages
        self._timer.set(self.domain.clock.now + self.latency)

    def _flow(self) -> None:
        """The latency is over: the bytes flow."""
        if not self._pages:
            self._done()
            return
        phase, way = self.way.phase(self._pages), self.way
        phase.bundle = self.phase.bundle  # what it asks for is always the same
        self.phase = phase
        if way.asks:
            self.domain.start(self, phase)
        else:
            self.domain.clock.at(self.domain.clock.now + phase.ticks, self._done)

    def phase_ended(self) -> None:
        """All bytes of the present copy have come."""
        for capacity, amount in self.phase.amounts:
            capacity.delivered += amount
        self._done()

    def _done(self) -> None:
        pages, calls = self._pages, self._calls
        self.backlog -= pages
        self.moved += pages
        self.busy = False
        if self._queue:
            self._start()
        for call in calls:
            if call is not None:
                call()
