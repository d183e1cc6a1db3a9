"""Decode engines with KV memory of their own below their GPUs: what they find there is not handed over."""

from __future__ import annotations

from typing import Any

from hwsim.serving.coupled import Coupled
from hwsim.serving.flight import Flight
from hwsim.serving.gated import Gated
from hwsim.serving.kv.tier_connector import Carried, DecodeConnector
from hwsim.serving.remote import LOADING
from hwsim.serving.request import Request
from hwsim.serving.tiered_disaggregation import TieredDisaggregation


class DecodeTiered(TieredDisaggregation):
    """Tiers at both sides, or at decode alone.

    Once decode has pages for a request, what lies in its tiers comes up while the rest is handed over; the request
    goes on when both have come.  What decode gives up goes down to its tiers as anywhere.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.eager = True  # what decode gives up matters at its time
        self.coming: dict[Request, None] = {}  # wait for their tiers
        self.traffic.complete = self._come
        for number, connector in enumerate(self.traffic.connectors):
            if isinstance(connector, DecodeConnector):
                connector.carried = Carried(self.mover.way(0, number - self.first_decode).seconds)

    def _hear(self, number: int, time: int) -> None:
        if number < self.first_decode:
            super()._hear(number, time)
            return
        notices = self.engines[number].notices
        while notices and notices[0][0] <= time:
            _, request = notices.popleft()
            if request.status != LOADING:
                self._answered(number, request, time)
            elif request in self.flights:
                self._reserved(self.flights[request], time)
            else:  # a prompt that is computed here
                self.traffic.load(number, request)
        self._plan(number, time)

    def _plan(self, number: int, time: int) -> None:
        """Looks are where macro-steps end, also where steps are taken one by one."""
        engine = self.engines[number]
        own = engine.engine if isinstance(engine, Coupled) else engine
        single = own.single_step
        own.single_step = single and number < self.first_decode
        super()._plan(number, time)
        own.single_step = single

    def _ask(self, flight: Flight, time: int) -> None:
        super()._ask(flight, time)
        self.traffic.expect(flight.decode, flight.request)

    def _reserved(self, flight: Flight, time: int) -> None:
        request, connector = flight.request, self.traffic.connectors[flight.decode]
        plan = connector.plans.get(request)
        if plan is not None:
            start, found, _ = plan
            request.load_tokens -= (found[-1].end - start) * connector.engine.pool.block_size
            self.coming[request] = None
            self.traffic.load(flight.decode, request)
        super()._reserved(flight, time)

    def _come(self, number: int, request: Request, time: int) -> None:
        """What its tiers had of a request is there."""
        if request not in self.coming:
            self.engines[number].kv_arrived(request, time)
            self._brought(number, time)
            return
        del self.coming[request]
        flight = self.flights[request]
        if flight.arrived >= 0:
            self._deliver(flight, time)
            self._arm()

    def _deliver(self, flight: Flight, time: int) -> None:
        if flight.request not in self.coming:
            super()._deliver(flight, time)


class DecodeTieredGated(DecodeTiered, Gated):
    """The same behind a gate at each side."""
