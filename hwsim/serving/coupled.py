"""An engine in wall time while others share its capacities: what it does, it does at the pace that sharing leaves it.

It looks like an engine whose times are wall times; underneath the engine counts alone time, and a ``Timeline`` maps one
to the other.  Its demands are those of the step or stretch under way, renewed at knots of the context (5 % apart), and
asked for only while somebody else uses one of its capacities.  Simplification: a step's demands are spread evenly over
the step.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.capacity import Capacity
from hwsim.kernel.clock import Clock
from hwsim.kernel.domain import Domain
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.request import Request
from hwsim.serving.timeline import Timeline

TICK = 1 << SUBTICK_BITS


class Notices:
    """The engine's notices with wall times: as they are known at the present pace."""

    __slots__ = ("_engine", "_timeline")

    def __init__(self, engine: Engine, timeline: Timeline) -> None:
        self._engine = engine
        self._timeline = timeline

    def __bool__(self) -> bool:
        return bool(self._engine.notices)

    def __getitem__(self, place: int) -> tuple[int, Request]:
        time, request = self._engine.notices[place]
        return self._timeline.wall(time), request

    def popleft(self) -> tuple[int, Request]:
        """Take the first one."""
        time, request = self._engine.notices.popleft()
        return self._timeline.wall(time), request

    def clear(self) -> None:
        """Nobody listens any more."""
        self._engine.notices.clear()


class Coupled:
    """An engine with a flow on its capacities; ``shares`` are (capacity, demand, share of that demand) of its ranks.

    ``on_change()`` is called when its pace has changed: whoever planned by its times plans anew.
    """

    def __init__(
        self,
        engine: Engine,
        domain: Domain,
        clock: Clock,
        shares: Mapping[Capacity, tuple[str, float]],
        on_change: Callable[[], object] = lambda: None,
    ) -> None:
        self.engine = engine
        self.clock = clock
        self.shares = dict(shares)
        self.on_change = on_change
        self.timeline = Timeline()
        self.notices = Notices(engine, self.timeline)
        self.drains = 0  # alone time until which the device is known to be busy
        engine.knots = True
        self.flow = domain.flow(
            f"engine{engine.replica}", self._on_rate, capacities=self.shares, on_company=self._on_company
        )

    def __getattr__(self, name: str) -> Any:
        return getattr(self.engine, name)

    # -- the engine's own words, in wall time ----------------------------------------------------------------------

    def submit(self, request: Request, time: int) -> None:
        """Deliver a request at wall time ``time``."""
        self.engine.submit(request, self.timeline.alone(time))

    def kv_arrived(self, request: Request, time: int) -> None:
        """KV is here at wall time ``time``."""
        self.engine.kv_arrived(request, self.timeline.alone(time))

    def release_kv(self, request: Request, time: int) -> None:
        """KV has been read at wall time ``time``."""
        self.engine.release_kv(request, self.timeline.alone(time))

    def advance(self, until: int, *, inclusive: bool = False) -> None:
        """Execute every call before wall time ``until``, and ask for what is under way then."""
        alone = FAR if until >= FAR else self.timeline.alone(until)
        self.engine.advance(alone, inclusive=inclusive)
        if not self.flow.sole:
            self._ask()
        elif self.flow.bundle.asks:
            self.flow.ask({})  # on_company says when somebody comes

    def boundary(self) -> int | None:
        """The next call that can decide anything new; while others share, also the moment at which the device idles."""
        engine = self.engine
        call = engine.boundary()
        if self.flow.bundle.asks and not engine.rows.count and not engine.partials:
            call = engine.pipeline.end if call is None else min(call, engine.pipeline.end)
        return None if call is None else self.timeline.wall(call)

    # -- sharing ---------------------------------------------------------------------------------------------------

    def _ask(self) -> None:
        engine = self.engine
        now = self.timeline.alone(self.clock.now << SUBTICK_BITS)
        busy = engine.rows.count or engine.partials or engine.pipeline.end > now + TICK
        wants = engine.demands() if busy else {}
        asks: dict[Capacity, float] = {}
        for capacity, (name, share) in self.shares.items():
            if wants.get(name):
                asks[capacity] = wants[name] * share
        self.flow.ask(asks)

    def _on_company(self, now: int) -> None:
        """Somebody else has begun to use one of the capacities: say what is being done."""
        self.engine.advance(self.timeline.alone(now << SUBTICK_BITS))
        self._ask()
        self.on_change()

    def _on_rate(self, rate: float, now: int) -> None:
        self.timeline.turn(now << SUBTICK_BITS, rate)
        self.on_change()

    def known_alone(self, wall: int) -> int:
        """The alone time at any wall time that has passed."""
        return self.timeline.alone_at(wall)
