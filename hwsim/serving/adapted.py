"""A cluster whose requests need LoRA adapters: each goes to its engine when its adapter is on that replica's GPUs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

from hwsim.cost.price import SUBTICK_BITS
from hwsim.kernel.random import Stream
from hwsim.serving.adapters import AdapterCache
from hwsim.serving.controlled import Controlled
from hwsim.serving.request import Request
from hwsim.serving.source import Source


class Users:
    """Which adapter a request needs: drawn by its number, popularity falling as a power ``skew`` of the rank."""

    def __init__(self, count: int, skew: float, stream: Stream) -> None:
        self._ends = list(accumulate([(rank + 1) ** -skew for rank in range(count)]))
        self._stream = stream

    def of(self, request: Request) -> int:
        """The adapter of a request, always the same."""
        draw = float(self._stream.uniform(1, request.index)[0])
        return min(bisect_right(self._ends, draw * self._ends[-1]), len(self._ends) - 1)


class Heard:
    """A source that also tells somebody else what was answered."""

    def __init__(self, source: Source, told: Callable[[Request, int], None]) -> None:
        self._source = source
        self._told = told

    def next_arrival(self) -> int | None:
        """That of the source."""
        return self._source.next_arrival()

    def take(self, until: int) -> list[Request]:
        """That of the source."""
        return self._source.take(until)

    def next_time(self) -> int | None:
        """That of the source."""
        return self._source.next_time()

    def pop(self) -> Request:
        """That of the source."""
        return self._source.pop()

    def answered(self, request: Request, time: int) -> None:
        """Pass it on to both."""
        self._told(request, time)
        self._source.answered(request, time)


class Adapted(Controlled):
    """A controlled cluster with a cache of adapters for each replica.

    An answer frees its adapter's place, so engines are followed from answer to answer as in a closed loop.
    """

    def __init__(
        self,
        engines: Sequence[Any],
        source: Any,
        *others: Any,
        users: Users,
        caches: Sequence[AdapterCache],
        **more: Any,
    ) -> None:
        super().__init__(engines, Heard(source, self._freed), *others, **more)
        self.users = users
        self.caches = list(caches)
        self.homes: dict[Request, int] = {}

    def _submit(self, request: Request, number: int, time: int) -> None:
        self.homes[request] = number
        self.loads.sent(number, request)
        if self.caches[number].want(self.users.of(request), request, self._ready):
            self._enter(request, number, time)

    def _enter(self, request: Request, number: int, time: int) -> None:
        super()._submit(request, number, time)
        self.loads.ended(number, request)  # it was counted when it was sent here

    def _ready(self, request: Request) -> None:
        """Its adapter has come: the engine gets it now."""
        now = self.clock.now << SUBTICK_BITS
        self.acts.plan(now, lambda time: self._enter(request, self.homes[request], time))
        self._arm()

    def _freed(self, request: Request, time: int) -> None:
        number = self.homes.pop(request, None)
        if number is not None:
            self.acts.plan(time, lambda then: self.caches[number].release(self.users.of(request), self._ready))
