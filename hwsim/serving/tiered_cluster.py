"""Replicas with KV memory below their GPUs: engines in step with the clock, since copies pass between their calls."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.clock import Clock
from hwsim.serving.cluster import Cluster
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.kv.lull import lull
from hwsim.serving.kv.tier_traffic import Traffic
from hwsim.serving.remote import LOADING
from hwsim.serving.request import Request
from hwsim.serving.routing import HearsKv, Router
from hwsim.serving.source import OpenLoop, Source


class TieredCluster(Cluster):
    """A cluster that looks at each engine whenever a call of it may decide something, and carries its KV.

    Simplification: chunks that the GPU gives up in a stretch of decode steps begin to move at the stretch's end.
    """

    def __init__(
        self, engines: Sequence[Engine], source: Source, router: Router, clock: Clock, traffic: Traffic
    ) -> None:
        super().__init__(engines, source, router, clock)
        self.traffic = traffic
        self.before = 0
        self.open = isinstance(source, OpenLoop)
        traffic.arrived = self._brought
        self.prefilling: dict[Request, None] = {}
        self.listener: HearsKv | None = router if hasattr(router, "lost") else None  # type: ignore[assignment]
        if self.listener is not None:
            traffic.computed, traffic.lost = self._computed, self._lost

    def finish(self) -> None:
        """Nothing is left to happen outside."""
        for engine in self.engines:
            engine.advance(FAR)

    def _wake(self) -> None:
        if self.open:
            self._run_open()
        else:
            self._run_until(self.clock.now << SUBTICK_BITS, self.source)
            self._arm()

    def _run_open(self) -> None:
        """``_run_until`` where nobody acts on an answer: arrivals and looks in order of time, until a copy may end."""
        clock, heap, due, source, sees = self.clock, self.heap, self.due, self.source, self.router.sees
        watches = sees == "engines" or (self.age and sees != "nothing")
        end, upcoming = clock.now << SUBTICK_BITS, source.next_time()
        while True:
            while heap and due[heap[0][1]] != heap[0][0]:
                heappop(heap)
            moment = heap[0][0] if heap else FAR
            arrival = FAR if upcoming is None else upcoming
            time = min(arrival, moment)
            if time > end:
                if time >= FAR:
                    self.timer.cancel()
                    return
                tick = -(-time >> SUBTICK_BITS)
                if not clock.skip(tick):
                    self.timer.set(max(tick, clock.now))
                    return
                end = tick << SUBTICK_BITS
            if arrival == time:
                if sees != "nothing":
                    self._look(time)
                self._deliver(source.pop(), time)
                upcoming = source.next_time()
            else:
                if watches:
                    self._look(time)
                _, number = heappop(heap)
                self._advance(number, time, inclusive=True)

    def _advance(self, number: int, time: int, inclusive: bool = False) -> None:
        self.engines[number].advance(time, inclusive=inclusive)
        self._foresee(number, time)
        self._hear(number, time, inclusive, int(inclusive))
        self.traffic.collect(number, time)

    def _foresee(self, number: int, time: int) -> None:
        """When to look at an engine next: where macro-steps end, also where steps are taken one by one.

        What has gathered goes down at that look.
        """
        engine, call = self.engines[number], None
        if self.open and not self.traffic.owes(number):
            call = lull(engine)
        if call is None:
            single, engine.single_step = engine.single_step, False
            call = engine.boundary()
            engine.single_step = single
        self.calls[number] = FAR if call is None else call

    def _hear(self, number: int, time: int, inclusive: bool = False, late: int = 0) -> None:
        """Start the loads that begin, count the answers, and note when to look at this engine again."""
        notices = self.engines[number].notices
        while notices and notices[0][0] <= time:
            moment, request = notices.popleft()
            if request.status == LOADING:
                self.traffic.load(number, request)
                continue
            self.loads.ended(number, request)
            if request in self.prefilling:  # refused, or a prompt without names
                del self.prefilling[request]
                self.loads.prefilling[number] -= request.prompt_tokens
            self.source.answered(request, max(moment, time + late) if inclusive else moment)
        moment = self.calls[number]
        if notices and notices[0][0] < moment:
            moment = notices[0][0]
        self._plan(number, moment)

    def _computed(self, number: int, request: Request) -> None:
        """The router hears that a prompt is on a GPU."""
        assert self.listener is not None
        if request in self.prefilling:
            del self.prefilling[request]
            self.loads.prefilling[number] -= request.prompt_tokens
        self.listener.stored(request.prefix_ids or (), number)

    def _lost(self, number: int, key: int) -> None:
        assert self.listener is not None
        self.listener.lost(key, number)

    def _deliver(self, request: Request, time: int) -> None:
        if self.listener is not None:
            self.view.below = self.traffic.below(request)
        number = self.router.route(self.seen.turn(request), self.view)
        self.engines[number].submit(request, time)
        self.loads.sent(number, request)
        if self.listener is not None:
            self.prefilling[request] = None
            self.loads.prefilling[number] += request.prompt_tokens
        self.traffic.expect(number, request)
        following = self.source.next_time() if self.open else time
        if following is None or following > time:
            self._advance(number, time, inclusive=True)
        else:  # others arrive at this very moment, and a router may look
            self.calls[number] = min(self.calls[number], time)
            self._plan(number, min(self.due[number], time))

    def _brought(self, number: int, time: int) -> None:
        """KV has come to an engine: its next call may be now."""
        self.calls[number] = min(self.calls[number], time)
        self._plan(number, min(self.due[number], time))
        self._arm()

    def _plan(self, number: int, moment: int) -> None:
        self.due[number] = moment
        if moment < FAR:
            heappush(self.heap, (moment, number))
