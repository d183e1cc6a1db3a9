"""Prefill and decode on different engines, with KV memory below the GPUs that prefill (a Mooncake-like cluster)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hwsim.serving.coupled import Coupled
from hwsim.serving.disaggregation import PREFILL, Disaggregation
from hwsim.serving.engine import Engine
from hwsim.serving.flight import Flight
from hwsim.serving.gated import Gated
from hwsim.serving.kv.chunks import chains
from hwsim.serving.kv.tier_traffic import Traffic
from hwsim.serving.remote import LOADING
from hwsim.serving.request import Request
from hwsim.serving.routing import HearsKv


class TieredDisaggregation(Disaggregation):
    """Prompts are loaded from tiers where that pays, computed for the rest, written to tiers, and handed over.

    Decode engines neither read nor write tiers here: what they need comes from prefill.
    """

    def __init__(self, *args: Any, traffic: Traffic, **options: Any) -> None:
        super().__init__(*args, **options)
        self.traffic = traffic
        traffic.arrived = self._brought
        self.prefilling: dict[Request, None] = {}
        router = self.routers[PREFILL]
        self.listener: HearsKv | None = router if hasattr(router, "lost") else None  # type: ignore[assignment]
        if self.listener is not None:
            traffic.computed, traffic.lost = self._computed, self._lost

    @staticmethod
    def _busy(engine: Engine | Coupled) -> bool:
        """An engine to which KV has come will decide about it, too."""
        return Disaggregation._busy(engine) or bool(engine.mail)

    def _advance(self, number: int, time: int) -> None:
        super()._advance(number, time)
        if number < len(self.traffic.engines):
            owed = self.traffic.collect(number, time)
            if owed < self.agenda.due[number]:
                self.agenda.set(number, owed)

    def _hear(self, number: int, time: int) -> None:
        if number >= self.first_decode:
            super()._hear(number, time)
            return
        notices = self.engines[number].notices
        while notices and notices[0][0] <= time:
            moment, request = notices.popleft()
            if request.status == LOADING:
                self.traffic.load(number, request)
            else:
                self._forget(number, request)
                self._prefilled(self.flights.pop(request), max(moment, time))
        self._plan(number, time)

    def _prefill(self, flight: Flight, time: int) -> None:
        super()._prefill(flight, time)
        if self.listener is not None:
            self.prefilling[flight.leg] = None
            self.loads[PREFILL].prefilling[flight.prefill] += flight.leg.prompt_tokens
        self.traffic.expect(flight.prefill, flight.leg)

    def _brought(self, number: int, time: int) -> None:
        """KV has come to a prefill engine: its next call may be now."""
        self._post(number, time)
        self._arm()

    # -- what a router hears ---------------------------------------------------------------------------------------

    def _choose(self, side: int, request: Request, time: int) -> int:
        if side == PREFILL and self.listener is not None:
            self.views[PREFILL].below = self.traffic.below(request)
        return super()._choose(side, request, time)

    def _computed(self, number: int, request: Request) -> None:
        if number >= self.first_decode:
            return
        assert self.listener is not None
        self._forget(number, request)
        self.listener.stored(chains(request), number)

    def _forget(self, number: int, request: Request) -> None:
        if request in self.prefilling:
            del self.prefilling[request]
            self.loads[PREFILL].prefilling[number] -= request.prompt_tokens

    def _lost(self, number: int, keys: Sequence[int]) -> None:
        if number >= self.first_decode:
            return
        assert self.listener is not None
        self.listener.lost(keys, number)


class TieredGated(TieredDisaggregation, Gated):
    """The same behind a gate at each side."""
