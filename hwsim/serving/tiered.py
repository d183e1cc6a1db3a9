"""Engines with KV memory below their GPUs, in step with the clock, since copies pass between their calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappush
from typing import Any

from hwsim.serving.cluster import Cluster
from hwsim.serving.engine import FAR
from hwsim.serving.kv.chunks import chains
from hwsim.serving.kv.lull import lull
from hwsim.serving.kv.tier_traffic import Traffic
from hwsim.serving.remote import LOADING
from hwsim.serving.request import Request
from hwsim.serving.routing import HearsKv
from hwsim.serving.source import OpenLoop


class Tiered(Cluster):
    """What any cluster does beside its own work when there are tiers: look at engines in time, and carry their KV.

    Simplification: chunks that the GPU gives up in a stretch of decode steps begin to move at the stretch's end.
    """

    def __init__(self, *others: Any, traffic: Traffic, **more: Any) -> None:
        super().__init__(*others, **more)
        self.traffic = traffic
        self.before = 0
        self.open = isinstance(self.source, OpenLoop)
        for engine in self.engines:
            engine.lazy = False  # what a stretch gives up by a look goes down at that look
        traffic.arrived = self._brought
        self.lulls = [-1] * len(self.engines)  # until when each can be left alone, if nothing is brought to it
        self.prefilling: dict[Request, None] = {}
        self.listener: HearsKv | None = self.router if hasattr(self.router, "lost") else None  # type: ignore[assignment]
        if self.listener is not None:
            traffic.computed, traffic.lost = self._computed, self._lost

    def finish(self) -> None:
        """Nothing is left to happen outside."""
        for engine in self.engines:
            engine.advance(FAR)

    def _settle(self, time: int) -> None:
        if not self.open:  # else nobody acts on an answer
            super()._settle(time)

    def _advance(self, number: int, time: int, inclusive: bool = False) -> None:
        engine = self.engines[number]
        engine.advance(time, inclusive=inclusive)
        self._foresee(number, time)
        notices, moment = engine.notices, self.calls[number]
        if notices and notices[0][0] <= time:
            self._hear(number, time, inclusive, int(inclusive))
        else:
            if notices and notices[0][0] < moment:
                moment = notices[0][0]
            self.due[number] = moment
            if moment < FAR:
                heappush(self.heap, (moment, number))
        owed = self.traffic.collect(number, time)
        if owed < self.due[number]:
            self._expect_call(number, owed)

    def _foresee(self, number: int, time: int) -> None:
        """When to look at an engine next: where macro-steps end, also where steps are taken one by one.

        What has gathered goes down at that look.
        """
        engine, call = self.engines[number], None
        if self.open:
            call = lull(engine)
        self.lulls[number] = -1 if call is None else call
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
            self._forget(number, request)  # refused, or a prompt without names
            self.source.answered(request, max(moment, time + late) if inclusive else moment)
        moment = self.calls[number]
        if notices and notices[0][0] < moment:
            moment = notices[0][0]
        self._expect_call(number, moment)

    def _computed(self, number: int, request: Request) -> None:
        """The router hears that a prompt is on a GPU."""
        assert self.listener is not None
        self._forget(number, request)
        self.listener.stored(chains(request), number)

    def _lost(self, number: int, keys: Sequence[int]) -> None:
        assert self.listener is not None
        self.listener.lost(keys, number)

    def _forget(self, number: int, request: Request) -> None:
        """The prompt of a request is no longer to be computed by a replica."""
        if request in self.prefilling:
            del self.prefilling[request]
            self.loads.prefilling[number] -= request.prompt_tokens

    def _ask_below(self, request: Request) -> None:
        """Let a router that hears of KV see what lies below the GPUs of each replica."""
        if self.listener is not None:
            self.view.below = self.traffic.below(request)

    def _entered(self, request: Request, number: int) -> None:
        """A request was given to an engine."""
        if self.listener is not None:
            self.prefilling[request] = None
            self.loads.prefilling[number] += request.prompt_tokens
        self.traffic.expect(number, request)

    def _emptied(self, number: int, requests: Iterable[Request]) -> None:
        """A replica has lost what its GPUs held, and these requests with it; what lies below stays."""
        for request in requests:
            self._forget(number, request)
        self.traffic.failed(number)
        if self.listener is not None:
            self.listener.emptied(number)

    def _brought(self, number: int, time: int) -> None:
        """KV has come to an engine: its next call may be now."""
        self.calls[number] = min(self.calls[number], time)
        self._expect_call(number, min(self.due[number], time))
        self._arm()

    def _expect_call(self, number: int, moment: int) -> None:
        """Look at an engine at ``moment``."""
        self.due[number] = moment
        if moment < FAR:
            heappush(self.heap, (moment, number))
