"""Prefill and decode on different engines: who is asked when, what is pinned meanwhile, and when the KV goes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.clock import Clock
from hwsim.serving.acts import Acts
from hwsim.serving.agenda import Agenda
from hwsim.serving.coupled import Coupled
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.flight import Flight, Handovers, leg_of
from hwsim.serving.handover import Connector, Mover
from hwsim.serving.journal import Journal
from hwsim.serving.remote import LOADING
from hwsim.serving.request import Request
from hwsim.serving.routing import Loads, Router, Seen
from hwsim.serving.shipping import Shipping
from hwsim.serving.source import OpenLoop, Source

PREFILL, DECODE = 0, 1
UNKNOWN = -1  # the next call of an engine that has moved on: asked for when somebody wants to know


class Disaggregation:
    """Pools of prefill and decode engines with a connector between them (vLLM and SGLang style).

    A request is prefilled as a *leg* with one output whose pages stay pinned at prefill until they have been read.
    At decode it queues like any other; at the head of that queue it gets its pages, then its KV is moved there, and
    the first step boundary after the last byte lets it in.  The ``connector`` says in which order these things happen.
    Back-pressure follows from the pins: a prefill engine whose pages nobody reads admits nobody.

    Acts of a control plane (``acts``) come before arrivals and calls of their moment; here nobody plans any.
    Engines are looked at when a call of theirs can matter to others: prefill engines always, decode engines only
    while somebody waits there for pages (or for an answer, in a closed loop); otherwise they lag behind the clock.
    """

    def __init__(
        self,
        prefill: Sequence[Engine | Coupled],
        decode: Sequence[Engine | Coupled],
        source: Source,
        routers: tuple[Router, Router],
        connector: Connector,
        mover: Mover,
        clock: Clock,
        journal: Journal,
        *,
        local_below: int = 0,
        numbers: Sequence[int] | None = None,
    ) -> None:
        """``numbers``: by which results know the engines, prefill first (else their places here)."""
        self.engines = [*prefill, *decode]
        self.first_decode = len(prefill)
        self.numbers = list(numbers if numbers is not None else range(len(self.engines)))
        self.source = source
        self.routers = routers
        self.connector = connector
        self.mover = mover
        self.clock = clock
        self.journal = journal
        self.local_below = local_below
        self.eager = not isinstance(source, OpenLoop)  # answers matter
        self.loads = (Loads(len(prefill)), Loads(len(decode)))
        self.views = list(self.loads)
        self.refreshed = [-1, -1]
        self.seen = Seen()
        self.agenda = Agenda(len(self.engines))
        self.acts = Acts()
        self.calls = [FAR] * len(self.engines)
        self.wants = [0] * len(self.engines)  # requests that wait for pages there
        self.flights: dict[Request, Flight] = {}  # by leg and by request
        self.handovers = Handovers()
        self.shipping = Shipping(self.engines, len(prefill), connector, mover, clock, self._place, self._landed)
        self.timer = clock.timer(self._wake, late=True)
        self.coupled = [isinstance(engine, Coupled) for engine in self.engines]
        for number, engine in enumerate(self.engines):
            own = engine.engine if isinstance(engine, Coupled) else engine
            own.listened, own.waits = True, False
            if isinstance(engine, Coupled):
                engine.on_change = partial(self._replan, number)

    def start(self) -> None:
        """Begin at the first arrival."""
        self._arm()

    def finish(self) -> None:
        """Nothing is left to happen outside: engines that lag behind do the rest."""
        for number, engine in enumerate(self.engines):
            engine.advance(FAR)
            self._hear(number, FAR)

    def stuck(self) -> list[tuple[Request, int]]:
        """Requests that can never end, each with what it waits for."""
        found = []
        for request, flight in self.flights.items():
            if request is flight.request and request.status not in ("completed", "rejected"):
                request.status, request.reason = "unfinished", f"deadlock: waits for {flight.waits_for()}"
                found.append((request, self.numbers[max(flight.decode, flight.prefill)]))
        return found

    # -- the loop ------------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        clock, agenda, source, acts = self.clock, self.agenda, self.source, self.acts
        end = clock.now << SUBTICK_BITS
        while True:
            moment, arrival = agenda.next(), source.next_time()
            time = moment if arrival is None or moment < arrival else arrival
            act = acts.moment <= time
            if act:
                time = acts.moment
            if time > end:
                tick = -(-time >> SUBTICK_BITS)
                if time >= FAR or not clock.skip(tick):  # a transfer may end first
                    break
                end = tick << SUBTICK_BITS
            if act:
                acts.do()
            elif arrival == time:
                self._arrive(source.pop(), time)
            else:
                self._advance(agenda.pop(moment), moment)
        self._arm()

    def _arm(self) -> None:
        arrival = self.source.next_time()
        moment = self.agenda.next()
        if arrival is not None and arrival < moment:
            moment = arrival
        if self.acts.moment < moment:
            moment = self.acts.moment
        if moment < FAR:
            self.timer.set(max(-(-moment >> SUBTICK_BITS), self.clock.now))
        else:
            self.timer.cancel()

    def _advance(self, number: int, time: int) -> None:
        """Let an engine execute its calls up to ``time`` (if more than a notice is due), and hear what came of them."""
        engine = self.engines[number]
        if time >= self.calls[number]:
            if number >= self.first_decode:
                engine.advance(time, inclusive=True)
                self.calls[number] = UNKNOWN
            elif self._busy(engine) or self.coupled[number]:
                streams = self.connector.streams is not None
                if streams:
                    self.shipping.before(number, time)
                engine.advance(time, inclusive=True)
                self.calls[number] = UNKNOWN
                if streams:
                    self.shipping.after(number)
        self._hear(number, time)

    def _hear(self, number: int, time: int) -> None:
        notices = self.engines[number].notices
        while notices and notices[0][0] <= time:
            _, request = notices.popleft()
            if request.status == LOADING:
                self._reserved(self.flights[request], time)
            elif number < self.first_decode:
                self._prefilled(self.flights.pop(request), time)
            else:
                self._answered(number, request, time)
        self._plan(number, time)

    def _plan(self, number: int, time: int) -> None:
        """When this engine has to be looked at next."""
        engine, coupled = self.engines[number], self.coupled[number]
        if number < self.first_decode:
            eager = self._busy(engine)
            notices = engine.notices
        else:
            eager = self.wants[number] or self.eager
            notices = engine.notices if eager else None
        if coupled and not engine.flow.sole:  # type: ignore[union-attr]
            eager, notices = True, engine.notices  # what it asks for changes with what it does
        moment = FAR
        if eager:
            moment = self.calls[number]
            if moment == UNKNOWN:  # at prefill every call counts
                call = engine.boundary() if coupled or number >= self.first_decode else engine.next_call()
                self.calls[number] = moment = FAR if call is None else call
            if moment < time:
                moment = time  # one that lags catches up at once
        if notices and notices[0][0] < moment:
            moment = notices[0][0]
        self.agenda.set(number, moment)

    def _replan(self, number: int) -> None:
        """The pace of an engine has changed: its next moments are others."""
        time = self.clock.now << SUBTICK_BITS
        call = self.engines[number].boundary()
        self.calls[number] = FAR if call is None else call
        self._plan(number, time)
        self._arm()

    @staticmethod
    def _busy(engine: Engine | Coupled) -> bool:
        """True while an engine may decide something that others want to know (not while it only has to tidy up)."""
        return bool(engine.rows.count or engine.inbox or engine.admission.waiting or engine.partials)

    def _post(self, number: int, time: int) -> None:
        """Something was brought to an engine at ``time``: its next call may be another one."""
        self.calls[number] = UNKNOWN
        self._plan(number, time)

    # -- a request's way -----------------------------------------------------------------------------------------

    def _arrive(self, request: Request, time: int) -> None:
        if request.known < self.local_below:
            number = self._choose(DECODE, request, time)
            self.engines[number].submit(request, time)
            self._post(number, time)
            return
        number = self._choose(PREFILL, request, time)
        leg = leg_of(request)
        flight = Flight(request, leg, number)
        self.flights[request] = self.flights[leg] = flight
        refusal = self.engines[number].admission.refusal(leg)
        if refusal is not None:
            self._refuse(flight, number, refusal, time)
            return
        if self.connector.asks_at_arrival:
            self._ask(flight, time)
        if not self.connector.prefill_waits:
            self._prefill(flight, time)

    def _refuse(self, flight: Flight, number: int, reason: str, time: int) -> None:
        """Prefill cannot serve it."""
        self.flights.pop(flight.leg, None)
        self.flights.pop(flight.request, None)
        request = flight.request
        request.status, request.reason = "rejected", reason
        self.journal.rejected(self.numbers[number], request)
        self.loads[PREFILL].ended(number, request)
        self.source.answered(request, time)

    def _prefill(self, flight: Flight, time: int) -> None:
        self.shipping.expect(flight)
        self.engines[flight.prefill].submit(flight.leg, time)
        self._post(flight.prefill, time)

    def _ask(self, flight: Flight, time: int) -> None:
        """Decode gets the request; its KV is to come."""
        request = flight.request
        if flight.decode < 0:
            flight.decode = self._choose(DECODE, request, time)
        number = flight.decode
        flight.asked = time
        request.remote_tokens = flight.leg.prompt_tokens
        request.prefilled = self.connector.sends_first_output and not request.emitted
        self.wants[number] += 1
        engine = self.engines[number]
        engine.submit(request, time)
        if not (self.eager or self.coupled[number]):  # nothing happens up to the first call after it
            engine.advance(time)
            self.calls[number] = engine.next_call() or time
            self._hear(number, time)
        else:
            self._post(number, time)

    def _reserved(self, flight: Flight, time: int) -> None:
        """Decode has pages for all that is not cached there."""
        self.wants[flight.decode] -= 1
        flight.reserved = time
        if self.connector.needs_room:
            flight.tokens = flight.request.load_tokens
        if self.connector.prefill_waits:
            self._prefill(flight, time)
        if flight.arrived >= 0:  # it lies in the buffer
            self._deliver(flight, time)
        elif flight.prefilled >= 0 and self.connector.needs_room:
            self.shipping.send_rest(flight)
        elif self.connector.streams == "layer":
            self.shipping.send_layers(flight)

    def _prefilled(self, flight: Flight, time: int) -> None:
        """Prefill has ended (or was refused); its pages stay until they have been read."""
        leg, request = flight.leg, flight.request
        if leg.status == "rejected":
            self._refuse(flight, flight.prefill, leg.reason, time)
            return
        flight.prefilled = time
        self.loads[PREFILL].ended(flight.prefill, request)
        self.shipping.computed(flight)
        if request.status == "rejected":  # by decode, meanwhile
            self._release(flight, time)
            return
        if not request.emitted:
            request.cached_tokens, request.scheduled = max(leg.cached_tokens, 0), leg.scheduled
        if not self.connector.asks_at_arrival:
            self._ask(flight, time)
            if request.status == "rejected":  # at once: it could never fit there
                return
        if not self.connector.needs_room:
            flight.tokens = leg.prompt_tokens
        if not self.connector.needs_room or flight.reserved >= 0:
            self.shipping.send_rest(flight)

    def _answered(self, number: int, request: Request, time: int) -> None:
        self.loads[DECODE].ended(number - self.first_decode, request)
        flight = self.flights.pop(request, None)
        if flight is not None and request.status == "rejected":
            self.wants[number] -= 1
            if flight.prefilled >= 0:
                if flight.arrived < 0 and not flight.moving:
                    self._release(flight, time)
            elif self.connector.prefill_waits:  # it never began
                del self.flights[flight.leg]
                self.loads[PREFILL].ended(flight.prefill, request)
        self.source.answered(request, time)

    # -- its KV ------------------------------------------------------------------------------------------------------

    def _landed(self, flight: Flight) -> None:
        """The last byte is there: prefill lets its pages go, and decode sees it at its next call."""
        time = flight.arrived = self.clock.now << SUBTICK_BITS
        self._release(flight, time)
        if flight.reserved >= 0:
            self._deliver(flight, time)
        self._arm()

    def _deliver(self, flight: Flight, time: int) -> None:
        del self.flights[flight.request]
        size = flight.tokens * self.mover.bytes_per_token(flight.decode - self.first_decode)
        self.handovers.add(flight, self.numbers[flight.prefill], self.numbers[flight.decode], size)
        source, home = self.engines[flight.prefill], self.engines[flight.decode]
        scheduled = flight.leg.scheduled
        if (
            scheduled is not None and not flight.request.emitted
        ):  # as the clock of the engine that writes the request down shows it
            if isinstance(source, Coupled):
                scheduled = source.timeline.wall(scheduled)
            flight.request.scheduled = home.known_alone(scheduled) if isinstance(home, Coupled) else scheduled
        if self.connector.answers_first and not flight.request.emitted:
            first = flight.prefilled
            flight.request.first_token = home.known_alone(first) if isinstance(home, Coupled) else first
        home.kv_arrived(flight.request, time)
        if self.eager or self.wants[flight.decode] or self.coupled[flight.decode]:
            self._post(flight.decode, time)
        else:
            self.calls[flight.decode] = UNKNOWN

    def _release(self, flight: Flight, time: int) -> None:
        engine = self.engines[flight.prefill]
        engine.release_kv(flight.leg, time)
        if self._busy(engine) or self.coupled[flight.prefill]:
            self._post(flight.prefill, time)

    def _place(self, flight: Flight) -> bool:
        """The first bytes go: the pair is known from the start."""
        flight.decode = self._choose(DECODE, flight.request, self.clock.now << SUBTICK_BITS)
        return True

    # -- choosing ------------------------------------------------------------------------------------------------

    def _choose(self, side: int, request: Request, time: int) -> int:
        """The engine that a side's router names, from a view that it may have of it."""
        router, loads = self.routers[side], self.loads[side]
        if router.sees != "nothing":
            self._look(side, time)
        number = self._route(side, request)
        loads.sent(number, request)
        return number + (self.first_decode if side == DECODE else 0)

    def _route(self, side: int, request: Request) -> int:
        return self.routers[side].route(self.seen.turn(request), self.views[side])

    def _look(self, side: int, time: int) -> None:
        router = self.routers[side]
        age = router.age << SUBTICK_BITS
        if age:
            if time // age <= self.refreshed[side]:
                return
            self.refreshed[side] = time // age
        first, last = (0, self.first_decode) if side == PREFILL else (self.first_decode, len(self.engines))
        if side == DECODE and not self.eager:
            for number in range(first, last):
                if self.calls[number] < time:
                    self.engines[number].advance(time)
                    call = self.engines[number].boundary()
                    self.calls[number] = FAR if call is None else call
                self._hear(number, time)
        if router.sees == "engines":
            self.loads[side].look(self.engines[first:last])
        if age:
            self.views[side] = self.loads[side].copy()
