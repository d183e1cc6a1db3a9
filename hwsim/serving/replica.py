"""An engine on the clock: fed by a source, slowed by whoever shares its capacities."""

from __future__ import annotations

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.request import Request
from hwsim.serving.source import OpenLoop, Source
from hwsim.serving.timeline import Timeline


class Replica:
    """Couples one engine to simulated time.

    With an open-loop source and nobody else on its capacities the engine runs ahead of the clock, as far as its
    arrivals are known: one event per few thousand requests.  A closed loop stops it at each answer.  Where other
    activities may share its capacities (``domain`` given) it wakes at the boundary of each stretch, asks for what the
    stretch takes, and its alone time passes at the rate the domain grants.  Simplification: a step's demands are
    asked for from its call on, spread evenly over the step.
    """

    def __init__(
        self,
        engine: Engine,
        source: Source,
        clock: Clock,
        *,
        domain: Domain | None = None,
        capacities: dict[str, Capacity] | None = None,
    ) -> None:
        self.engine = engine
        self.source = source
        self.clock = clock
        self.timeline = Timeline()
        self.capacities = capacities or {}
        engine.listened = not isinstance(source, OpenLoop)
        self.flow = None
        if domain is not None:
            engine.knots = True
            self.flow = domain.flow(f"engine{engine.replica}", self._on_rate, capacities=self.capacities.values())
        self.timer = clock.timer(self._wake, late=True)

    def start(self) -> None:
        """Begin at the first arrival."""
        first = self.source.next_arrival()
        if first is not None:
            self.timer.set(max(first, self.clock.now))

    def finish(self) -> None:
        """Nothing is left to do once the clock has no events."""

    def stuck(self) -> list[tuple[Request, int]]:
        """Nobody outside holds a request."""
        return []

    @property
    def runs_ahead(self) -> bool:
        """True when nothing outside can reach the engine before its next known arrival."""
        return self.flow is None and isinstance(self.source, OpenLoop)

    def _wake(self) -> None:
        if self.runs_ahead:
            self._run_ahead()
            return
        engine = self.engine
        now = self.clock.now
        alone = self.timeline.alone(now << SUBTICK_BITS)
        while True:
            self._announce(alone)
            for request in self.source.take(now):
                engine.submit(request, self.timeline.alone(request.visible << SUBTICK_BITS))
            engine.advance(alone, inclusive=True)
            if not self._answers_due(alone):
                break
        if self.flow is not None:
            busy = engine.rows.count or engine.partials or engine.pipeline.end > alone
            asks = engine.demands() if busy else {}
            self.flow.ask({self.capacities[name]: rate for name, rate in asks.items() if name in self.capacities})
        self._arm()

    def _run_ahead(self) -> None:
        source, engine = self.source, self.engine
        assert isinstance(source, OpenLoop)
        for request in source.ahead():
            engine.submit(request, request.visible << SUBTICK_BITS)
        upcoming = source.next_arrival()
        engine.advance(FAR if upcoming is None else upcoming << SUBTICK_BITS)
        if upcoming is not None:
            self.timer.set(max(upcoming, self.clock.now))

    def _answers_due(self, alone: int) -> bool:
        notices = self.engine.notices
        return bool(notices) and notices[0][0] <= alone

    def _announce(self, alone: int) -> None:
        notices = self.engine.notices
        while notices and notices[0][0] <= alone:
            time, request = notices.popleft()
            self.source.answered(request, self.timeline.wall(time))

    def _arm(self) -> None:
        """Set the timer to the next moment at which anything can change: a call, an answer, an arrival, the end."""
        engine, timeline = self.engine, self.timeline
        moments = []
        boundary = engine.boundary()
        if boundary is not None:
            moments.append(timeline.wall(boundary))
        if engine.notices:
            moments.append(timeline.wall(engine.notices[0][0]))
        draining = self.flow is not None and not engine.rows.count and not engine.partials
        if draining and timeline.alone(self.clock.now << SUBTICK_BITS) < engine.pipeline.end:
            moments.append(timeline.wall(engine.pipeline.end))  # the device falls idle: stop asking
        arrival = self.source.next_arrival()
        if arrival is not None:
            moments.append(arrival << SUBTICK_BITS)
        if moments:
            self.timer.set(max(-(-min(moments) >> SUBTICK_BITS), self.clock.now))
        else:
            self.timer.cancel()

    def _on_rate(self, rate: float, now: int) -> None:
        self.timeline.turn(now << SUBTICK_BITS, rate)
        self._arm()
