"""Where an engine's requests come from: an open loop known in advance, or clients that wait for their answers.

Sources deliver a request when the scheduler sees it, after the API server (:mod:`hwsim.serving.front_end`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from itertools import islice
from typing import Protocol

from hwsim.cost.price import SUBTICK_BITS
from hwsim.serving.front_end import BACKLOG, FrontEnd
from hwsim.serving.request import Request

CHUNK = 4096


def dealt(requests: Iterator[Request], hands: int, choose: Callable[[Request], int]) -> list[Iterator[Request]]:
    """The requests dealt to ``hands`` by ``choose``: each hand keeps only what others have drawn for it."""
    if hands == 1:
        return [requests]
    piles: list[deque[Request]] = [deque() for _ in range(hands)]

    def hand(number: int) -> Iterator[Request]:
        while True:
            while not piles[number]:
                request = next(requests, None)
                if request is None:
                    return
                piles[choose(request)].append(request)
            yield piles[number].popleft()

    return [hand(number) for number in range(hands)]


class Source(Protocol):
    """Delivers requests in time order; ``answered`` tells it that one of its requests is done.

    ``next_arrival`` and ``take`` are in whole ticks, for engines that wake with the clock; ``next_time`` and ``pop``
    are exact to the subtick.
    """

    def next_arrival(self) -> int | None:
        """Time (ps) of the next request that is already certain, or None."""
        ...

    def take(self, until: int) -> list[Request]:
        """All requests that arrive at or before ``until`` (ps)."""
        ...

    def next_time(self) -> int | None:
        """Time (subticks) of the next request that is already certain, or None."""
        ...

    def pop(self) -> Request:
        """The next request."""
        ...

    def answered(self, request: Request, time: int) -> None:
        """``request`` was completed or refused at ``time`` (subticks)."""
        ...


class OpenLoop:
    """Requests whose arrival times do not depend on the answers (a trace, a Poisson process)."""

    __slots__ = ("_head", "_requests")

    def __init__(self, requests: Iterator[Request]) -> None:
        self._requests = requests
        self._head = next(requests, None)

    def next_arrival(self) -> int | None:
        """Time of the next request, or None at the end."""
        return self._head.visible if self._head is not None else None

    def take(self, until: int) -> list[Request]:
        """All requests that arrive at or before ``until``."""
        taken = []
        while self._head is not None and self._head.visible <= until:
            taken.append(self._head)
            self._head = next(self._requests, None)
        return taken

    def next_time(self) -> int | None:
        """Time of the next request in subticks, or None at the end."""
        return self._head.visible << SUBTICK_BITS if self._head is not None else None

    def pop(self) -> Request:
        """The next request."""
        head = self._head
        assert head is not None
        self._head = next(self._requests, None)
        return head

    def ahead(self) -> list[Request]:
        """The next few thousand requests, for an engine that may run ahead of the clock."""
        taken = []
        while self._head is not None and len(taken) < CHUNK:
            taken.append(self._head)
            self._head = next(self._requests, None)
        return taken

    def answered(self, request: Request, time: int) -> None:
        """Nobody waits for the answer."""


class ClosedLoop:
    """``concurrency`` clients, each with one request at a time; the next comes ``think`` ps after the answer."""

    __slots__ = ("_due", "_front", "_requests", "_sent", "think")

    def __init__(
        self, requests: Iterator[Request], concurrency: int, think: int = 0, front: FrontEnd | None = None
    ) -> None:
        self._requests = requests
        self._front = front or FrontEnd()
        self.think = think
        self._due: list[tuple[int, int, Request]] = []
        self._sent = 0
        self._start(concurrency)

    def _start(self, concurrency: int) -> None:
        """All clients begin at once."""
        while concurrency:
            first = list(islice(self._requests, min(concurrency, BACKLOG)))
            if not first:
                return
            concurrency -= len(first)
            for request in first:
                request.arrival = 0
            for request in self._front.together(first):
                self._queue(request, 0)

    def _send(self, time: int) -> None:
        request = next(self._requests, None)
        if request is not None:
            request.arrival = time >> SUBTICK_BITS
            self._queue(self._front.receive(request), time)

    def _queue(self, request: Request, time: int) -> None:
        self._sent += 1
        late = (request.visible - request.arrival) << SUBTICK_BITS
        heappush(self._due, (time + late, self._sent, request))

    def next_arrival(self) -> int | None:
        """Time of the next request that some client is about to send."""
        return self._due[0][0] >> SUBTICK_BITS if self._due else None

    def take(self, until: int) -> list[Request]:
        """All requests sent at or before ``until``."""
        taken = []
        while self._due and self._due[0][0] >> SUBTICK_BITS <= until:
            taken.append(heappop(self._due)[2])
        return taken

    def next_time(self) -> int | None:
        """Time of the next request in subticks."""
        return self._due[0][0] if self._due else None

    def pop(self) -> Request:
        """The next request."""
        return heappop(self._due)[2]

    def answered(self, request: Request, time: int) -> None:
        """The client of ``request`` thinks, then sends its next one."""
        self._send(time + ((request.after + self.think) << SUBTICK_BITS))
