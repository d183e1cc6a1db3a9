"""Replicas with KV memory below their GPUs behind a router."""

from __future__ import annotations

from heapq import heappop

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.engine import FAR
from hwsim.serving.quiet import call_after
from hwsim.serving.request import Request
from hwsim.serving.tiered import Tiered


class TieredCluster(Tiered):
    """A cluster that looks at each engine whenever a call of it may decide something, and carries its KV."""

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

    def _deliver(self, request: Request, time: int) -> None:
        self._ask_below(request)
        number = self.router.route(self.seen.turn(request), self.view)
        engine = self.engines[number]
        known = bool(engine.inbox) and self.calls[number] >= time  # the call that sees another one sees it, too
        call = call_after(engine, time) if time < self.lulls[number] and not known else None
        engine.submit(request, time)
        self.loads.sent(number, request)
        self._entered(request, number)
        if request.status == "rejected" or not (known or call is not None):
            self._bring_up_to(number, time)
        elif call is not None:
            self.calls[number] = call
            if call < self.due[number]:
                self._expect_call(number, call)

    def _bring_up_to(self, number: int, time: int) -> None:
        """Something has come at ``time``: what the engine has done by then counts."""
        following = self.source.next_time() if self.open else time
        if following is None or following > time:
            self._advance(number, time, inclusive=True)
        else:  # others arrive at this very moment, and a router may look
            self.calls[number] = min(self.calls[number], time)
            self._expect_call(number, min(self.due[number], time))
