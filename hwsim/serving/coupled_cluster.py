"""Replicas behind a router whose steps use links that they share: each runs at the pace that the others leave it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from heapq import heappop, heappush

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.clock import Clock
from hwsim.serving.cluster import Cluster
from hwsim.serving.coupled import Coupled
from hwsim.serving.engine import FAR
from hwsim.serving.routing import Router
from hwsim.serving.source import Source


class CoupledCluster(Cluster):
    """A cluster in step with the clock, since what one engine asks of a link changes the pace of others.

    Each engine is looked at wherever a call of it may decide something, or its pace has changed.
    """

    def __init__(self, engines: Sequence[Coupled], source: Source, router: Router, clock: Clock) -> None:
        own = [engine.engine for engine in engines]
        super().__init__(own, source, router, clock)
        self.coupled = list(engines)
        self.engines = self.coupled  # type: ignore[assignment]
        self.before = 0
        for number, engine in enumerate(engines):
            engine.engine.waits = True
            engine.on_change = partial(self._paced, number)

    def _wake(self) -> None:
        self._run_until(self.clock.now << SUBTICK_BITS, self.source)
        self._arm()

    def _settle(self, time: int) -> None:
        """Hear the answers of every engine that may give one at ``time``, before any of their calls decides."""
        numbers = []
        while self._next_moment() == time:
            _, number = heappop(self.heap)
            self.due[number] = FAR
            numbers.append(number)
        for number in numbers:
            engine = self.coupled[number]
            engine.engine.settle(engine.timeline.alone(time))
            self._foresee(number, time)
            self._hear(number, time, inclusive=True)

    def _paced(self, number: int) -> None:
        """The pace of an engine has changed: its next moments are others."""
        now = self.clock.now << SUBTICK_BITS
        self._foresee(number, now)
        moment = max(self.calls[number], now)
        notices = self.coupled[number].notices
        if notices and notices[0][0] < moment:
            moment = notices[0][0]
        self.due[number] = moment
        if moment < FAR:
            heappush(self.heap, (moment, number))
        self._arm()
