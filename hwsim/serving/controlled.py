"""A cluster with a control plane: requests may be refused, replicas fail and recover, start and stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from heapq import heappop, heappush

from hwsim.cost.price import SUBTICK_BITS, Pricer
from hwsim.cost.scaled import Scaled
from hwsim.kernel.clock import Clock
from hwsim.serving.cluster import Cluster
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.faults import Fault
from hwsim.serving.fleet import DOWN, DRAINING, OPEN, STARTING, STOPPED, Fleet
from hwsim.serving.gate import Gate
from hwsim.serving.request import Request
from hwsim.serving.restart import salvage
from hwsim.serving.routing import Outlook, Router
from hwsim.serving.scaling import Scaling
from hwsim.serving.source import Source


class Controlled(Cluster):
    """Acts of control are moments in one order with arrivals (acts first) and, in a closed loop, with answers.

    *Faults*: a replica that stops loses its KV; its requests are sent to others after ``detect``, with the tokens that
    were delivered (they are computed again).  *Scaling*: the policy is asked at fixed times; a replica that is started
    takes requests after its weights have come over the fabric and the start-up time has passed; one that is stopped
    takes no more and runs dry.  *No open replica*: requests are parked; they are refused when none can come back.
    """

    def __init__(
        self,
        engines: Sequence[Engine],
        source: Source,
        router: Router,
        clock: Clock,
        *,
        gate: Gate | None = None,
        faults: Sequence[Fault] = (),
        scaling: Scaling | None = None,
        outlook: Outlook | None = None,
    ) -> None:
        super().__init__(engines, source, router, clock)
        self.gate = gate
        self.scaling = scaling
        self.fleet = Fleet(len(engines), scaling.least if scaling is not None else len(engines))
        self.loads.open = self.fleet.open
        self.loads.outlook = outlook
        self.parked: deque[Request] = deque()
        self.moved = 0  # requests that a failed replica gave back
        self.acts: list[tuple[int, int, Callable[[int], None]]] = []
        self.order = 0
        self.hopes = 0  # replicas that are going to recover
        self.slowed: list[tuple[int, Scaled]] = []
        self.surplus_since = -1  # since when fewer replicas would do
        self.watches = "counts" if scaling is not None else "nothing"
        for part in (gate, scaling.policy if scaling is not None else None):
            if part is not None and part.sees == "engines":
                self.watches = "engines"
        for fault in faults:
            self._plan(fault.at, lambda time, fault=fault: self._strike(fault, time))
        if scaling is not None:
            self._plan(scaling.every, self._scale)

    def finish(self) -> None:
        """Nothing more comes from outside: the engines do the rest."""
        for engine in self.engines:
            engine.listened = False
            engine.notices.clear()
            engine.advance(FAR)

    def stuck(self) -> list[tuple[Request, int]]:
        """Requests that still wait for a replica to come back."""
        for request in self.parked:
            request.status, request.reason = "unfinished", "no replica took requests any more"
        return [(request, 0) for request in self.parked]

    # -- the loop ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin at the first arrival or act."""
        self._arm()

    def _wake(self) -> None:
        self._run_until(self.clock.now << SUBTICK_BITS, self.source)
        self._arm()

    def _arm(self) -> None:
        arrival = self.source.next_time()
        moment = min(self._next_outside(), FAR if arrival is None else arrival)
        if moment < FAR:
            self.timer.set(max(-(-moment >> SUBTICK_BITS), self.clock.now))
        else:
            self.timer.cancel()

    def _next_outside(self) -> int:
        """The next act, and in a closed loop the next moment of any engine."""
        act = self.acts[0][0] if self.acts else FAR
        return act if self.before else min(act, self._next_moment())

    def _run_until(self, end: int, source: Source) -> None:
        settled = -1
        while True:
            act = self.acts[0][0] if self.acts else FAR
            arrival = source.next_time()
            time = min(self._next_outside(), FAR if arrival is None else arrival)
            if time > end:
                return
            if act == time:
                _, _, do = heappop(self.acts)
                do(time)
            elif arrival == time:
                self._receive(source.pop(), time)
            elif settled < time:
                self._settle(time)
                settled = time
            else:
                _, number = heappop(self.heap)
                self._advance(number, time, inclusive=True)

    def _plan(self, time: int, do: Callable[[int], None]) -> None:
        self.order += 1
        heappush(self.acts, (time, self.order, do))

    # -- requests ------------------------------------------------------------------------------------------------

    def _receive(self, request: Request, time: int) -> None:
        """An arrival: it is let in, refused, or parked until a replica is open."""
        if not self.fleet.open:
            self._park(request, time)
            return
        self._watch(time)
        number = self._route(request)
        reason = self.gate.refusal(self.seen.turn(request), number, self.view) if self.gate is not None else None
        if reason is None:
            self._submit(request, number, time)
        else:
            self._refuse(request, number, f"admission: {reason}", time)

    def _watch(self, time: int) -> None:
        """Bring up to date what policies look at."""
        if self.watches == "nothing" and self.router.sees == "nothing":
            return
        self._look(time)
        if self.watches == "engines" and self.router.sees != "engines":
            for number in range(len(self.engines)):
                self._advance(number, time)
            self.view.look(self.engines)

    def _route(self, request: Request) -> int:
        number = self.router.route(self.seen.turn(request), self.view)
        held = self.fleet.open
        return number if number in held else next((i for i in held if i > number), held[0])

    def _submit(self, request: Request, number: int, time: int) -> None:
        self.engines[number].submit(request, time)
        self.loads.sent(number, request)
        self.calls[number] = min(self.calls[number], time)
        if self.due[number] > time:
            self.due[number] = time
            heappush(self.heap, (time, number))

        self._entered(request, number)

    def _entered(self, request: Request, number: int) -> None:
        """A request was given to an engine (for those who carry KV)."""

    def _emptied(self, number: int, requests: list[Request]) -> None:
        """A replica has lost its KV, and these requests with it (for those who carry KV)."""

    def _refuse(self, request: Request, number: int, reason: str, time: int) -> None:
        request.status, request.reason = "rejected", reason
        self.engines[number].journal.rejected(number, request)
        self.source.answered(request, time)

    def _park(self, request: Request, time: int) -> None:
        if self.hopes or self.fleet.count(STARTING) or (self.scaling is not None and self.fleet.count(STOPPED)):
            self.parked.append(request)
        else:
            self._refuse(request, 0, "no replica is left: all have failed", time)

    def _again(self, requests: list[Request], time: int) -> None:
        """Requests that lost their replica go to another one; they were let in once."""
        for request in requests:
            if self.fleet.open:
                self._watch(time)
                self._submit(request, self._route(request), time)
            else:
                self._park(request, time)

    # -- faults --------------------------------------------------------------------------------------------------

    def _strike(self, fault: Fault, time: int) -> None:
        number = fault.replica
        self._advance(number, time)
        if fault.kind == "slow":
            self._slow(number, fault.factor, time)
            if fault.until is not None:
                self._plan(fault.until, lambda then: self._restore(number, then))
            return
        if self.fleet.states[number] not in (OPEN, DRAINING):
            return  # nothing runs there
        engine = self.engines[number]
        requests = salvage(engine)
        for request in requests:
            self.loads.ended(number, request)
        self.moved += len(requests)
        self._emptied(number, requests)
        self.fleet.turn(number, DOWN, time)
        self.calls[number] = FAR
        self._hear(number, time)
        again = max(time + fault.detect, engine.pipeline.end)
        if fault.until is not None:
            self.hopes += 1
            self._plan(max(fault.until, again), lambda then: self._recover(number, then))
        if requests:
            self._plan(again, lambda then: self._again(requests, then))
        if not self.fleet.open and self.parked:
            self._flush(time)

    def _recover(self, number: int, time: int) -> None:
        self.hopes -= 1
        self.fleet.turn(number, OPEN, time)
        self._flush(time)

    def _flush(self, time: int) -> None:
        """Those who were parked are looked at again."""
        parked, self.parked = list(self.parked), deque()
        for request in parked:
            self._receive(request, time)

    def _slow(self, number: int, factor: float, time: int) -> None:
        engine = self.engines[number]
        slowed = Scaled(engine.pricer, factor)
        self.slowed.append((number, slowed))
        self._reprice(number, slowed, time)

    def _restore(self, number: int, time: int) -> None:
        self._advance(number, time)
        pricer = self.engines[number].pricer
        assert isinstance(pricer, Scaled)
        self._reprice(number, pricer.inner, time)

    def _reprice(self, number: int, pricer: Pricer, time: int) -> None:
        """Calls from ``time`` on cost what ``pricer`` says; the next moment of the engine moves with that."""
        engine = self.engines[number]
        engine.pricer = pricer
        engine.forget_prices()
        self._advance(number, time)

    # -- scaling -------------------------------------------------------------------------------------------------

    def _scale(self, time: int) -> None:
        """Ask the policy, and start or stop replicas; go on while anything is left to serve."""
        scaling, fleet = self.scaling, self.fleet
        assert scaling is not None
        self._watch(time)
        self._stop_idle(time)
        busy = any(self.loads.requests) or self.parked or self.source.next_time() is not None
        if not busy and not self.hopes:
            return
        coming = fleet.count(STARTING)
        wanted = scaling.policy.desired(self.view, len(self.parked), coming)
        wanted = max(scaling.least, min(scaling.most, wanted))
        have = len(fleet.open) + coming
        if wanted > have:
            self._start_more(wanted - have, time)
        if wanted >= have:
            self.surplus_since = -1
        elif self.surplus_since < 0:
            self.surplus_since = time
        if self.surplus_since >= 0 and time - self.surplus_since >= scaling.cool_down:
            self._drain(have - wanted, time)
            self.surplus_since = -1
        self._plan(time + scaling.every, self._scale)

    def _start_more(self, count: int, time: int) -> None:
        """Replicas that are running dry come back at once; others start."""
        fleet = self.fleet
        for _ in range(count):
            number = fleet.first(DRAINING)
            if number is not None:
                fleet.turn(number, OPEN, time)
                continue
            number = fleet.first(STOPPED)
            if number is None:
                return
            fleet.turn(number, STARTING, time)
            self._load(number)

    def _load(self, number: int) -> None:
        scaling = self.scaling
        assert scaling is not None
        now = self.clock.now << SUBTICK_BITS

        def loaded() -> None:
            then = self.clock.now << SUBTICK_BITS
            self._plan(then + scaling.start_up, lambda time: self._opened(number, time))
            self._arm()

        if scaling.load_weights is None:
            self._plan(now + scaling.start_up, lambda time: self._opened(number, time))
        else:
            scaling.load_weights(number, loaded)

    def _opened(self, number: int, time: int) -> None:
        self.fleet.turn(number, OPEN, time)
        self._flush(time)

    def _drain(self, count: int, time: int) -> None:
        for _ in range(count):
            number = self.fleet.last(OPEN)
            if number is None or len(self.fleet.open) <= 1:
                return
            self.fleet.turn(number, DRAINING, time)
        self._stop_idle(time)

    def _stop_idle(self, time: int) -> None:
        for number, state in enumerate(self.fleet.states):
            if state == DRAINING and not self.loads.requests[number]:
                self.fleet.turn(number, STOPPED, time)
