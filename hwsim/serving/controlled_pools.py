"""Prefill and decode pools with a control plane: replicas of either pool fail, recover, become slow, start and stop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.cost.price import SUBTICK_BITS
from hwsim.cost.scaled import Scaled
from hwsim.serving.coupled import Coupled
from hwsim.serving.disaggregation import DECODE, PREFILL, UNKNOWN, Disaggregation
from hwsim.serving.engine import FAR, Engine
from hwsim.serving.faults import Fault
from hwsim.serving.fleet import DOWN, DRAINING, OPEN, STARTING, Fleet
from hwsim.serving.flight import Flight
from hwsim.serving.gated import Gated
from hwsim.serving.pool_side import PoolSide
from hwsim.serving.request import Request
from hwsim.serving.restart import restore, salvage, slow, withdraw
from hwsim.serving.scaling import Scaling

NAMES = ("prefill", "decode")


class ControlledPools(Gated):
    """Faults and autoscaling beside hand-overs; each pool is scaled on its own.

    A replica that stops loses its KV.  Whoever was being served there, was on the way from there or to there, starts
    again ``detect`` later as its proxy would have it: a prefill replica computes the prompt and the tokens that were
    delivered, and their KV goes to a decode replica.  KV that lies at decode outlives the replica that computed it.
    *No open replica*: requests are parked; they are refused when none can come back.

    Simplifications: bytes under way run out on their links although nobody wants them; what was sent of a prompt
    before a failure is sent again; a request that is refused twice is not told which replica lost it.
    """

    def __init__(
        self,
        *others: Any,
        faults: Sequence[Fault] = (),
        scalings: tuple[Scaling | None, Scaling | None] = (None, None),
        **more: Any,
    ) -> None:
        """``faults`` name replicas by their places among the engines here, prefill first."""
        super().__init__(*others, **{"gates": (None, None), **more})
        counts = (self.first_decode, len(self.engines) - self.first_decode)
        firsts = (0, self.first_decode)
        self.sides = [
            PoolSide(self, side, firsts[side], counts[side], scalings[side], self.outlooks[side])
            for side in (PREFILL, DECODE)
        ]
        self.running_out: dict[Flight, None] = {}  # dropped, with parts under way
        self.moved = 0  # requests that a failed replica gave back
        self.between = 0  # of these, how many have not started again yet
        self.stalled = -1  # changes of the fleets when nothing but looks of autoscalers was left to happen
        self.slowed: list[tuple[int, Scaled]] = []
        for fault in faults:
            self.acts.plan(fault.at, lambda time, fault=fault: self._strike(fault, time))

    @property
    def fleets(self) -> list[tuple[list[Engine], Fleet]]:
        """The replicas of each pool and their states."""
        return [([self._own(number) for number in side.numbers], side.fleet) for side in self.sides]

    def arm(self) -> None:
        """An act was planned from outside of the loop."""
        self._arm()

    def stuck(self) -> list[tuple[Request, int]]:
        """Requests that can never end; some still wait for a replica to come back."""
        found = []
        for side, name in zip(self.sides, NAMES, strict=True):
            for item in side.parked:
                request = item.request if isinstance(item, Flight) else item
                self.flights.pop(request, None)
                request.status, request.reason = "unfinished", f"no {name} replica took requests any more"
                found.append((request, self.numbers[side.first]))
        return found + super().stuck()

    def _own(self, number: int) -> Engine:
        engine = self.engines[number]
        return engine.engine if isinstance(engine, Coupled) else engine

    def _side_of(self, number: int) -> PoolSide:
        return self.sides[PREFILL if number < self.first_decode else DECODE]

    def catch_up(self, number: int, time: int) -> None:
        """Let an engine make its calls before ``time``, and hear what came of them."""
        self.engines[number].advance(time)
        self.calls[number] = UNKNOWN
        self._hear(number, time)

    def going_on(self) -> bool:
        """Whether anything is left to serve, and anything can still come of it."""
        sides = self.sides
        if self.source.next_time() is not None or self.between or any(side.hopes for side in sides):
            return True
        if not (self.flights or any(side.parked or any(self.loads[side.side].requests) for side in sides)):
            return False
        if self.agenda.next() < FAR or any(side.fleet.count(STARTING) for side in sides) or self.clock.pending():
            return True
        changes = sum([len(side.fleet.events) for side in sides])
        stalled, self.stalled = self.stalled, changes
        return stalled != changes  # what waits now waits for ever, unless an autoscaler has done something about it

    # -- requests ------------------------------------------------------------------------------------------------

    def _arrive(self, request: Request, time: int) -> None:
        side = self.sides[DECODE if request.known < self.local_below else PREFILL]
        if side.fleet.open:
            super()._arrive(request, time)
        else:
            self._park(side, request, time)

    def resume(self, side: int, item: Any, time: int) -> None:
        """Something that was parked is looked at again; it was let in before."""
        if not isinstance(item, Flight):
            self._again([item], time)
            return
        self._ask(item, time)
        if item.asked >= 0 and item.prefilled >= 0 and not self.connector.needs_room:
            self.shipping.send_rest(item)

    def _start_again(self, requests: list[Request], time: int) -> None:
        self.between -= len(requests)
        self._again(requests, time)

    def _again(self, requests: list[Request], time: int) -> None:
        """Requests that lost what had been computed for them start again."""
        for request in requests:
            side = self.sides[DECODE if request.known < self.local_below else PREFILL]
            if side.fleet.open:
                Disaggregation._arrive(self, request, time)
            else:
                self._park(side, request, time)

    def _park(self, side: PoolSide, item: Any, time: int) -> None:
        if side.may_open():
            side.parked.append(item)
            return
        request = item
        if isinstance(item, Flight):
            request = item.request
            self._drop(item, time)
        request.status, request.reason = "rejected", f"no {NAMES[side.side]} replica is left: all have failed"
        self.journal.rejected(self.numbers[side.first], request)
        self.source.answered(request, time)

    def _route(self, side: int, request: Request) -> int:
        number, held = super()._route(side, request), self.sides[side].fleet.open
        return number if number in held else next((i for i in held if i > number), held[0])

    def _place(self, flight: Flight) -> bool:
        return bool(self.sides[DECODE].fleet.open) and super()._place(flight)

    def _ask(self, flight: Flight, time: int) -> None:
        if flight.decode < 0 and not self.sides[DECODE].fleet.open:
            self._park(self.sides[DECODE], flight, time)
        else:
            super()._ask(flight, time)

    # -- flights that are given up ---------------------------------------------------------------------------------

    def _drop(self, flight: Flight, time: int) -> None:
        """Its KV is of no use any more; prefill lets its pages go once nothing of it is under way."""
        flight.dropped = True
        self.flights.pop(flight.request, None)
        self.shipping.computed(flight)
        if flight.prefilled >= 0:
            if flight.moving:
                self.running_out[flight] = None
            elif flight.arrived < 0:
                self._release(flight, time)
        elif self.connector.prefill_waits and flight.reserved < 0:  # it never began
            self.flights.pop(flight.leg, None)
            self.loads[PREFILL].ended(flight.prefill, flight.request)

    def _prefilled(self, flight: Flight, time: int) -> None:
        if not flight.dropped:
            super()._prefilled(flight, time)
            return
        flight.prefilled = time
        self.loads[PREFILL].ended(flight.prefill, flight.request)
        if flight.moving:
            self.running_out[flight] = None
        elif flight.leg.status != "rejected":
            self._release(flight, time)

    def _landed(self, flight: Flight) -> None:
        if not flight.dropped:
            super()._landed(flight)
        elif self.running_out.pop(flight, False) is None:
            self._release(flight, self.clock.now << SUBTICK_BITS)
            self._arm()

    # -- faults --------------------------------------------------------------------------------------------------

    def _strike(self, fault: Fault, time: int) -> None:
        number, side = fault.replica, self._side_of(fault.replica)
        for each in range(len(self.engines)):
            self.catch_up(each, time)
        own, local = self._own(number), fault.replica - side.first
        if fault.kind == "slow":
            self.slowed.append((own.replica, slow(own, fault.factor)))
            self._replan(number)
            if fault.until is not None:
                self.acts.plan(fault.until, lambda then: self._restore(number, then))
            return
        if side.fleet.states[local] not in (OPEN, DRAINING):
            return  # nothing runs there
        side.fleet.turn(local, DOWN, time)
        lost = (self._lose_prefill if side.side == PREFILL else self._lose_decode)(number, time)
        self.moved += len(lost)
        self.catch_up(number, time)
        engine, end = self.engines[number], own.pipeline.end
        again = max(time + fault.detect, engine.timeline.wall(end) if isinstance(engine, Coupled) else end)
        if fault.until is not None:
            side.hopes += 1
            self.acts.plan(max(fault.until, again), lambda then: self._recover(side, local, then))
        if lost:
            self.between += len(lost)
            self.acts.plan(again, lambda then: self._start_again(lost, then))
        if not side.fleet.open and side.parked:
            side.opened(time)

    def _lose_prefill(self, number: int, time: int) -> list[Request]:
        """All that was computed there and has not come to decode is lost: who starts again."""
        own = self._own(number)
        salvage(own)
        own.notices.clear()  # what the last steps computed is lost with the rest
        for flight in list(self.running_out):
            if flight.prefill == number:
                del self.running_out[flight]  # nobody is left to let pages go
        lost = []
        for key, flight in list(self.flights.items()):
            if flight.prefill != number or flight.arrived >= 0:
                continue
            self.flights.pop(key, None)
            if key is flight.leg:
                if flight.prefilled < 0:
                    self.loads[PREFILL].ended(number, flight.request)
                continue
            flight.dropped = True
            self.shipping.computed(flight)
            self._leave_decode(flight, time)
            lost.append(flight.request)
        return lost

    def _leave_decode(self, flight: Flight, time: int) -> None:
        """Decode need not wait for its KV any more."""
        number, request = flight.decode, flight.request
        parked = self.sides[DECODE].parked
        if flight in parked:
            parked.remove(flight)
        if number < 0:
            return
        self.loads[DECODE].ended(number - self.first_decode, request)
        if flight.asked >= 0:
            if flight.reserved < 0:
                self.wants[number] -= 1
            engine = self.engines[number]
            withdraw(self._own(number), request, engine.timeline.alone(time) if isinstance(engine, Coupled) else time)
            self._post(number, time)

    def _lose_decode(self, number: int, time: int) -> list[Request]:
        """All KV there is lost, and what is on the way there has nowhere to go."""
        lost = salvage(self._own(number))
        self.wants[number] = 0
        local = number - self.first_decode
        known = dict.fromkeys(lost)
        for key, flight in list(self.flights.items()):
            if flight.decode == number and key is flight.request and not flight.dropped:
                if key not in known:
                    lost.append(key)
                self._drop(flight, time)
        for request in lost:
            self.loads[DECODE].ended(local, request)
        return lost

    def _recover(self, side: PoolSide, local: int, time: int) -> None:
        side.hopes -= 1
        side.fleet.turn(local, OPEN, time)
        side.opened(time)

    def _restore(self, number: int, time: int) -> None:
        self.catch_up(number, time)
        restore(self._own(number))
        self._replan(number)
