"""Replicas behind a router: engines run ahead of the clock and are brought up to date only where somebody looks."""

from __future__ import annotations

from collections.abc import Sequence
from heapq import heappop, heappush

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.clock import Clock
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.quiet import call_after, quiet_until
from hwsim.serving.request import Request
from hwsim.serving.routing import Loads, Router, Seen
from hwsim.serving.source import OpenLoop, Source


class Cluster:
    """Engines whose requests a router deals out by their state, or by answers that clients wait for.

    A heap orders the engines by the next moment at which their load can change: a router that looks at time ``t``
    makes only those whose moment has passed execute their calls before ``t`` (with an aged view: before its last
    refresh).  So what a router sees is exactly what every call and every finish before that time has left, at a cost
    that does not grow with the number of replicas.  In an open loop nothing outside can reach the engines, so all of
    this happens ahead of the clock.  Simplification: the router itself takes no time.
    """

    lazy = True  # nobody looks at an engine but to count what it has answered

    def __init__(self, engines: Sequence[Engine], source: Source, router: Router, clock: Clock) -> None:
        self.engines = list(engines)
        self.source = source
        self.router = router
        self.clock = clock
        self.loads = Loads(len(engines))
        self.view = self.loads
        self.refreshed = -1
        self.seen = Seen()
        self.due = [FAR] * len(engines)  # when to look at each engine next (subticks): a call or an answer
        self.calls = [FAR] * len(engines)  # and its next call that can decide anything new
        self.heap: list[tuple[int, int]] = []
        self.age = router.age << SUBTICK_BITS
        self.before = int(isinstance(source, OpenLoop))  # catching up stops before t, but a finish at t counts at t
        for engine in engines:
            engine.listened = True
            engine.waits = not self.before
            engine.lazy = self.lazy and bool(self.before) and router.sees == "counts"
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

    def _wake(self) -> None:
        if isinstance(self.source, OpenLoop):
            self._run_ahead(self.source)
        else:
            self._run_until(self.clock.now << SUBTICK_BITS, self.source)
            self._arm()

    def _run_ahead(self, source: OpenLoop) -> None:
        """Everything that an open loop brings, in order of arrival."""
        looks = self.router.sees != "nothing"
        while requests := source.ahead():
            for request in requests:
                time = request.visible << SUBTICK_BITS
                if looks:
                    self._look(time)
                self._deliver(request, time)
        for engine in self.engines:
            engine.listened = False
            engine.notices.clear()
            engine.advance(FAR)

    def _run_until(self, end: int, source: Source) -> None:
        """Answers, the arrivals that follow from them, and calls, in order of time and at one time in this order."""
        looks = self.router.sees != "nothing"
        settled = -1
        while True:
            moment, arrival = self._next_moment(), source.next_time()
            time = min(moment, FAR if arrival is None else arrival)
            if time > end:
                return
            if looks:
                self._look(time)
            if arrival == time:
                self._deliver(source.pop(), time)
            elif settled < time:
                self._settle(time)
                settled = time
            else:
                _, number = heappop(self.heap)
                self._advance(number, time, inclusive=True)

    def _settle(self, time: int) -> None:
        """Hear the answers of every engine that may give one at ``time``, before any of their calls decides."""
        numbers = []
        while self._next_moment() == time:
            _, number = heappop(self.heap)
            self.due[number] = FAR
            numbers.append(number)
        for number in numbers:
            self.engines[number].settle(time)
            self._foresee(number, time)
            self._hear(number, time, inclusive=True)

    def _next_moment(self) -> int:
        """The next moment of any engine."""
        heap, due = self.heap, self.due
        while heap and due[heap[0][1]] != heap[0][0]:
            heappop(heap)
        return heap[0][0] if heap else FAR

    # -- bringing engines up to date -----------------------------------------------------------------------------

    def _catch_up(self, time: int) -> None:
        """Let every call before ``time`` have happened, as far as it can change a load.

        In an open loop (``before``) this is ``_advance``, written out: most of what a router costs is spent here.
        """
        heap, due, calls, engines = self.heap, self.due, self.calls, self.engines
        while heap and heap[0][0] < time:
            moment, number = heappop(heap)
            if due[number] != moment:
                continue
            if not self.before:
                if moment >= calls[number]:
                    self._advance(number, time)
                else:
                    self._hear(number, time)  # only an answer is due
                continue
            engine = engines[number]
            quiet = calls[number]
            if moment >= quiet:
                engine.advance(time)
                quiet = quiet_until(engine)
                if quiet < time:
                    quiet = time
                calls[number] = quiet
            notices = engine.notices
            if notices:
                while notices and notices[0][0] <= time:
                    self.loads.ended(number, notices.popleft()[1])
                if notices and notices[0][0] - 1 < quiet:
                    quiet = notices[0][0] - 1
            due[number] = quiet
            if quiet < FAR:
                heappush(heap, (quiet, number))

    def _advance(self, number: int, time: int, inclusive: bool = False) -> None:
        self.engines[number].advance(time, inclusive=inclusive)
        self._foresee(number, time)
        self._hear(number, time, inclusive, int(inclusive))

    def _foresee(self, number: int, time: int) -> None:
        """The next call of an engine that can decide anything new, seen at ``time``."""
        engine = self.engines[number]
        if self.before:
            self.calls[number] = max(quiet_until(engine), time)
        else:  # whoever waits for an answer may act on it: every call counts
            call = engine.boundary()
            self.calls[number] = FAR if call is None else call

    def _hear(self, number: int, time: int, inclusive: bool = False, late: int = 0) -> None:
        """Count the answers that are there at ``time``, and note when to look at this engine again.

        ``late``: answers that a call at ``time`` gave come after all calls of that time.
        """
        notices = self.engines[number].notices
        while notices and notices[0][0] <= time:
            finish, request = notices.popleft()
            self.loads.ended(number, request)
            # a busy host hands an answer out when it looks at it
            self.source.answered(request, max(finish, time + late) if inclusive else finish)
        moment = self.calls[number]
        if notices and notices[0][0] - self.before < moment:
            moment = notices[0][0] - self.before
        self.due[number] = moment
        if moment < FAR:
            heappush(self.heap, (moment, number))

    # -- routing -------------------------------------------------------------------------------------------------

    def _look(self, time: int) -> None:
        """Refresh what the router sees, if it is time to."""
        age = self.age
        if age:
            time = time // age * age
            if time <= self.refreshed:
                return
            self.refreshed = time
        if self.router.sees == "counts":
            self._catch_up(time)
        else:  # pages are taken inside stretches, too
            for number in range(len(self.engines)):
                self._advance(number, time)
            self.loads.look(self.engines)
        if age:
            self.view = self.loads.copy()

    def _deliver(self, request: Request, time: int) -> None:
        number = self.router.route(self.seen.turn(request), self.view)
        engine = self.engines[number]
        moment = time
        if self.before:  # nothing happens up to the first call that sees it
            waits = bool(engine.inbox)  # so does another: its call is known
            call = FAR if waits else call_after(engine, time)
            engine.submit(request, time)
            if request.status != "rejected":
                if call is None:
                    engine.advance(time)
                    call = engine.next_call()
                moment = call or time
        else:
            engine.submit(request, time)
        self.loads.sent(number, request)
        if moment < self.calls[number]:
            self.calls[number] = moment
        if moment < self.due[number]:
            self.due[number] = moment
            heappush(self.heap, (moment, number))

    def _arm(self) -> None:
        arrival = self.source.next_time()
        moment = min(self._next_moment(), FAR if arrival is None else arrival)
        if moment < FAR:
            self.timer.set(max(-(-moment >> SUBTICK_BITS), self.clock.now))
        else:
            self.timer.cancel()
