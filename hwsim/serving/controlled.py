"""A cluster with a control plane: requests may be refused, replicas fail and recover, start and stop."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from heapq import heappop, heappush

from hwsim.cost.price import SUBTICK_BITS
from hwsim.cost.scaled import Scaled
from hwsim.kernel.clock import Clock
from hwsim.serving.acts import Acts
from hwsim.serving.cluster import Cluster
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.faults import Fault
from hwsim.serving.fleet import DOWN, DRAINING, OPEN, STARTING, STOPPED, Fleet
from hwsim.serving.gate import Gate
from hwsim.serving.request import Request
from hwsim.serving.restart import restore, salvage, slow
from hwsim.serving.routing import Loads, Outlook, Router
from hwsim.serving.scaler import Scaler
from hwsim.serving.scaling import Scaling
from hwsim.serving.source import Source


class Controlled(Cluster):
    """Acts of control are moments in one order with arrivals (acts first) and, in a closed loop, with answers.

    *Faults*: a replica that stops loses its KV; its requests are sent to others after ``detect``, with the tokens that
    were delivered (they are computed again).  *Scaling*: the policy is asked at fixed times; a replica that is started
    takes requests after its weights have come over the fabric and the start-up time has passed; one that is stopped
    takes no more and runs dry.  *No open replica*: requests are parked; they are refused when none can come back.
    """

    lazy = False  # acts find engines up to date

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
        self.between = 0  # of these, how many have not been sent elsewhere yet
        self.acts = Acts()
        self.hopes = 0  # replicas that are going to recover
        self.slowed: list[tuple[int, Scaled]] = []
        self.watches = "counts" if scaling is not None else "nothing"
        for part in (gate, scaling.policy if scaling is not None else None):
            if part is not None and part.sees == "engines":
                self.watches = "engines"
        for fault in faults:
            self.acts.plan(fault.at, lambda time, fault=fault: self._strike(fault, time))
        if scaling is not None:
            self.scaler = Scaler(scaling, self.fleet, self.loads, self, self.acts, clock, self._arm)

    @property
    def fleets(self) -> list[tuple[list[Engine], Fleet]]:
        """Its replicas and their states."""
        return [(self.engines, self.fleet)]

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
        act = self.acts.moment
        return act if self.before else min(act, self._next_moment())

    def _run_until(self, end: int, source: Source) -> None:
        settled = -1
        while True:
            act = self.acts.moment
            arrival = source.next_time()
            time = min(self._next_outside(), FAR if arrival is None else arrival)
            if time > end:
                return
            if act == time:
                self.acts.do()
            elif arrival == time:
                self._receive(source.pop(), time)
            elif settled < time:
                self._settle(time)
                settled = time
            else:
                _, number = heappop(self.heap)
                self._advance(number, time, inclusive=True)

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
        self.between -= len(requests)
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
                self.acts.plan(fault.until, lambda then: self._restore(number, then))
            return
        if self.fleet.states[number] not in (OPEN, DRAINING):
            return  # nothing runs there
        engine = self.engines[number]
        requests = salvage(engine)
        for request in requests:
            self.loads.ended(number, request)
        self.moved += len(requests)
        self._emptied(number, requests)
        self.between += len(requests)
        self.fleet.turn(number, DOWN, time)
        self.calls[number] = FAR
        self._hear(number, time)
        again = max(time + fault.detect, engine.pipeline.end)
        if fault.until is not None:
            self.hopes += 1
            self.acts.plan(max(fault.until, again), lambda then: self._recover(number, then))
        if requests:
            self.acts.plan(again, lambda then: self._again(requests, then))
        if not self.fleet.open and self.parked:
            self.opened(time)

    def _recover(self, number: int, time: int) -> None:
        self.hopes -= 1
        self.fleet.turn(number, OPEN, time)
        self.opened(time)

    def _slow(self, number: int, factor: float, time: int) -> None:
        self.slowed.append((self.engines[number].replica, slow(self.engines[number], factor)))
        self._advance(number, time)

    def _restore(self, number: int, time: int) -> None:
        self._advance(number, time)
        restore(self.engines[number])
        self._advance(number, time)

    # -- what an autoscaler is told (see :mod:`hwsim.serving.scaler`) ----------------------------------------------

    def watch(self, time: int) -> Loads:
        """The loads that it may see at ``time``."""
        self._watch(time)
        return self.view

    def waiting(self) -> int:
        """Requests that are parked."""
        return len(self.parked)

    def going_on(self) -> bool:
        """Whether anything is left to serve."""
        held = any(self.loads.requests) or self.parked or self.between
        return bool(held or self.hopes) or self.source.next_time() is not None

    def opened(self, time: int) -> None:
        """A replica takes requests again: those who were parked are looked at."""
        parked, self.parked = list(self.parked), deque()
        for request in parked:
            self._receive(request, time)
