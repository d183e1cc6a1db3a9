"""One direction of copying: one copy at a time over its way, in the order in which copies were asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hwsim.kernel.activity import Activity
from hwsim.kernel.domain import Domain
from hwsim.serving.handover import Ways
from hwsim.units import TICKS_PER_SECOND


class Lane:
    """A copy stream; with ``merges`` what has gathered while it was busy goes as one copy.

    Simplification: a copy costs the latency of its way once, however many pages it has.
    """

    __slots__ = ("_queue", "backlog", "busy", "domain", "ends", "merges", "moved", "page_bytes", "way")

    def __init__(
        self, domain: Domain, way: Ways, ends: tuple[str, str], page_bytes: float = 1.0, *, merges: bool = False
    ) -> None:
        """``ends`` are the names of the two places."""
        self.domain = domain
        self.way = way
        self.ends = ends
        self.page_bytes = page_bytes
        self.merges = merges
        self.busy = False
        self.backlog = 0.0  # pages asked for and not yet there
        self.moved = 0.0  # pages copied
        self._queue: deque[tuple[float, Callable[[], object] | None]] = deque()

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
        calls = [done]
        if self.merges:
            while queue:
                more, done = queue.popleft()
                pages += more
                calls.append(done)
        self.busy = True
        Activity(
            self.domain,
            "-".join(self.ends),
            fixed=round(self.way.latency * TICKS_PER_SECOND),
            phases=(self.way.phase(pages),) if pages else (),
            owner="kv_tier",
            on_done=lambda _: self._done(pages, calls),
        ).submit()

    def _done(self, pages: float, calls: list[Callable[[], object] | None]) -> None:
        self.backlog -= pages
        self.moved += pages
        self.busy = False
        if self._queue:
            self._start()
        for call in calls:
            if call is not None:
                call()
